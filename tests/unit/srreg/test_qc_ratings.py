import json
from datetime import UTC, datetime
from pathlib import Path

import phantom
import pytest

from srreg.build import splits as drawn
from srreg.dataset import SPLITS, Dataset, file_of
from srreg.errors import DataError
from srreg.files import read_json, read_tsv, write_json, write_text
from srreg.qc.rating_file import read_rating_file
from srreg.qc.report import write_report
from srreg.qc.take import Taken, import_ratings
from srreg.ratings import ledger, read_ratings

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
HEAD = "participant_id\tdecision\treasons\tcomment\trater\tdate\n"
REJECT = HEAD + "sub-1BA007\treject\tmask,metal\teye inside\tjane\t2026-11-20T10:00:00Z\n"


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return phantom.write_dataset_as_built(tmp_path / "sr-reg")


def take(dataset: Dataset, text: str) -> Taken:
    path = dataset.root.parent / "ratings"
    write_text(path, text)
    return import_ratings(dataset.root, path)


def lists(dataset: Dataset) -> dict[str, bytes]:
    names = [*(f"splits/{name}.txt" for name in (*SPLITS, "persons")), "pairs/val.csv", "pairs/test.csv", "participants.tsv"]
    return {name: (dataset.root / name.replace("persons.txt", "persons.tsv")).read_bytes() for name in names}


def test_a_rejected_subject_leaves_splits_and_pairs_and_nobody_else_moves(dataset: Dataset) -> None:
    before = lists(dataset)
    taken = take(dataset, REJECT)
    assert taken == Taken(new=1, left=("1BA007",), returned=(), empty=())
    now = Dataset.open(dataset.root)
    assert now.split("test") == ("1BA005", "1BA006", "1BA008")
    assert {str(ref.subject) for pair in now.pairs("test", "all") for ref in (pair.moving, pair.fixed)} == set(
        now.split("test")
    )
    assert len(now.pairs("test", "all")) == 6
    assert len(now.pairs("test", "paper")) == 1
    unmoved = ("splits/train.txt", "splits/val.txt", "splits/persons.txt", "pairs/val.csv")
    assert {name: lists(dataset)[name] for name in unmoved} == {name: before[name] for name in unmoved}
    assert "1BA007" in drawn.read(dataset.root / "splits").members["test"]  # type: ignore[union-attr]


def test_who_rejected_and_when_stands_with_the_subject_and_in_the_manifest(dataset: Dataset) -> None:
    take(dataset, REJECT)
    rejected = next(p for p in Dataset.open(dataset.root).participants if p.id == "1BA007")
    told = "rejected by jane on 2026-11-20: mask,metal; eye inside"
    assert (rejected.status, rejected.reason) == ("rejected", told)
    lines = [json.loads(line) for line in (dataset.root / "manifest.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if line["subject"] == "1BA007"] == ["conform", "rate"]
    assert next(line for line in lines if line["step"] == "rate")["reason"] == told


def test_taking_the_same_ratings_twice_changes_nothing_more(dataset: Dataset) -> None:
    take(dataset, REJECT)
    once, ratings = lists(dataset), ledger(dataset.root).read_bytes()
    assert take(dataset, REJECT) == Taken(new=0, left=(), returned=(), empty=())
    assert (lists(dataset), ledger(dataset.root).read_bytes()) == (once, ratings)


def test_a_newer_rating_brings_a_subject_back_and_an_older_one_does_not(dataset: Dataset) -> None:
    before = lists(dataset)
    take(dataset, REJECT)
    older = HEAD + "sub-1BA007\taccept\t\t\tjoe\t2026-11-19\n"
    assert take(dataset, older).returned == ()
    newer = HEAD + "sub-1BA007\taccept\t\tlooked again\tjoe\t2026-11-21T10:00:00+02:00\n"
    assert take(dataset, newer).returned == ("1BA007",)
    assert lists(dataset) == before
    assert [r.date for r in read_ratings(dataset.root)] == [
        "2026-11-19T00:00:00Z",
        "2026-11-20T10:00:00Z",
        "2026-11-21T08:00:00Z",
    ]


def test_a_rating_of_other_voxels_counts_no_more(dataset: Dataset) -> None:
    take(dataset, REJECT)
    sidecar = file_of(dataset.root, "1BA007", "labels", ".json")
    write_json(sidecar, {**read_json(sidecar), "SubjectKey": "other voxels"})
    assert take(dataset, HEAD).returned == ("1BA007",)


def test_a_rejected_subject_stays_in_the_report_with_its_page(dataset: Dataset) -> None:
    take(dataset, REJECT)
    index = write_report(Dataset.open(dataset.root)).index
    assert (index.parent / "sub-1BA007.html").is_file()
    assert "rejected by jane" in index.read_text()
    assert {p.id: p.status for p in Dataset.open(dataset.root).participants}["1BA007"] == "rejected"


def test_json_as_the_report_saves_it_says_the_same_as_a_table(dataset: Dataset, tmp_path: Path) -> None:
    rating = {"participant_id": "sub-1BA007", "decision": "reject", "reasons": ["metal", "mask"], "comment": "eye inside"}
    record = {"format": "srreg-ratings", "ratings": [{**rating, "rater": "jane", "date": "2026-11-20T10:00:00Z"}]}
    (tmp_path / "a.json").write_text(json.dumps(record))
    (tmp_path / "a.tsv").write_text(REJECT)
    images = {"1BA007": "key"}
    assert read_rating_file(tmp_path / "a.json", images, NOW) == read_rating_file(tmp_path / "a.tsv", images, NOW)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (REJECT.replace("1BA007", "1BZ999"), "line 2: '1BZ999' is no built subject"),
        (REJECT.replace("sub-1BA007", "../../etc/passwd"), "is no built subject"),
        (REJECT.replace("reject", "maybe"), "expected accept, unsure, reject as decision, got 'maybe'"),
        (REJECT.replace("mask,metal", "ugly"), "expected reasons among mask, "),
        (REJECT.replace("2026-11-20T10:00:00Z", "yesterday"), "expected a date as"),
        (REJECT.replace("2026-11-20", "2999-11-20"), "lies in the future"),
        (REJECT.replace("jane", "n/a"), "has no rater"),
        (REJECT + REJECT.splitlines()[1].replace("reject", "accept"), "jane rates 1BA007 twice"),
        (REJECT.replace("jane\t", "jane"), "expected 6 columns, got 5"),
        ("who\twhat\n", "has no column participant_id, decision, rater, date"),
        ("", "has no column"),
        ("{nonsense", "is not JSON"),
        ("[" * 100_000, "has no column"),
        ('{"a":' * 100_000, "is not JSON"),
        ('{"format": "srreg-ratings", "ratings": [1]}', "as the report saves it"),
        ('{"format": "other", "ratings": []}', "as the report saves it"),
        (REJECT.replace("eye inside", "x" * 2001), "at most 2000 characters"),
    ],
)
def test_what_cannot_be_taken_is_refused_and_nothing_changes(dataset: Dataset, text: str, words: str) -> None:
    before = lists(dataset)
    with pytest.raises(DataError, match="ratings") as caught:
        take(dataset, text)
    assert words in str(caught.value)
    assert lists(dataset) == before
    assert not ledger(dataset.root).exists()


