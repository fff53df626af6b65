import codecs
from pathlib import Path

import pytest
from phantom import write_dataset

from srreg.dataset import Dataset, Participant
from srreg.errors import DataError
from srreg.files import read_tsv, write_json
from srreg.subject import ImageRef, Pair


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return write_dataset(tmp_path / "sr-reg", subjects=4)


def again(dataset: Dataset) -> Dataset:
    return Dataset.open(dataset.root)


def edit(path: Path, before: str, after: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert before in text
    path.write_text(text.replace(before, after), encoding="utf-8")


@pytest.mark.parametrize("column", Participant.COLUMNS)
def test_a_table_of_participants_without_a_column_is_refused_by_name(dataset: Dataset, column: str) -> None:
    edit(dataset.root / "participants.tsv", column, "other")
    with pytest.raises(DataError, match=rf"participants\.tsv: has no column {column}; expected"):
        _ = again(dataset).participants


def test_a_row_without_a_cell_is_no_participant() -> None:
    with pytest.raises(DataError, match="has no column person"):
        Participant.from_row({"participant_id": "sub-1BA001"})


def test_a_brain_volume_that_is_no_number_is_refused_by_name(dataset: Dataset) -> None:
    edit(dataset.root / "participants.tsv", "1500.0", "large")
    with pytest.raises(DataError, match=r"participants\.tsv: sub-1BA001: expected a number or n/a as brain_ml, got 'large'"):
        _ = again(dataset).participants


@pytest.mark.parametrize("name", ["participants.tsv", "splits/test.txt", "pairs/test.csv"])
def test_what_is_not_utf_8_is_refused_by_name(dataset: Dataset, name: str) -> None:
    path = dataset.root / name
    path.write_bytes(path.read_bytes() + "Jürgen".encode("latin-1"))
    with pytest.raises(DataError, match=f"{name}: is not UTF-8 text"):
        _ = again(dataset).participants, dataset.split("test"), dataset.pairs("test", "all")


@pytest.mark.parametrize("name", ["participants.tsv", "splits/test.txt", "pairs/test.csv"])
def test_the_mark_an_editor_puts_before_a_text_is_dropped(dataset: Dataset, name: str) -> None:
    before = dataset.participants, dataset.split("test"), dataset.pairs("test", "all")
    path = dataset.root / name
    path.write_bytes(codecs.BOM_UTF8 + path.read_bytes())
    now = again(dataset)
    assert (now.participants, now.split("test"), now.pairs("test", "all")) == before


def test_a_table_that_is_not_there_is_a_data_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"x\.tsv: cannot be read"):
        read_tsv(tmp_path / "x.tsv")


def test_pairs_are_those_of_the_protocol(dataset: Dataset) -> None:
    first, second = dataset.split("test")
    couple = Pair(ImageRef(first, "mr"), ImageRef(second, "ct"))
    assert dataset.pairs("test", "paper") == (couple,)
    assert dataset.pairs("test", "all") == (couple, Pair(ImageRef(second, "mr"), ImageRef(first, "ct")))


@pytest.mark.parametrize("column", ["moving", "fixed", "protocol"])
def test_pairs_without_a_column_are_refused_by_name(dataset: Dataset, column: str) -> None:
    edit(dataset.root / "pairs" / "test.csv", column, "other")
    with pytest.raises(DataError, match=rf"test\.csv: has no column {column}"):
        dataset.pairs("test", "all")


@pytest.mark.parametrize("pair", ["1BA003,1BA004:ct,all", "1BA003:mr,1BA004:pet,all"])
def test_a_pair_of_no_images_is_refused_by_name(dataset: Dataset, pair: str) -> None:
    (dataset.root / "pairs" / "test.csv").write_text(f"moving,fixed,protocol\n{pair}\n1BA001\n")
    with pytest.raises(DataError, match=r"test\.csv: expected SUBJECT:mr or SUBJECT:ct"):
        dataset.pairs("test", "all")


@pytest.mark.parametrize("folder", ["splits", "pairs"])
def test_a_missing_folder_is_said_with_what_to_do(dataset: Dataset, folder: str) -> None:
    for path in (dataset.root / folder).iterdir():
        path.unlink()
    (dataset.root / folder).rmdir()
    with pytest.raises(DataError, match="is missing; run srreg build again"):
        _ = dataset.split("train"), dataset.pairs("test", "all")
    with pytest.raises(DataError, match="is missing; run srreg build again"):
        _ = again(dataset).digest


def test_the_digest_is_of_subjects_splits_and_pairs_and_of_nothing_that_lies_beside_them(dataset: Dataset) -> None:
    before = dataset.digest
    for folder in ("splits", "pairs"):
        (dataset.root / folder / ".DS_Store").write_bytes(b"\0")
        (dataset.root / folder / "notes").mkdir()
    assert again(dataset).digest == before
    edit(dataset.root / "splits" / "test.txt", "1BA004", "1BA001")
    changed = again(dataset).digest
    assert changed != before
    write_json(dataset.file("1BA002", "labels", ".json"), {"SubjectKey": "other files"})
    assert again(dataset).digest not in (before, changed)


def test_a_sidecar_without_a_key_is_refused_by_name(dataset: Dataset) -> None:
    write_json(dataset.file("1BA002", "labels", ".json"), {})
    with pytest.raises(DataError, match=r"sub-1BA002_dseg\.json: has no SubjectKey"):
        _ = dataset.digest
