"""What trainings have left in a run folder, for those who want to use it elsewhere."""

from pathlib import Path

from benchmark import record
from srreg.build.reference import Size, grid_of
from srreg.errors import DataError
from srreg.files import read_json

_SIZES: tuple[Size, ...] = ("full", "half", "quarter")


def newest(runs: Path, method: str) -> Path | None:
    """The weights of the method's training that was finished last; None where none was.

    Args:
        runs: a folder of `bench run` or `bench train`.
        method: as in `METHODS`.
    """
    from benchmark.training.trainer import weights_file

    example = weights_file(runs, method, seed=0)
    found = [path for path in example.parent.parent.glob(f"seed*/{example.name}") if is_finished(path)]
    return max(found, key=lambda path: (path.stat().st_mtime_ns, str(path)), default=None)


def is_finished(weights: Path) -> bool:
    """Whether a training came to its end; one that was interrupted leaves the best weights so far."""
    if not weights.is_file():
        return False
    from benchmark.training.record import RECORD

    try:
        return read_json(weights.parent / RECORD).get("status") == "finished"
    except DataError:
        return False


def size_trained_on(weights: Path) -> Size | None:
    """The size of the data set that weights in a run folder were trained on, where the folder's runs tell."""
    try:
        runs = record.read(weights.resolve().parents[3] / "run.json")
    except (DataError, IndexError):
        return None
    grids = {run.dataset.grid for run in runs}
    sizes = [size for size in _SIZES if str(grid_of(size)) in grids]
    return sizes[0] if len(sizes) == 1 else None
