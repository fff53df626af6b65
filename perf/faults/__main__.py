"""Builds that are killed, starved, crowded and fed damaged files: each must end as an undisturbed one does.

python -m perf.faults [--kills 100] [--every 1] [--together 50] [--damage 1000] [--seed 0]

Heads are simulated at 4 mm. Needs a Unix; a disk that is really full needs the right to mount one. A line a kind of trial, exit
code 1 if any went wrong.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from perf.faults.damage import count
from perf.faults.interruptions import events, filled_at, killed_at, killed_at_random
from perf.faults.small_disk import full_tmpfs
from perf.faults.together import four_builds, four_shards
from perf.faults.trials import Bench


def main() -> int:
    """Run what was asked for, print a line a kind."""
    asked = _parser().parse_args()
    with tempfile.TemporaryDirectory() as folder:
        room = Path(folder)
        ok = _damage(Bench.make(_made(room / "damage"), 1), asked)
        if asked.kills:
            ok &= told(
                "kill -9 at a random moment", killed_at_random(Bench.make(_made(room / "kills"), 2), asked.kills, asked.seed)
            )
        if asked.every:
            ok &= _each_event(Bench.make(_made(room / "events"), 1), asked.every)
        ok &= _tmpfs(Bench.make(_made(room / "tmpfs"), 2))
        bench = Bench.make(_made(room / "together"), 2)
        ok &= told("four builds at once", (four_builds(bench, room / f"builds{n}") for n in range(asked.together)))
        ok &= told("four shards at once", (four_shards(bench, room / f"shards{n}") for n in range(asked.together)))
    return 0 if ok else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m perf.faults", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=100, help="at random moments")
    parser.add_argument("--every", type=int, default=1, help="at each so many-th write, flush and rename; 0: none")
    parser.add_argument("--together", type=int, default=50, help="times four builds, and four shards, at once")
    parser.add_argument("--damage", type=int, default=1000, help="cuts and turned bits of each kind of input volume")
    parser.add_argument("--seed", type=int, default=0)
    return parser


def told(what: str, trials: Iterable[list[str]]) -> bool:
    """Run trials, say on stdout how many went wrong and on stderr how."""
    number = wrong = 0
    for number, faults in enumerate(trials, start=1):
        wrong += bool(faults)
        for fault in faults:
            print(f"{what}, trial {number}: {fault}", file=sys.stderr)
    print(f"{what}: {number} trials, {wrong} went wrong", flush=True)
    return wrong == 0


def _damage(bench: Bench, asked: argparse.Namespace) -> bool:
    missed = 0
    for part in ("mr", "ct"):
        path = next(bench.source.rglob(f"{part}.nii.gz"))
        counts = count(path, asked.damage, asked.seed, bench.room)
        missed += counts["MISSED"]
        print(f"cuts and turned bits of {part}.nii.gz: {counts}", flush=True)
    return missed == 0


def _each_event(bench: Bench, every: int) -> bool:
    total = events(bench)
    print(f"a build of one head has {total} writes, flushes and renames", flush=True)
    ok = told("kill -9 at an event", (killed_at(bench, n) for n in range(1, total + 1, every)))
    filling = events(bench, renames_twice=False)
    return told("disk full from an event on", (filled_at(bench, n) for n in range(1, filling + 1, every))) and ok


def _tmpfs(bench: Bench) -> bool:
    sizes = (16, 64, 150, 300, 400)  # kB; two heads of 4 mm take about 500
    wrong = [full_tmpfs(bench, bench.room / f"disk{size}", size) for size in sizes]
    if None in wrong:
        print("a tmpfs that is too small: nothing can be mounted here")
        return True
    return told("a tmpfs that is too small", [found for found in wrong if found is not None])


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


if __name__ == "__main__":
    sys.exit(main())
