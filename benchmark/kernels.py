"""Which back end the selective scan takes on this machine, for `srreg doctor`."""

from collections.abc import Iterator

from srreg.doctor import Finding

# What is worth having where it is missing; the others are for another device.
_REMEDIES = {
    "cpu": {"cpp": "install g++ or clang++: the scan is several times faster with one; nothing else needs it"},
    "cuda": {"triton": "pip install triton"},
}


def examine() -> Iterator[Finding]:
    """A line for each device and back end; runs their self-tests, and may compile: some seconds."""
    import torch

    for device in ("cpu", *(["cuda"] if torch.cuda.is_available() else [])):
        yield from _on(device)


def _on(device: str) -> Iterator[Finding]:
    from models.selective_scan import chosen, reasons

    taken = chosen(device)
    for name, reason in reasons(device).items():
        if not reason:
            yield Finding(f"scan on {device}", name, "ok", "taken by MambaMorph" if name == taken else "works")
        elif name in _REMEDIES[device]:
            yield Finding(f"scan on {device}", name, "limited", reason, _REMEDIES[device][name])
