"""Whether every network learns: a short training each, on a built data set, and the validation Dice before and after.

python perf/learning.py demo/sr-reg     (`make demo` builds that one: analytic heads at quarter size)

Trains with the profile `reduced`, but 600 steps of its 900 (--epochs). Goes on where it was stopped; prints a Markdown table.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import models
from benchmark.training import trainer
from benchmark.training.profiles import profile_named
from benchmark.training.record import RECORD
from srreg.dataset import Dataset
from srreg.files import read_json

_PROFILE = "reduced"


def main() -> None:
    """Train and print; exits with 1 where a network did not learn."""
    options = _options()
    dataset, out = Dataset.open(options.dataset), options.out
    print("| network | steps | Dice untrained (%) | Dice (%) | seconds | alarm |\n| --- | ---: | ---: | ---: | ---: | --- |")
    has_learned = [_row(name, dataset, out, options.epochs) for name in options.methods or models.names()]
    sys.exit(0 if all(has_learned) else 1)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--epochs", type=int, default=6, help="of 100 steps")
    parser.add_argument("--methods", nargs="*", help="networks; all if not given")
    parser.add_argument("--out", type=Path, default=Path("runs-learning"))
    return parser.parse_args()


def _row(name: str, dataset: Dataset, out: Path, epochs: int) -> bool:
    steps = epochs * profile_named(_PROFILE).steps_per_epoch
    weights = trainer.train(name, dataset, out, _PROFILE, epochs=epochs)
    record = read_json(weights.parent / RECORD)
    before, after = (100 * float(str(record[key])) for key in ("validation_dice_untrained", "validation_dice"))
    print(f"| {name} | {steps} | {before:.2f} | {after:.2f} | {record['seconds']} | {record['alarm']} |", flush=True)
    return after > before and not record["alarm"]


if __name__ == "__main__":
    main()
