"""Run folders written by hand: a record and the rows that a table is to show."""

from dataclasses import replace

from benchmark import record, results
from benchmark.record import DatasetRecord, Entry, RunRecord
from benchmark.results import Row

RECORD = RunRecord(
    id="20260101T000000.000000Z",
    methods=("initial",),
    seeds=(0,),
    entries=(Entry("initial", 0, ""),),
    protocol="paper",
    pairs=("a1-mr_a2-ct", "b1-mr_b2-ct"),
    paper_pairs=2,
    device="cpu",
    settings={},
    dataset=DatasetRecord("abc", "SR-Reg", False, 4, 2, "12x14x16 at 1 x 1 x 1 mm"),
    versions={},
    commit=None,
)


def row(method="initial", pair="a", metric="dice", value=50.0, **others):
    """A number of the whole image; pair `a` is of the people a1 and a2."""
    return replace(Row(RECORD.id, method, 0, "", f"{pair}1-mr_{pair}2-ct", metric, "", value, "cpu", "abc"), **others)


def asking(*entries, **others):
    """The record of a run that was asked for these."""
    entries = tuple(Entry(*entry) for entry in entries)
    return replace(RECORD, methods=tuple(dict.fromkeys(e.method for e in entries)), entries=entries, **others)


def run_folder(out, *rows, records=None):
    """A folder with rows and records; without records, of a run that was asked for just these rows."""
    for made in records or [asking(*dict.fromkeys((row.method, row.seed, row.weights) for row in rows))]:
        record.write(out / "run.json", made)
    results.append(out / "results.csv", rows)
    return out


def compared(out, numbers, metric="dice", **others):
    """A folder of one pair a number: method -> its numbers, pair by pair."""
    letters = "abcdefghijklmnopqrst"
    rows = [
        row(method, letters[number], metric, value)
        for method, values in numbers.items()
        for number, value in enumerate(values)
        if value is not None
    ]
    pairs = tuple(f"{letter}1-mr_{letter}2-ct" for letter in letters[: max(map(len, numbers.values()))])
    return run_folder(out, *rows, records=[asking(*((method, 0, "") for method in numbers), pairs=pairs, **others)])
