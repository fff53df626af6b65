"""Every row trained and scored on a GPU, in slices of under ten minutes: `make gpu-bench`, again until it says it is done.

Heads come from perf/gpu/heads.npz (`python -m perf.gpu.prepare DATASET`, of any size) and are painted on the device. Rows are
trained one after the other with one recipe and the same number of steps, and score every ordered pair of test subjects
who are different people. What is done is kept in --out: carry that folder along. The table goes to docs/results/ at the end.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

import models
from benchmark.clock import timed
from models.training_settings import Progress
from perf.gpu.bench_table import markdown
from perf.gpu.heads import HEADS, Heads
from perf.gpu.measuring import environment
from perf.gpu.scoring import dice, folding_percent
from perf.gpu.trainings import settings, train

_STEPS_PER_EPOCH = 50


class TimeIsUp(Exception):
    """The slice is over; what was begun goes on in the next."""


@dataclass(frozen=True)
class Slice:
    """One call's share of the work.

    Args:
        heads: painted.
        out: the folder that is carried from slice to slice.
        epochs: of each training.
        until: `time.monotonic()` at which it ends.
    """

    heads: Heads
    out: Path
    epochs: int
    until: float

    def run(self) -> None:
        """Work until all is done or time is up.

        Raises:
            TimeIsUp: to be called again.
        """
        self._score("initial", None)
        for name in models.names():
            if (self.out / f"{name}.json").is_file():
                continue
            folder = self.out / "weights" / name
            network, result = train(name, self.heads, settings(self.epochs, _STEPS_PER_EPOCH), folder, self._look_at_clock)
            spent = sum(row.seconds for row in result.history)
            self._score(name, network, training_seconds=round(spent), best_epoch=result.best_epoch, alarm=result.alarm)

    def _look_at_clock(self, progress: Progress) -> None:
        if time.monotonic() > self.until:
            raise TimeIsUp(f"epoch {progress.epoch} of {progress.epochs}")

    def _score(self, name: str, network: torch.nn.Module | None, **training: object) -> None:
        path = self.out / f"{name}.json"
        if path.is_file():
            return
        rows = []
        for row in self._scored(network):
            self._look_at_clock(Progress(self.epochs, self.epochs, 0, 0, 0.0, 0.0))
            rows.append(row)
        _write(path, {"training": training, "rows": rows})
        print(f"{name}: done", flush=True)

    @torch.inference_mode()
    def _scored(self, network: torch.nn.Module | None) -> Iterator[dict[str, object]]:
        """A row a pair, the first one warmed up."""
        device = str(self.heads.labels.device)
        for number, (moving, fixed) in enumerate(self.heads.pairs("test")):
            batch = self.heads.batch(moving, fixed)
            if network is None:
                displacement, seconds, peak_gib = batch.moving.new_zeros(1, 3, *batch.moving.shape[2:]), 0.0, 0.0
            else:
                if number == 0:
                    network(batch.moving, batch.fixed)
                out, cost = timed(lambda batch=batch: network(batch.moving, batch.fixed), device)  # type: ignore[misc]
                displacement, seconds, peak_gib = out.displacement, cost.seconds, cost.peak_gib
            yield {
                "subjects": [self.heads.subjects[moving], self.heads.subjects[fixed]],
                "people": [self.heads.people[moving], self.heads.people[fixed]],
                "dice": dice(displacement, batch),
                "folding": folding_percent(displacement),
                "seconds": seconds,
                "peak_gib": peak_gib,
            }


def main() -> None:
    """One slice."""
    options = _options()
    if not options.heads.is_file():
        sys.exit(f"no {options.heads}; make it with python -m perf.gpu.prepare DATASET")
    device = torch.device(options.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        sys.exit("torch sees no GPU here; on a CPU: --device cpu --epochs 2")
    until = time.monotonic() + options.seconds
    heads = Heads.load(options.heads, device)
    where = environment(device) | {"size": list(heads.labels.shape[1:]), "steps": options.epochs * _STEPS_PER_EPOCH}
    _same_as_before(options.out / "run.json", where)
    try:
        Slice(heads, options.out, options.epochs, until).run()
    except TimeIsUp as reached:
        print(f"time is up at {reached}; run it again with {options.out} in place")
        return
    name = "x".join(str(size) for size in heads.labels.shape[1:])
    path = options.results / f"gpu-bench-{time.strftime('%Y-%m-%d', time.gmtime())}-{name}.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(markdown(options.out, where), encoding="utf-8")
    print(path.read_text(encoding="utf-8"))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--heads", type=Path, default=HEADS)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--epochs", type=int, default=30, help=f"of {_STEPS_PER_EPOCH} steps")
    parser.add_argument("--seconds", type=float, default=540.0, help="of this slice; the epoch it ends in is begun anew")
    parser.add_argument("--out", type=Path, default=Path("runs-gpu"))
    parser.add_argument("--results", type=Path, default=Path("docs/results"))
    return parser.parse_args()


def _same_as_before(path: Path, where: dict[str, object]) -> None:
    """Numbers of two devices, versions or sizes do not end in one table."""
    now = json.loads(json.dumps(where))
    if path.is_file() and (before := json.loads(path.read_text(encoding="utf-8"))) != now:
        differing = sorted(key for key in before | now if before.get(key) != now.get(key))
        sys.exit(f"{path.parent} was begun with another {', '.join(differing)}; give another --out")
    _write(path, now)


def _write(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(".part")
    aside.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
    aside.replace(path)


if __name__ == "__main__":
    main()
