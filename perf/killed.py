"""Whether `bench run`, killed at any moment and run again, ends as if it had never been killed.

python perf/killed.py --trials 20 --seed 0     (half a minute a trial on two cores of its own)

Runs once undisturbed, on ten small phantoms or on --data. Then, for each trial, starts anew in a fresh folder, sends SIGKILL
to all its processes at a moment drawn between the first file in the folder and the end, runs again to the end, and compares:
rows (times and memory apart), tables that hold neither, weights, fields and the trainings' histories, bit for bit; and that
nothing half-written is left. Prints a Markdown table; exits with 1 where anything differs.
"""

import argparse
import csv
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmark import results
from benchmark.tables import kinds, render

ROOT = Path(__file__).resolve().parent.parent
Ending = Mapping[str, object]  # what a run left: name -> content or digest
_COSTS = ("seconds", "memory", "load")


def main() -> None:
    """Run, kill, run again, compare, print."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="killed-") as folder:
        work = Path(folder)
        data = options.data or _phantoms(work / "sr-reg")
        command = _command(data, options.methods, options.epochs)
        _run(command, work / "warm")  # makes the data set's arrays and compiles kernels, which later runs find there
        seconds = _seconds(command, work / "undisturbed")
        expected = ending(work / "undisturbed")
        print(f"undisturbed: {seconds:.1f} s, {len(expected)} things compared\n")
        print("| trial | killed at (s) | what was there | different afterwards |\n| ---: | ---: | --- | --- |")
        drawn = random.Random(options.seed)
        moments = [drawn.uniform(0, seconds) for _ in range(options.trials)]
        is_same = [_trial(number, moment, command, work / "trial", expected) for number, moment in enumerate(moments, start=1)]
    sys.exit(0 if all(is_same) else 1)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--data", type=Path, help="a built data set instead of phantoms")
    parser.add_argument("--methods", default="initial,syn,voxelmorph")
    parser.add_argument("--epochs", type=int, default=2, help="of 50 steps")
    return parser.parse_args()


def _phantoms(root: Path) -> Path:
    sys.path.insert(0, str(ROOT / "tests"))
    from phantom import write_dataset

    return write_dataset(root, subjects=10, shape=(14, 16, 28), tested=3).root


def _command(data: Path, methods: str, epochs: int) -> list[str]:
    code = "import sys; from cli import main_bench; main_bench()"
    run = ["run", "--data", str(data), "--methods", methods, "--profile", "demo", "--precision", "fp32", "--device", "cpu"]
    return [sys.executable, "-c", code, *run, "--epochs", str(epochs), "--out"]


def _start(command: list[str], out: Path) -> "subprocess.Popen[bytes]":
    """With one thread everywhere: ANTs sums in the order in which its threads end."""
    one = {"OMP_NUM_THREADS": "1", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS": "1", "PYTHONPATH": str(ROOT)}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen([*command, str(out)], env=os.environ | one, start_new_session=True, **quiet)


def _run(command: list[str], out: Path) -> None:
    code = _start(command, out).wait()
    if code not in (0, 1):  # 1: a network that has not learned in so few steps
        sys.exit(f"bench run ended with {code}: see its log\n{(out / 'log.txt').read_text()[-2000:]}")


def _seconds(command: list[str], out: Path) -> float:
    """From the folder's first file to the end."""
    running = _start(command, out)
    _wait_for_folder(running, out)
    started = time.monotonic()
    running.wait()
    return time.monotonic() - started


def _wait_for_folder(running: "subprocess.Popen[bytes]", out: Path) -> None:
    while not out.exists() and running.poll() is None:
        time.sleep(0.005)


def _trial(number: int, moment: float, command: list[str], out: Path, expected: Ending) -> bool:
    running = _start(command, out)
    _wait_for_folder(running, out)
    time.sleep(moment)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    there = _described(out)
    _run(command, out)
    found = ending(out)
    different = [name for name in sorted({*expected, *found}) if found.get(name) != expected.get(name)]
    print(f"| {number} | {moment:.2f} | {there} | {', '.join(different) or 'nothing'} |", flush=True)
    shutil.rmtree(out)
    return not different


def _described(out: Path) -> str:
    """How far a run had come when it was killed."""
    rows, halves = len(results.read(out / "results.csv")), len([*out.rglob("*.part")])
    epochs = {path.parts[-3]: len(path.read_text().splitlines()) - 2 for path in out.glob("weights/*/*/training.csv")}
    trained = "".join(f", {name} in epoch {number + 1}" for name, number in sorted(epochs.items()))
    return f"{rows} rows{trained}{f', {halves} half-written' if halves else ''}"


def ending(out: Path) -> Ending:
    """All that a run leaves but times, memory, its own name and where it lies."""
    rows = (row for row in results.read(out / "results.csv") if row.metric not in _COSTS)
    found: dict[str, object] = {"rows": sorted((str(row.key), repr(row.value)) for row in rows)}
    for name in ("structures", "statistics"):
        found[f"table {name}"] = render.markdown(kinds.build(out, name))
    for pattern in ("weights/*/*/weights.safetensors", "fields/*/*/*.nii.gz"):
        found |= {str(path.relative_to(out)): _digest(path) for path in out.glob(pattern)}
    found |= {str(path.relative_to(out)): _history(path) for path in out.glob("weights/*/*/training.csv")}
    return found | {str(path.relative_to(out)): "half-written" for path in out.rglob("*.part")}


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _history(path: Path) -> list[list[str]]:
    with path.open(newline="") as file:
        return [[value for name, value in row.items() if name != "seconds"] for row in csv.DictReader(file)]


if __name__ == "__main__":
    main()
