"""One method against one pair: register where there is no field, then measure what has no rows."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from benchmark import fields, results
from benchmark.clock import timed
from benchmark.fields import KeptField, Origin
from benchmark.method import Method
from benchmark.metrics import METRICS, WHOLE, Case
from benchmark.record import short_digest
from benchmark.results import Row
from srreg.dataset import Dataset
from srreg.errors import StepFailed
from srreg.subject import Pair


@dataclass(frozen=True)
class Contestant:
    """A method with the seed and the weights it runs with."""

    method: Method
    seed: int
    weights: str  # short digest; empty where there are none


class ScoreBook:
    """The numbers of one run: what is there already, and what is added.

    Args:
        dataset: what is registered.
        out: the folder with rows and fields.
        run: id of the run.
        device: torch's name for it.
        device_name: its maker's.
    """

    def __init__(self, dataset: Dataset, out: Path, run: str, device: str, device_name: str) -> None:
        self.dataset, self.out, self.run, self.device, self.device_name = dataset, out, run, device, device_name
        self.digest = short_digest(dataset)
        self.rows_file = out / "results.csv"
        self._known = {row.key for row in results.read(self.rows_file)}

    def missing(self, contestant: Contestant, pair: Pair) -> list[str]:
        """The metrics that have no row yet; a metric's last row is that of the whole image."""
        missing = [name for name in METRICS if self._row(contestant, pair, name, WHOLE, 0.0).key not in self._known]
        # Measured with the time, in the same call: rows from before there was a load are not registered again for it.
        return missing if "seconds" in missing else [name for name in missing if name != "load"]

    def is_to_do(self, contestant: Contestant, pair: Pair, keep: bool) -> bool:
        """True where a metric is missing, or a field that is to be kept."""
        return bool(self.missing(contestant, pair)) or (keep and not self.has_field(contestant, pair))

    def has_field(self, contestant: Contestant, pair: Pair) -> bool:
        """True where the pair's field is on disk."""
        return fields.is_kept(self._field_file(contestant, pair), self._origin(contestant))

    def score(self, contestant: Contestant, pair: Pair, keep: bool) -> None:
        """Measure what is missing; register first where there is no field.

        Args:
            contestant: who registers.
            pair: what.
            keep: leave the field on disk.

        Raises:
            StepFailed: the method gave a field on another grid.
        """
        wanted = self.missing(contestant, pair)
        found = fields.load(self._field_file(contestant, pair)) if self.has_field(contestant, pair) else None
        if found is None:
            found = self._register(contestant, pair)
            if keep:
                fields.save(self._field_file(contestant, pair), found, self._origin(contestant))
        rows = self._measure(contestant, pair, found, wanted)
        results.append(self.rows_file, rows)
        self._known.update(row.key for row in rows)

    def _register(self, contestant: Contestant, pair: Pair) -> KeptField:
        moving, fixed = self.dataset.image(pair.moving), self.dataset.image(pair.fixed)
        displacement, cost = timed(lambda: contestant.method.register(moving, fixed), self.device)
        if not displacement.grid.matches(fixed.grid):
            raise StepFailed(f"expected a field on the fixed grid ({fixed.grid}), got one on {displacement.grid}")
        return KeptField(displacement, cost, contestant.method.parameters)

    def _measure(self, contestant: Contestant, pair: Pair, field: KeptField, wanted: Collection[str]) -> list[Row]:
        case = Case(
            field.displacement,
            moving_labels=self.dataset.labels(pair.moving.subject),
            fixed_labels=self.dataset.labels(pair.fixed.subject),
            cost=field.cost,
            parameters=field.parameters,
        )
        rows = []
        for name in wanted:
            values = METRICS[name].measure(case)
            # The whole image last: where a file was cut off, what has that row has them all.
            for region in sorted(values, key=lambda region: region == WHOLE):
                rows.append(self._row(contestant, pair, name, region, values[region]))
        return rows

    def _row(self, contestant: Contestant, pair: Pair, metric: str, region: str, value: float) -> Row:
        return Row(
            run=self.run,
            method=contestant.method.name,
            seed=contestant.seed,
            weights=contestant.weights,
            pair=pair.id,
            metric=metric,
            region=region,
            value=value,
            device=self.device_name,
            dataset=self.digest,
        )

    def _field_file(self, contestant: Contestant, pair: Pair) -> Path:
        return fields.field_file(self.out, contestant.method.name, contestant.seed, pair.id)

    def _origin(self, contestant: Contestant) -> Origin:
        return Origin(self.digest, contestant.weights, self.device_name)