@pytest.mark.parametrize("comment", ['=HYPERLINK("http://x","y")', "+1", "-1", "@SUM(A1)", "\x00=1", " =1", "|calc", "%x"])
def test_a_formula_in_a_comment_stays_text(dataset: Dataset, comment: str) -> None:
    take(dataset, REJECT.replace("eye inside", comment))
    cell = read_tsv(ledger(dataset.root))[0]["comment"]
    assert cell.startswith("'")
    take(dataset, REJECT.replace("eye inside", cell))
    assert len(read_ratings(dataset.root)) == 1


def test_markup_in_a_comment_is_shown_as_text(dataset: Dataset) -> None:
    take(dataset, REJECT.replace("eye inside", "<script>alert(1)</script>"))
    index = write_report(Dataset.open(dataset.root)).index.read_text()
    assert "<script>alert(1)" not in index
    assert "&lt;script&gt;alert(1)" in index


def rated(**changed: object) -> str:
    rating = {"participant_id": "sub-1BA007", "decision": "reject", "rater": "jane", "date": "2026-11-20T10:00:00Z"}
    return json.dumps({"format": "srreg-ratings", "ratings": [rating | changed]})


@pytest.mark.parametrize(
    "changed",
    [{"rater": None}, {"decision": ["reject"]}, {"comment": {"a": 1}}, {"date": 20261120}]
    + [{"date": date} for date in ("0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "0999-01-01T00:00:00Z")],
)
def test_what_is_no_text_and_what_is_no_date_of_a_scan_are_refused(dataset: Dataset, changed: dict[str, object]) -> None:
    with pytest.raises(DataError):
        take(dataset, rated(**changed))
    assert Dataset.open(dataset.root).subjects == dataset.subjects


def test_a_cell_that_a_spreadsheet_quoted_is_read(dataset: Dataset) -> None:
    take(dataset, REJECT.replace("mask,metal", '"mask,metal"').replace("eye inside", '"an ""eye"" inside"'))
    assert [(r.reasons, r.comment) for r in read_ratings(dataset.root)] == [("mask,metal", 'an "eye" inside')]


def test_nothing_changes_where_another_subject_is_damaged(dataset: Dataset) -> None:
    file_of(dataset.root, "1BA001", "labels", ".json").unlink()
    before = lists(dataset)
    with pytest.raises(DataError, match="1BA001"):
        take(dataset, REJECT)
    assert lists(dataset) == before
    assert not ledger(dataset.root).exists()
