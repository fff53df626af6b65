"""The rows of `results.csv`: long and plain, one number a line, only ever added to."""

import csv
import io
import logging
import os
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from benchmark.room import room_for
from srreg.errors import DataError
from srreg.files import write_text

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Row:
    """One number.

    Args:
        run: which run of the benchmark it is from; a key of `run.json`.
        method: as in `METHODS`.
        seed: of the training.
        weights: short digest of the weights' file; empty where there are none.
        pair: id of the pair.
        metric: as in `METRICS`.
        region: a structure's name; empty for the whole image.
        value: in the metric's unit; `nan` where there is none.
        device: what it was measured on.
        dataset: short digest of the data set.
    """

    run: str
    method: str
    seed: int
    weights: str
    pair: str
    metric: str
    region: str
    value: float
    device: str
    dataset: str

    @property
    def key(self) -> tuple[object, ...]:
        """What tells it from every other row but those that measured the same thing again."""
        return (self.method, self.seed, self.weights, self.pair, self.metric, self.region, self.device, self.dataset)


COLUMNS: tuple[str, ...] = tuple(field.name for field in fields(Row))


def read(path: Path) -> list[Row]:
    """The rows of a file, each key once: its last row. A half-written last line is left out, and the log says so.

    Raises:
        DataError: not a file of rows.
    """
    if not path.is_file():
        return []
    lines = _whole_lines(path)
    if lines and lines[0] != ",".join(COLUMNS):
        raise DataError(f"{path}: expected the columns {', '.join(COLUMNS)}, got {lines[0]}. Move the file away.")
    known: dict[tuple[object, ...], Row] = {}
    for number, line in enumerate(lines[1:], start=2):
        row = _row(line, path, number)
        known.pop(row.key, None)  # so that rows stay in the order in which they were measured last
        known[row.key] = row
    return list(known.values())


def append(path: Path, rows: Sequence[Row]) -> None:
    """Add rows and see them onto the disk, whole lines only.

    Raises:
        NoRoom: the disk is full; what was there before stays readable.
    """
    if path.is_file():
        _cut_half_line(path)
    if not path.is_file() or path.stat().st_size == 0:
        write_text(path, _lines([COLUMNS]))
    with room_for(f"{len(rows)} more rows in {path}"), path.open("ab") as handle:
        handle.write(_lines(astuple(row) for row in rows).encode())
        handle.flush()
        os.fsync(handle.fileno())


def _lines(rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _whole_lines(path: Path) -> list[str]:
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    if lines[-1]:
        log.warning("%s: its last line was cut off and is left out; what it held is measured again", path)
    return lines[:-1]


def _cut_half_line(path: Path) -> None:
    """Let the file end with a whole line."""
    content = path.read_bytes()
    if not content.endswith(b"\n"):
        os.truncate(path, content.rfind(b"\n") + 1)


def _row(line: str, path: Path, number: int) -> Row:
    try:
        (cells,) = csv.reader([line], strict=True)
        run, method, seed, weights, pair, metric, region, value, device, dataset = cells
        return Row(run, method, int(seed), weights, pair, metric, region, float(value), device, dataset)
    except (ValueError, csv.Error) as error:
        raise DataError(f"{path}, line {number}: is not a row ({error}). Take the line out, or move the file away.") from error
