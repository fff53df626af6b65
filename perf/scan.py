"""Time and memory of the selective scan's back ends on a CPU, beside the same recurrence by other means.

python perf/scan.py                 the first stage of MambaMorph at full size: 109,824 tokens, 192 channels, 16 states
python perf/scan.py --stage 2       13,728 tokens of 384 channels; --stage 3: 1,716 tokens of 768 channels

The cases: `loop`, a step a token in torch, which keeps nothing; `materialised`, the same with exp(delta A) and delta B u of
all tokens in memory first, as mamba-ssm's own reference has them; `mambapy` 1.2.0, the parallel scan of that package, where
it is installed:
    pip install --no-deps --target peers mambapy==1.2.0;  PYTHONPATH=peers python perf/scan.py
and the back ends `torch` and `cpp`. Both loops go forward only.

Every case runs in a process of its own. Memory is what the resident peak grew by during the call, outputs and gradients
included; seconds are medians; compare ratios, not seconds, between machines. The error is the largest over output and
gradients, as a part of the largest value, against the reference in float64 at 1,716 tokens of 24 channels.
A Markdown table goes to stdout.
"""
# ruff: noqa: N803, N806 (formulas keep their letters)

import argparse
import importlib.util
import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch
from torch import Tensor

from benchmark.clock import timed
from models.selective_scan import reasons, reference, selective_scan

STAGES = {1: (109_824, 192), 2: (13_728, 384), 3: (1_716, 768)}  # tokens, channels
STATES = 16
SLOW = ("loop", "materialised", "mambapy")  # run once a measurement
NO_BACKWARD = ("loop", "materialised")  # through slices of one tensor it would be quadratic in L
SHORT_TOKENS, SHORT_CHANNELS = 1_716, 24  # what errors are measured on

Scan = Callable[..., Tensor]
Result = Mapping[str, float]


def main() -> None:
    """Run the cases and print the table, or run the one case asked for."""
    options = _options()
    torch.set_num_threads(options.threads)
    if options.case:
        name, what = options.case.split(":")
        print(json.dumps(_error(name) if what == "error" else _cost(name, what, *STAGES[options.stage], options.repeats)))
        return
    tokens, channels = STAGES[options.stage]
    machine = f"{options.threads} threads, torch {torch.__version__}"
    print(f"{tokens:,} tokens, {channels} channels, {STATES} states, float32; {machine}\n")
    _print_table({name: _measure(name, options) for name in _names()})


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stage", type=int, choices=STAGES, default=1, help="of MambaMorph's encoder at full size")
    parser.add_argument("--repeats", type=int, default=5, help="calls of a fast case, of which the median is shown")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="1 where others use the machine too")
    parser.add_argument("--case", help=argparse.SUPPRESS)  # name:what, in the child process
    return parser.parse_args()


def _names() -> list[str]:
    """The cases that can run here."""
    left_out = {name: why for name in ("torch", "cpp") if (why := reasons("cpu")[name])}
    if importlib.util.find_spec("mambapy") is None:
        left_out["mambapy"] = "not installed; see --help"
    for name, why in left_out.items():
        print(f"{name} is left out: {why}", file=sys.stderr)
    return [name for name in ("loop", "materialised", "mambapy", "torch", "cpp") if name not in left_out]


