import pytest

from srreg.errors import DataError, NoRoom
from srreg.files import read_tsv, remove_unfinished, tsv, write_whole


@pytest.mark.parametrize(("written", "error"), [(b"ne", NoRoom), (b"nex", DataError)])
def test_a_write_that_fails_leaves_the_old_file_and_nothing_beside_it(tmp_path, monkeypatch, written, error):
    path = tmp_path / "x.txt"
    write_whole(path, b"old")
    monkeypatch.setattr("srreg.files._write_through", lambda aside, content: aside.write_bytes(written))
    with pytest.raises(error, match=r"x\.txt"):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["x.txt"]


def test_a_full_disk_is_said_in_one_line(tmp_path, monkeypatch):
    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(NoRoom, match="no room for 3 bytes"):
        write_whole(tmp_path / "x.txt", b"new")
    assert not list(tmp_path.iterdir())


def test_a_table_keeps_one_line_a_row_whatever_its_cells_hold(tmp_path):
    path = tmp_path / "x.tsv"
    path.write_text(tsv(("id", "reason"), [{"id": "a", "reason": "two\nlines\tand tabs"}, {"id": "b"}]))
    assert read_tsv(path) == [{"id": "a", "reason": "two lines and tabs"}, {"id": "b", "reason": "n/a"}]
    path.write_text("id\treason\na\n")
    with pytest.raises(DataError, match="line 2"):
        read_tsv(path)


def unfinished(name, process_id):
    return f".{name}.{process_id}.{'0' * 32}.part"


def test_only_what_the_killed_process_left_is_removed(tmp_path):
    mine, others = unfinished("mr.nii.gz", 42), unfinished("mr.nii.gz", 41)
    for name in (mine, others, "mr.nii.gz", ".42.x", ".notes.42.part"):
        (tmp_path / name).touch()
    remove_unfinished(tmp_path, 42)
    assert sorted(p.name for p in tmp_path.iterdir()) == [".42.x", others, ".notes.42.part", "mr.nii.gz"]


def test_what_anybody_left_unfinished_goes_with_its_folders(tmp_path):
    folder = tmp_path / "cache" / unfinished("key", 41)
    folder.mkdir(parents=True)
    (folder / unfinished("labels.nii.gz", 41)).touch()
    (tmp_path / "cache" / "whole.nii.gz").touch()
    remove_unfinished(tmp_path)
    assert [p.name for p in tmp_path.rglob("*")] == ["cache", "whole.nii.gz"]
