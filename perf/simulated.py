"""The benchmark on simulated heads of real anatomy, on a CPU at quarter size: every row, one protocol.

python perf/simulated.py LABEL_MAPS --out simulated     (run it again to go on)

LABEL_MAPS: a folder of whole-head label maps of 12 people, as `srreg simulate` takes them. People are split first; each
test and each validation person is there twice, with other contrast, noise and pose, each training person eight times, bent
by other diffeomorphisms. Rows are trained with the profile `reduced`, three of them with three seeds: one training a core,
on one thread, which makes more of the cores than all threads for one.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import models
from srreg.build.splits import draw
from srreg.files import read_tsv

_TIMES = {"train": 8, "val": 2, "test": 2}  # so often is each person there
_SEEDED = ("voxelmorph", "voxelmorph-features", "mambamorph")
_SEEDS = (0, 1, 2)
_BIN = Path(sys.executable).parent


def main() -> None:
    """Simulate, build, train, register, score; prints the table. Every step goes on where it was."""
    options = _options()
    tree, dataset, runs = (options.out / name for name in ("tree", "sr-reg", "runs"))
    maps = len(list(options.label_maps.glob("*.nii.gz")))
    procs = ["--n-procs", str(os.cpu_count() or 1)]
    simulate = ["--label-maps", options.label_maps, "--subjects", str(_TIMES["train"] * maps), "--size", "quarter", *procs]
    _run("srreg", "simulate", "--out", tree, *simulate)
    given = f"precomputed:{tree}"
    tools = ["--skull-stripper", given, "--segmenter", given]
    left_out = ",".join(_left_out(tree))
    _run("srreg", "build", "--synthrad-dir", tree, "--out", dataset, "--size", "quarter", *tools, "--exclude", left_out, *procs)
    bench = ["--data", dataset, "--out", runs, "--profile", "reduced", "--device", "cpu"]
    _train(bench)
    _run("bench", "run", "--methods", "all,syn-tuned", *bench)
    _run("bench", "run", "--methods", ",".join(_SEEDED), "--seeds", ",".join(map(str, _SEEDS)), *bench)
    _run("bench", "page", "--data", dataset, "--out", runs)
    _run("bench", "table", "--markdown", "--out", runs)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("label_maps", type=Path)
    parser.add_argument("--out", type=Path, default=Path("simulated"))
    return parser.parse_args()


def _left_out(tree: Path) -> Iterator[str]:
    """Subjects who are one too many of their person; the build draws the same splits."""
    rows = read_tsv(tree / "Task1" / "brain" / "participants.tsv", ("participant_id", "person"))
    members = draw({row["person"] for row in rows}, seed=0).members
    times = {person: _TIMES[name] for name, people in members.items() for person in people}
    seen: dict[str, int] = {}
    for row in rows:
        seen[row["person"]] = seen.get(row["person"], 0) + 1
        if seen[row["person"]] > times[row["person"]]:
            yield row["participant_id"]


def _train(bench: list[object]) -> None:
    """Every training, the longest first, so that no core waits long for the last."""
    jobs = [(name, seed) for name in reversed(models.names()) for seed in (_SEEDS if name in _SEEDED else _SEEDS[:1])]
    with ThreadPoolExecutor(os.cpu_count() or 1) as cores:
        for _ in cores.map(lambda job: _run("bench", "train", "--method", job[0], "--seed", job[1], *bench, threads=1), jobs):
            pass


def _run(*words: object, threads: int | None = None) -> None:
    """A command of ours; its failures are told by itself, and a method that did not learn (1) stops nothing."""
    command, started = [str(_BIN / str(words[0])), *map(str, words[1:])], time.monotonic()
    limits = {} if threads is None else {"OMP_NUM_THREADS": str(threads)}
    code = subprocess.run(command, check=False, env={**os.environ, **limits}).returncode
    print(f"{time.monotonic() - started:.0f} s: {' '.join(command[1:6])}", flush=True)
    if code > 1:
        sys.exit(code)


if __name__ == "__main__":
    main()
