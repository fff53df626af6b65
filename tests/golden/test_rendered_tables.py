"""A table as a reader sees it. After a wanted change: `python tests/golden/test_rendered_tables.py`, and read the diff."""

import tempfile
from pathlib import Path

import numpy as np
import pytest

from benchmark import record, render, results, tables
from benchmark.record import DatasetRecord, Entry, Failure, RunRecord
from benchmark.results import Row

FOLDER = Path(__file__).parent
PAIRS = tuple(f"1BA{n:03d}-mr_1BB{n:03d}-ct" for n in range(10))
RECORD = RunRecord(
    id="20260101T000000.000000Z",
    methods=("initial", "syn", "voxelmorph"),
    seeds=(0,),
    entries=(Entry("initial", 0, ""), Entry("syn", 0, ""), Entry("voxelmorph", 0, "")),
    protocol="paper",
    pairs=PAIRS,
    paper_pairs=10,
    device="CPU: Example Processor, 8 cores",
    settings={},
    dataset=DatasetRecord("0123456789ab", "SR-Reg (simulated)", True, 60, 20, "96x112x96 at 2 x 2 x 2 mm"),
    versions={},
    commit=None,
    skipped={"syn": "antspyx is missing: pip install antspyx"},
    failed=(Failure("voxelmorph", PAIRS[-1], "not enough memory"),),
)
# method -> metric -> its value at the first pair; it grows by one per cent a pair.
VALUES = {
    "initial": {"dice": 60.0, "hd95": 4.0, "folding": 0.0, "folding_published": 0.0, "seconds": 0.001, "memory": 0.0},
    "voxelmorph": {
        "dice": 70.0,
        "hd95": 3.0,
        "folding": 0.02,
        "folding_published": 0.2,
        "seconds": 1.5,
        "memory": 2.5,
        "parameters": 0.092179,
    },
}


def _rows():
    for method, metrics in VALUES.items():
        for number, pair in enumerate(PAIRS if method == "initial" else PAIRS[:-1]):
            for metric, value in metrics.items():
                grown = value if metric == "parameters" else value * np.float64(1.01) ** number
                yield Row(RECORD.id, method, 0, "", pair, metric, "", float(grown), RECORD.device, RECORD.dataset.digest)


def _rendered(out, name):
    record.write(out / "run.json", RECORD)
    results.append(out / "results.csv", list(_rows()))
    built = tables.build(out, name)
    return {f"table-{name}.md": render.markdown(built), f"table-{name}.csv": render.csv_text(built)}


@pytest.mark.parametrize("name", list(tables.TABLES))
def test_tables_look_as_they_were_agreed(tmp_path, name):
    for file, text in _rendered(tmp_path, name).items():
        assert text == (FOLDER / file).read_text(encoding="utf-8")


if __name__ == "__main__":
    for table in tables.TABLES:
        with tempfile.TemporaryDirectory() as folder:
            for file, text in _rendered(Path(folder), table).items():
                (FOLDER / file).write_text(text, encoding="utf-8")
