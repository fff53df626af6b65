import hashlib
import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import filelock
import pytest
from https_server import Behaviour, serving

from srreg.errors import BackendUnavailable, FolderBusy
from srreg.weights.archive import FIRST_SEEN, RECORD, Archive, weights_folder

FILES = {"plans.json": b"{}", "fold_all/checkpoint_final.pth": b"weights" * 1000}


def _zip(files: dict[str, bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_STORED) as opened:
        for name, content in files.items():
            opened.writestr(zipfile.ZipInfo(name), content)
    return made.getvalue()


ZIPPED = _zip(FILES)
DIGEST = hashlib.sha256(ZIPPED).hexdigest()


@pytest.fixture
def told() -> Behaviour:
    return Behaviour(ZIPPED)


@pytest.fixture
def archive(told: Behaviour, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Archive]:
    """Without a published digest, as HD-BET's."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    with serving(told, tmp_path, monkeypatch) as url:
        yield Archive("net", url, "net.zip", tuple(FILES), most_bytes=10**6)


def _left() -> list[str]:
    folder = weights_folder()
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and path.name != ".lock")


def test_weights_are_fetched_unpacked_and_proved(archive: Archive) -> None:
    with pytest.raises(
        BackendUnavailable, match="net has no weights yet: srreg weights fetch net; without a network put https"
    ):
        archive.verify()
    archive.fetch()
    assert {name: (archive.folder / name).read_bytes() for name in FILES} == FILES
    assert DIGEST in archive.verify()
    assert _left() == [FIRST_SEEN, *sorted([*(f"net/{name}" for name in FILES), f"net/{RECORD}"])]


def test_a_second_fetch_asks_nobody(archive: Archive, told: Behaviour) -> None:
    archive.fetch()
    archive.fetch()
    assert len(told.asked) == 1


def test_without_a_published_digest_the_first_one_seen_is_written_down_and_said(archive: Archive) -> None:
    archive.fetch()
    assert "not published; trusted as first seen on 20" in archive.verify()
    seen = json.loads((weights_folder() / FIRST_SEEN).read_text())["net"]
    assert (seen["sha256"], seen["url"]) == (DIGEST, archive.url)


def test_a_file_that_is_exchanged_after_the_first_fetch_is_refused(archive: Archive, told: Behaviour) -> None:
    archive.fetch()
    (archive.folder / "plans.json").unlink()
    told.content = _zip({**FILES, "plans.json": b"[]"})
    with pytest.raises(BackendUnavailable, match=f"but {DIGEST} was first seen on 20.*if you know why it changed, delete"):
        archive.fetch()
    assert not (weights_folder() / "net.zip").exists()
    told.content = ZIPPED
    archive.fetch()
    assert DIGEST in archive.verify()


def test_a_published_digest_must_be_met_the_first_time_too(archive: Archive) -> None:
    replace(archive, sha256=DIGEST, size=len(ZIPPED)).fetch()
    assert "as published" in replace(archive, sha256=DIGEST).verify()
    other = replace(archive, name="other", sha256="0" * 64)
    with pytest.raises(BackendUnavailable, match=f"has sha256 {DIGEST}, but {'0' * 64} was published"):
        other.fetch()
    assert not other.folder.exists()
    assert FIRST_SEEN not in _left()


def test_weights_that_were_fetched_under_another_digest_do_not_pass_for_the_published_ones(archive: Archive) -> None:
    archive.fetch()
    with pytest.raises(BackendUnavailable, match="damaged weights"):
        replace(archive, sha256="0" * 64).verify()


@pytest.mark.parametrize("harm", ["cut", "turned", "gone", "record"])
def test_damaged_weights_are_found_and_fetched_again(archive: Archive, harm: str) -> None:
    archive.fetch()
    victim = archive.folder / "fold_all" / "checkpoint_final.pth"
    content = victim.read_bytes()
    if harm == "gone":
        victim.unlink()
    elif harm == "record":
        (archive.folder / RECORD).write_text("{")
    else:
        victim.write_bytes(content[:-1] + (b"" if harm == "cut" else b"x"))
    with pytest.raises(BackendUnavailable, match="srreg weights fetch net"):
        archive.verify()
    archive.fetch()
    assert victim.read_bytes() == content


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (_zip({"plans.json": b"{}"}), "holds no fold_all/checkpoint_final.pth"),
        (_zip({**FILES, "../outside": b"x"}), "would not lie in the folder"),
        (ZIPPED[:-30], "is no zip, or cut off"),
    ],
    ids=["another archive", "leads out", "cut off"],
)
def test_an_archive_that_is_refused_leaves_nothing_but_itself(
    archive: Archive, told: Behaviour, tmp_path: Path, content: bytes, message: str
) -> None:
    told.content = content
    with pytest.raises(BackendUnavailable, match=f"{message}.*Delete it; srreg weights fetch net"):
        archive.fetch()
    assert _left() == ["net.zip"]
    assert not list(tmp_path.rglob("outside"))


def test_a_zip_that_a_person_puts_there_needs_no_network(archive: Archive, told: Behaviour) -> None:
    weights_folder().mkdir(parents=True)
    (weights_folder() / "net.zip").write_bytes(ZIPPED)
    archive.fetch()
    assert DIGEST in archive.verify()
    assert told.asked == []


def test_a_fetch_that_is_killed_while_it_unpacks_leaves_no_folder_that_passes_for_whole(archive: Archive) -> None:
    code = (
        "import os, signal, sys; from srreg.weights import archive; from srreg.weights.archive import Archive\n"
        "def killed(*a): os.kill(os.getpid(), signal.SIGKILL)\n"
        "archive.write_json = killed\n"
        f"Archive('net', {archive.url!r}, 'net.zip', {tuple(FILES)!r}, 10**6).fetch()"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    assert not archive.folder.exists()
    archive.fetch()
    assert DIGEST in archive.verify()
    assert not [name for name in _left() if name.endswith(".part")]


def test_two_fetches_at_once_are_one(archive: Archive) -> None:
    weights_folder().mkdir(parents=True)
    with (
        filelock.FileLock(weights_folder() / ".lock"),
        pytest.raises(FolderBusy, match="another srreg weights fetch is at work"),
    ):
        archive.fetch()


def test_a_damaged_list_of_what_was_first_seen_is_not_taken_for_an_empty_one(archive: Archive) -> None:
    archive.fetch()
    (archive.folder / "plans.json").unlink()
    (weights_folder() / FIRST_SEEN).write_text("[]")
    with pytest.raises(BackendUnavailable, match="first-seen.json is damaged .*delete it to trust what comes next"):
        archive.fetch()
