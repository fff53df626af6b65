"""The measured part of a page for docs/results, from a folder that perf/simulated.py filled: trainings, tables, versions.

python perf/simulated_report.py simulated > page.md
"""

import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmark import record
from benchmark.tables import kinds, measured, render
from benchmark.tables.kinds import Wanted
from srreg.files import read_json

_TABLES = (
    ("1", Wanted()),
    ("statistics", Wanted(against="initial")),
    ("statistics", Wanted(against="mambamorph")),
    ("structures", Wanted()),
)


def main() -> None:
    """Print it."""
    runs = Path(sys.argv[1]) / "runs"
    print("\n".join(_trainings(runs)), end="\n\n")
    found = measured.read(runs)
    for name, wanted in _TABLES:
        print(render.markdown(kinds.make(found, name, wanted)))
    print("\n".join(_versions(runs)))


def _trainings(runs: Path) -> Iterator[str]:
    """A line a training, and what they took together."""
    yield "| training | best epoch | validation Dice untrained, best (%) | minutes | alarm |"
    yield "| --- | ---: | ---: | ---: | --- |"
    total = 0.0
    for path in sorted((runs / "weights").glob("*/seed*/training.json")):
        made = read_json(path)
        if made["status"] != "finished":
            continue
        minutes = float(str(made["seconds"])) / 60
        untrained, best = (100 * float(str(made[key])) for key in ("validation_dice_untrained", "validation_dice"))
        name = f"{made['method']}, seed {path.parent.name.removeprefix('seed')}"
        yield f"| {name} | {made['best_epoch']} | {untrained:.2f}, {best:.2f} | {minutes:.0f} | {made['alarm']} |"
        total += minutes
    yield f"\nAll trainings together: {total:.0f} minutes, of one thread each."


def _versions(runs: Path) -> Iterator[str]:
    last = record.read(runs / "run.json")[-1]
    yield f"Device: {last.device}. Commit {last.commit}."
    yield f"Versions: {', '.join(f'{name} {version}' for name, version in last.versions.items())}."


if __name__ == "__main__":
    main()
