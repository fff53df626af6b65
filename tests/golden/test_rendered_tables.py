"""A table as a reader sees it. After a wanted change: `python tests/golden/test_rendered_tables.py`, and read the diff."""

import itertools
import re
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmark import record, results
from benchmark.page.render_html import html
from benchmark.record import DatasetRecord, Entry, Failure, RunRecord
from benchmark.results import Row
from benchmark.tables import kinds, render
from benchmark.tables.kinds import Wanted
from benchmark.tables.render_latex import latex

FOLDER = Path(__file__).parent
PAIRS = tuple(f"1BA{n:03d}-mr_1BB{n:03d}-ct" for n in range(10))
ALL_PAIRS = tuple(f"{moving}-mr_{fixed}-ct" for moving, fixed in itertools.permutations([f"1BA{n:03d}" for n in range(6)], 2))
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
# method -> metric -> its value at the first pair; it grows by one per cent a pair, over the first ten.
VALUES = {
    "initial": {
        "dice": 60.0,
        "hd95": 4.0,
        "folding": 0.0,
        "folding_published": 0.0,
        "seconds": 0.001,
        "memory": 0.0,
        "load": 0.5,
    },
    "voxelmorph": {
        "dice": 70.0,
        "hd95": 3.0,
        "folding": 0.02,
        "folding_published": 0.2,
        "seconds": 1.5,
        "memory": 2.5,
        "load": 4.0,
        "parameters": 0.092179,
    },
}
STRUCTURES = {"Cerebral cortex": 0.9, "Thalamus": 1.1}  # their Dice, relative to that of the whole
# File -> the table in it, in these formats; `-all` is of all ordered pairs of six people.
FORMATS = {".md": render.markdown, ".csv": render.csv_text, ".tex": latex, ".html": html}
FILES = {
    "table-1": ("1", Wanted(), (".md", ".csv", ".tex", ".html")),
    "table-1-all": ("1", Wanted(), (".md", ".csv")),
    "table-1-paper": ("1", Wanted(compare="paper"), (".md", ".csv")),
    "table-2": ("2", Wanted(), (".md", ".csv")),
    "table-structures": ("structures", Wanted(), (".md", ".csv")),
    "table-statistics": ("statistics", Wanted(), (".md", ".csv", ".tex", ".html")),
    "table-statistics-all": ("statistics", Wanted(), (".md",)),
}


def _rows(made):
    for method, metrics in VALUES.items():
        for number, pair in enumerate(made.pairs if method == "initial" else made.pairs[:-1]):
            for metric, value in metrics.items():
                grown = value if metric == "parameters" else value * np.float64(1.01) ** (number % 10)
                row = Row(made.id, method, 0, "", pair, metric, "", float(grown), made.device, made.dataset.digest)
                parts = STRUCTURES if metric == "dice" else {}
                yield from [replace(row, region=region, value=row.value * times) for region, times in parts.items()]
                yield row


def _rendered(out, name):
    """File -> text."""
    made = replace(RECORD, protocol="all", pairs=ALL_PAIRS) if name.endswith("-all") else RECORD
    record.write(out / "run.json", made)
    results.append(out / "results.csv", list(_rows(made)))
    table, wanted, endings = FILES[name]
    built = kinds.build(out, table, wanted)
    return {f"{name}{ending}": _without_version(FORMATS[ending](built)) for ending in endings}


def _without_version(text):
    """Of a page only what is between header and footer: styles and version have their own time."""
    return text if "<main>" not in text else re.search(r"<main>.*</main>\n", text, re.DOTALL)[0]


@pytest.mark.parametrize("name", list(FILES))
def test_tables_look_as_they_were_agreed(tmp_path, name):
    for file, text in _rendered(tmp_path, name).items():
        assert text == (FOLDER / file).read_text(encoding="utf-8")


if __name__ == "__main__":
    for name in FILES:
        with tempfile.TemporaryDirectory() as folder:
            for file, text in _rendered(Path(folder), name).items():
                (FOLDER / file).write_text(text, encoding="utf-8")
