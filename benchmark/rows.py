"""The rows of `results.csv` as one frame: hundreds of thousands of them in a second."""

from dataclasses import asdict
from pathlib import Path

import pandas as pd

from benchmark import results
from benchmark.results import COLUMNS

_NUMBERS = ("seed", "value")
_TEXTS = [name for name in COLUMNS if name not in _NUMBERS]
_KEY = [name for name in COLUMNS if name not in ("run", "value")]  # as `Row.key`


def read(path: Path) -> pd.DataFrame:
    """What `results.read` gives, a column a field: each key once, its last row.

    Raises:
        DataError: not a file of rows.
    """
    try:
        return _whole(path)
    except (OSError, ValueError):  # not there, cut off or damaged: it knows what is to be said, and to whom
        return pd.DataFrame([asdict(row) for row in results.read(path)], columns=list(COLUMNS))


def _whole(path: Path) -> pd.DataFrame:
    """The rows of a file with nothing amiss.

    Raises:
        ValueError: there is something.
    """
    with path.open("rb") as file:
        header = file.readline().decode().rstrip("\n")
        if header != ",".join(COLUMNS) or not _ends_with_a_line(path):
            raise ValueError("not whole")
        frame = pd.read_csv(
            file,
            names=list(COLUMNS),
            dtype=dict.fromkeys(_TEXTS, "category") | {"seed": "int64", "value": "float64"},  # there are few different texts
            keep_default_na=False,
            na_values={"value": ["nan"]},
            skip_blank_lines=False,
        )
    if not isinstance(frame.index, pd.RangeIndex) or not all(frame["dataset"].cat.categories) or frame["dataset"].isna().any():
        raise ValueError("a line with too many or too few cells")
    return frame.drop_duplicates(_KEY, keep="last")


def _ends_with_a_line(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, 2)
        return file.read(1) == b"\n"
