"""Ask torch what it can do, in a process of its own: a broken torch or CUDA must not take us with it."""

import json
import subprocess
import sys
from dataclasses import dataclass
from functools import cache

_QUESTION = """
import json, torch
names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
print(json.dumps({"version": torch.__version__, "cuda": torch.version.cuda, "devices": names}))
"""
_PATIENCE_S = 120.0


@dataclass(frozen=True)
class TorchProbe:
    """What torch answered.

    Args:
        version: its own; empty if it cannot be imported.
        cuda: the CUDA it was built for; None for a CPU build.
        devices: names of the CUDA devices, in torch's order.
        error: why it could not answer; empty if it did.
    """

    version: str = ""
    cuda: str | None = None
    devices: tuple[str, ...] = ()
    error: str = ""


@cache
def probe_torch() -> TorchProbe:
    """Import torch elsewhere and ask for its devices; once a process."""
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-c", _QUESTION], capture_output=True, text=True, timeout=_PATIENCE_S, check=False
        )
        answer = json.loads(done.stdout.splitlines()[-1])
    except subprocess.TimeoutExpired:
        return TorchProbe(error=f"no answer in {_PATIENCE_S:g} s")
    except (IndexError, ValueError):
        return TorchProbe(error=(done.stderr.strip().splitlines() or ["it said nothing"])[-1])
    return TorchProbe(answer["version"], answer["cuda"], tuple(answer["devices"]))


def missing_device(device: str) -> list[str]:
    """One line if torch cannot compute on a device (`cpu`, `cuda`, `cuda:1`); empty if it can."""
    kind, _, number = device.partition(":")
    if kind == "cpu":
        return []
    found = probe_torch()
    if kind != "cuda" or not (number or "0").isdecimal():
        return [f"device {device!r} is not one this back end knows; use --device cpu or --device cuda"]
    if int(number or 0) < len(found.devices):
        return []
    why = found.error or (f"torch sees {len(found.devices)} CUDA devices" if found.cuda else "torch is built without CUDA")
    return [f"device {device!r} is not there ({why}); use --device cpu"]