def _measure(name: str, options: argparse.Namespace) -> dict[str, Result]:
    """Each kind of measurement in a child process; what failed there is missing."""
    found = {}
    for what in ("forward", "both", "error"):
        if what == "both" and name in NO_BACKWARD:
            continue
        print(f"{name}: {what}", file=sys.stderr, flush=True)
        settings = ("stage", "repeats", "threads")
        command = [__file__, f"--case={name}:{what}", *(f"--{key}={getattr(options, key)}" for key in settings)]
        done = subprocess.run([sys.executable, *command], stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode == 0:
            found[what] = json.loads(done.stdout)
        else:  # out of memory, as a rule
            print(f"{name}: {what} ended with {done.returncode}", file=sys.stderr)
    return found


def _cost(name: str, what: str, tokens: int, channels: int, repeats: int) -> Result:
    scan, is_backward = _scan(name), what == "both"
    _call(scan, _arguments(64, channels, torch.float32), is_backward)  # compiles and warms up
    given = _arguments(tokens, channels, torch.float32)
    costs = [timed(lambda: _call(scan, given, is_backward), "cpu")[1] for _ in range(1 if name in SLOW else repeats)]
    return {"seconds": statistics.median(cost.seconds for cost in costs), "mib": 1024 * costs[0].peak_gib}


def _error(name: str) -> Result:
    """Of the output alone where there is no backward pass."""
    is_backward = name not in NO_BACKWARD
    truth = _call(reference.scan, _arguments(SHORT_TOKENS, SHORT_CHANNELS, torch.float64), is_backward)
    found = _call(_scan(name), _arguments(SHORT_TOKENS, SHORT_CHANNELS, torch.float32), is_backward)
    pairs = zip(found, truth, strict=True)
    return {"error": max(float((ours - true).abs().max() / true.abs().max()) for ours, true in pairs)}


def _arguments(tokens: int, channels: int, dtype: torch.dtype) -> list[Tensor]:
    """u, delta, A, B, C and D; step sizes and decays as Mamba has them at the start of a training."""
    generator = torch.Generator().manual_seed(0)
    u, noise = torch.randn(2, 1, channels, tokens, generator=generator)
    B, C = torch.randn(2, 1, STATES, tokens, generator=generator)
    delta = 1e-3 * 100 ** torch.sigmoid(noise)  # 0.001 to 0.1
    A = -torch.arange(1.0, STATES + 1).repeat(channels, 1)
    return [x.to(dtype).requires_grad_() for x in (u, delta, A, B, C, torch.ones(channels))]


def _call(scan: Scan, given: list[Tensor], is_backward: bool) -> list[Tensor]:
    """The output, and the gradients where they are asked for."""
    if not is_backward:
        with torch.no_grad():
            return [scan(*given)]
    y = scan(*given)
    return [y.detach(), *torch.autograd.grad(y, given, torch.ones_like(y))]


def _scan(name: str) -> Scan:
    others: Mapping[str, Scan] = {"loop": reference.scan, "materialised": _materialised, "mambapy": _mambapy}
    return others.get(name) or (lambda *given: selective_scan(*given, backend=name))


def _tokens_first(u: Tensor, delta: Tensor, A: Tensor, B: Tensor) -> tuple[Tensor, Tensor]:
    """The decay of every token and what is added to its state, both [1, L, channels, states]."""
    step = delta.transpose(1, 2)[..., None]
    return torch.exp(step * A), step * u.transpose(1, 2)[..., None] * B.transpose(1, 2)[:, :, None]


def _materialised(u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor) -> Tensor:
    decay, gain = _tokens_first(u, delta, A, B)
    state, outputs = torch.zeros_like(gain[:, 0]), []
    for t in range(u.shape[2]):
        state = decay[:, t] * state + gain[:, t]
        outputs.append((state @ C[:, :, t, None])[..., 0])
    return torch.stack(outputs, dim=2) + D[:, None] * u


def _mambapy(u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor) -> Tensor:
    from mambapy.pscan import pscan

    states = pscan(*_tokens_first(u, delta, A, B))
    return (states @ C.transpose(1, 2)[..., None])[..., 0].transpose(1, 2) + D[:, None] * u


def _print_table(rows: Mapping[str, Mapping[str, Result]]) -> None:
    print("| case | forward (s) | x loop | x mambapy | MiB | both ways (s) | x mambapy | MiB | mambapy's MiB / its | error |")
    print("| --- " + "| ---: " * 9 + "|")
    for name, row in rows.items():
        cells = [
            _number(row, "forward", "seconds"),
            _ratio(rows, "loop", name, "forward", "seconds"),
            _ratio(rows, "mambapy", name, "forward", "seconds"),
            _number(row, "forward", "mib"),
            _number(row, "both", "seconds"),
            _ratio(rows, "mambapy", name, "both", "seconds"),
            _number(row, "both", "mib"),
            _ratio(rows, "mambapy", name, "both", "mib"),
            _number(row, "error", "error"),
        ]
        print(f"| {name} | {' | '.join(cells)} |")


def _number(row: Mapping[str, Result], what: str, value: str) -> str:
    if what not in row:
        return "—"
    number = row[what][value]
    return f"{number:,.0f}" if value == "mib" else f"{number:.1e}" if value == "error" else f"{number:.3f}"


def _ratio(rows: Mapping[str, Mapping[str, Result]], peer: str, name: str, what: str, value: str) -> str:
    """How many times more the peer takes."""
    both = [rows.get(case, {}).get(what) for case in (peer, name)]
    return f"{both[0][value] / both[1][value]:.1f}" if both[0] and both[1] else "—"


if __name__ == "__main__":
    main()
