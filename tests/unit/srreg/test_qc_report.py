import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import phantom
import pytest

from srreg.dataset import SUFFIXES, Dataset, Participant, file_of
from srreg.errors import DataError, UsageError
from srreg.files import read_json, read_tsv, tsv, write_json, write_text
from srreg.labels import Label
from srreg.qc import checks, examination, pages
from srreg.qc.examination import Examination
from srreg.qc.pages import Row
from srreg.qc.report import write_report

HOSTILE = ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{7*7}}", "javascript:alert(1)", "</svg><b>&amp;"]


class Tags(HTMLParser):
    """Collects tags and attributes as a browser would see them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.scripts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1][0] == "script" and not self.scripts:
            self.scripts.append(data)


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return with_participants(
        phantom.write_dataset(tmp_path / "sr-reg", subjects=4),
        Participant("1BB001", "1BB001", "B", "failed", "/home/jane/1BB001/mr.nii.gz: was cut off", None, "n/a"),
        Participant("1BC001", "1BC001", "C", "excluded", "named by --exclude", None, "n/a"),
    )


def with_participants(dataset: Dataset, *others: Participant) -> Dataset:
    rows = [p.row() for p in (*dataset.participants, *others)]
    write_text(dataset.root / "participants.tsv", tsv(Participant.COLUMNS, rows))
    return Dataset.open(dataset.root)


def rekey(dataset: Dataset, subject_id: str) -> None:
    """As if the subject had been built anew."""
    sidecar = file_of(dataset.root, subject_id, "labels", ".json")
    write_json(sidecar, {**read_json(sidecar), "SubjectKey": "other voxels"})


def rows_shown(index: str) -> str:
    return index.partition("<tbody>")[2].partition("</tbody>")[0]


def test_index_and_a_page_for_every_built_subject(dataset: Dataset) -> None:
    index = write_report(dataset).index
    assert index == dataset.root / "qc" / "index.html"
    links = [a["href"] for tag, a in Tags(rows_shown(index.read_text())).tags if tag == "a"]
    assert links == [f"sub-{i}.html" for i in dataset.subjects]
    assert all((index.parent / link).is_file() for link in links)


def test_what_was_not_built_is_listed_with_its_reason_but_without_folders(dataset: Dataset) -> None:
    shown = rows_shown(write_report(dataset).index.read_text())
    assert "1BB001" in shown
    assert "mr.nii.gz: was cut off" in shown
    assert "named by --exclude" in shown
    assert "jane" not in shown


def test_verdicts_go_into_participants_and_findings_into_a_table(dataset: Dataset) -> None:
    index = write_report(dataset).index
    verdicts = {p.id: p.qc for p in Dataset.open(dataset.root).participants}
    assert verdicts["1BA001"] == "fail"  # the phantom has 4 of 19 labels
    assert verdicts["1BB001"] == "n/a"
    found = read_tsv(index.parent / "qc.tsv")
    assert len(found) == 4 * len(checks.CHECKS)
    assert {row["verdict"] for row in found if row["check"] == "brain-volume"} == {"pass"}


def test_a_second_report_measures_only_what_changed(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    first = write_report(dataset).index.read_text()
    measured: list[str] = []
    examined = examination._examined

    def noted(dataset: Dataset, participant: Participant, key: str) -> Examination:
        measured.append(participant.id)
        return examined(dataset, participant, key)

    monkeypatch.setattr(examination, "_examined", noted)
    again = Dataset.open(dataset.root)
    assert write_report(again).index.read_text() == first
    assert measured == []
    rekey(dataset, "1BA002")
    write_report(again)
    assert measured == ["1BA002"]
    monkeypatch.setattr(checks, "VERSION", checks.VERSION + 1)
    write_report(again)
    assert measured == ["1BA002", *again.subjects]


def test_several_processes_write_the_same_report(dataset: Dataset, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    one = write_report(dataset, tmp_path / "one" / "report.html").index
    two = write_report(dataset, tmp_path / "two" / "report.html", n_procs=2, progress=lambda *what: told.append(what)).index
    assert [p.name for p in sorted(one.parent.glob("*.html"))] == [p.name for p in sorted(two.parent.glob("*.html"))]
    assert all(p.read_bytes() == (two.parent / p.name).read_bytes() for p in one.parent.glob("*.html"))
    assert told == [(subject, n, 4) for n, subject in enumerate(dataset.subjects, start=1)]


def test_a_subject_that_cannot_be_read_fails_with_its_reason_and_the_others_go_on(dataset: Dataset) -> None:
    write_report(dataset)
    path = dataset.file("1BA002", "ct")
    content = bytearray(path.read_bytes())
    content[-6] ^= 1  # in the checksum: the size stays
    path.write_bytes(content)
    rekey(dataset, "1BA002")
    dataset.file("1BA003", "labels", ".json").unlink()
    index = write_report(dataset).index
    shown = rows_shown(index.read_text())
    assert "is damaged" in shown
    assert str(dataset.root) not in shown
    assert not (index.parent / "sub-1BA002.html").exists()
    assert not (index.parent / "sub-1BA003.html").exists()
    assert (index.parent / "sub-1BA004.html").exists()
    assert {p.id: p.qc for p in Dataset.open(dataset.root).participants}["1BA002"] == "fail"


@pytest.mark.parametrize("kind", SUFFIXES)
def test_a_subject_damaged_after_a_report_fails_in_the_next_and_its_old_page_goes(dataset: Dataset, kind: str) -> None:
    before = write_report(dataset)
    path = dataset.file("1BA002", kind)
    whole = path.read_bytes()
    path.write_bytes(whole[:-50])
    report = write_report(dataset)
    assert report.failed["1BA002"].startswith(f"{path.name}: was built with {len(whole)} bytes, it has {len(whole) - 50}")
    assert "was built with" in rows_shown(report.index.read_text())
    assert {p.id: p.qc for p in Dataset.open(dataset.root).participants}["1BA002"] == "fail"
    assert not (report.index.parent / "sub-1BA002.html").exists()
    path.unlink()
    assert "it is missing" in write_report(dataset).failed["1BA002"]
    path.write_bytes(whole)
    assert write_report(dataset) == before
    assert (report.index.parent / "sub-1BA002.html").exists()


def test_failing_subjects_are_told_with_the_checks_they_fail(dataset: Dataset) -> None:
    report = write_report(dataset)
    assert tuple(report.failed) == dataset.subjects
    assert "Labels present 4 of 19 (pass 19, warn 17 to 19)" in report.failed["1BA001"]


def test_an_index_that_is_a_folder_or_lies_in_a_file_is_refused_before_anything_is_drawn(dataset: Dataset) -> None:
    drawn: list[str] = []
    for out in (dataset.root, dataset.root / "participants.tsv" / "qc" / "index.html"):
        with pytest.raises(UsageError, match=r"is a folder; expected a file|participants.tsv is a file"):
            write_report(dataset, out, progress=lambda name, done, total: drawn.append(name))
    assert not drawn


def test_a_damaged_kept_examination_is_made_again(dataset: Dataset) -> None:
    first = write_report(dataset).index.read_bytes()
    for kept in (dataset.root / "qc" / ".srreg-qc").iterdir():
        kept.write_text(kept.read_text()[:300])
    assert write_report(dataset).index.read_bytes() == first


def test_a_data_set_of_nobody_is_an_error(dataset: Dataset) -> None:
    write_text(dataset.root / "participants.tsv", tsv(Participant.COLUMNS, []))
    with pytest.raises(DataError, match="lists no subjects"):
        write_report(Dataset.open(dataset.root))


def test_a_data_set_where_all_failed_is_a_page(dataset: Dataset) -> None:
    failed = [replace(p, status="failed", reason="no brain").row() for p in dataset.participants]
    write_text(dataset.root / "participants.tsv", tsv(Participant.COLUMNS, failed))
    index = write_report(Dataset.open(dataset.root)).index.read_text()
    assert rows_shown(index).count("no brain") == 6


def test_pages_fetch_nothing_and_run_only_the_script_their_policy_names(dataset: Dataset) -> None:
    index = write_report(dataset).index
    for page in index.parent.glob("*.html"):
        seen = Tags(page.read_text())
        policy = next(a["content"] for tag, a in seen.tags if a.get("http-equiv") == "Content-Security-Policy")
        assert policy.startswith("default-src 'none'; img-src data:; style-src 'unsafe-inline'")
        digests = [base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in seen.scripts]
        assert re.findall(r"script-src '([^']*)'", policy) == ([f"sha256-{d}" for d in digests] or ["none"])
        for tag, attributes in seen.tags:
            links = [attributes[name] for name in ("src", "href") if name in attributes]
            assert all(link.startswith(("data:image/", "#", "sub-", "index.html")) for link in links), tag
        assert "http" not in re.sub(r"http-equiv|data:[^\"]*", "", page.read_text())
        assert "url(" not in re.sub(r"url\(#\w+\)", "", page.read_text())


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_shown_as_text(dataset: Dataset, text: str) -> None:
    plain = write_report(dataset).index.read_text()
    hostile = with_participants(
        dataset,
        Participant(text, text, "A", "built", "", 1500.0, "n/a"),
        Participant("1BA009", "1BA009", text, "failed", text, None, "n/a"),
    )
    write_json(hostile.root / "dataset_description.json", {"Name": text})
    write_text(hostile.root / "manifest.jsonl", "")
    index = write_report(Dataset.open(hostile.root)).index
    seen = Tags(index.read_text())
    kinds = {tag for tag, _ in Tags(plain).tags}
    assert {tag for tag, _ in seen.tags} == kinds
    assert sum(tag == "script" for tag, _ in seen.tags) == 1
    assert sum(tag == "img" for tag, _ in seen.tags) == 4
    assert not any(name.startswith("on") for _, attributes in seen.tags for name in attributes)
    assert "{{7*7}}" in index.read_text() or "7*7" not in text
    assert sorted(p.name for p in index.parent.glob("*.html")) == ["index.html", *(f"sub-1BA00{n}.html" for n in (1, 2, 3, 4))]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_on_a_subjects_page_is_shown_as_text(dataset: Dataset, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    write_report(dataset)
    participant = replace(dataset.participants[0], centre=text)
    seen = examination.examine_subject(dataset, participant, dataset.root / "qc" / ".srreg-qc")
    noted = replace(seen, grid=text, findings=tuple(replace(f, note=text, verdict="warn") for f in seen.findings))
    monkeypatch.setattr(pages, "LABELS", (Label(2, text, True, "#ffffff"),))
    line = pages.StepLine(text, text, text, text, text)
    page = pages.subject_page(text, Row(participant, noted), [line], "index.html")
    plain = Tags((dataset.root / "qc" / "sub-1BA001.html").read_text())
    tags = Tags(page).tags
    assert {tag for tag, _ in tags} <= {tag for tag, _ in plain.tags} | {"i", "code"}
    assert not any(name.startswith("on") for _, attributes in tags for name in attributes)
    assert "7*7" not in text or page.count(text) > 5
