"""Hostile archives: refused before anything is written, each for its own reason."""

import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from srreg.errors import DataError
from srreg.weights.unpack import Limits, unpack


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return tmp_path / "a.zip"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "unpacked"


def _write(archive: Path, *names: str, content: bytes = b"content", mode: int = 0) -> None:
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as opened:
        for name in names:
            info = zipfile.ZipInfo("x")
            info.filename = name  # as it is: the constructor would mend it
            info.compress_type, info.external_attr = zipfile.ZIP_DEFLATED, mode << 16
            opened.writestr(info, b"" if name.endswith("/") else content)


def _refused(archive: Path, folder: Path, message: str, limits: Limits | None = None) -> None:
    before = sorted(archive.parent.rglob("*"))
    with pytest.raises(DataError, match=message):
        unpack(archive, folder, limits or Limits())
    assert sorted(archive.parent.rglob("*")) == before


def test_an_honest_archive_is_unpacked_as_it_is(archive: Path, folder: Path) -> None:
    _write(archive, "plans.json", "fold_all/", "fold_all/checkpoint_final.pth", "ü/ein Name.txt")
    unpack(archive, folder)
    found = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    assert found == ["fold_all/checkpoint_final.pth", "plans.json", "ü/ein Name.txt"]
    assert (folder / "plans.json").read_bytes() == b"content"
    assert stat.S_IMODE((folder / "plans.json").stat().st_mode) & 0o111 == 0


@pytest.mark.parametrize(
    "name",
    [
        *("../x", "a/../../x", "..", "a/..", "./x", "a//x", "/etc/x", "//host/x", "C:/x", "C:x", "a\\..\\x", "\\x"),
        *("x\0.txt", "a\nb", "\x1b[2Jx", "x" * 256, "/".join(["abcdefgh"] * 200), "", "/"),
    ],
)
def test_a_name_that_leads_out_or_cannot_be_one_is_refused(archive: Path, folder: Path, name: str) -> None:
    _write(archive, "honest", name)
    _refused(archive, folder, "would not lie in the folder it is unpacked to; nothing was unpacked")


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK])
def test_links_and_devices_are_refused(archive: Path, folder: Path, kind: int) -> None:
    _write(archive, "x", content=b"/etc/passwd", mode=kind | 0o777)
    _refused(archive, folder, "is a link or a device")


@pytest.mark.parametrize("names", [("x", "x"), ("a/X", "a/x"), ("\u00e9", "e\u0301"), ("x/", "x"), ("Straße", "STRASSE")])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_is_there_twice_on_any_disk_is_refused(archive: Path, folder: Path, names: tuple[str, ...]) -> None:
    _write(archive, *names)
    _refused(archive, folder, "is there twice")


def test_a_file_with_something_below_it_is_refused(archive: Path, folder: Path) -> None:
    _write(archive, "a/b/c", "A")
    _refused(archive, folder, "'a/b/c' lies below a file")


def test_too_many_entries_are_refused_before_they_are_read(
    archive: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write(archive, *map(str, range(1001)))
    monkeypatch.setattr(zipfile, "ZipFile", lambda path: pytest.fail("the list of entries was read"))
    _refused(archive, folder, "has too many entries; at most 1000 are unpacked")


def test_a_list_of_entries_that_hides_its_length_is_refused(archive: Path, folder: Path) -> None:
    """The classic end record says few; a 64-bit one before it, which zipfile believes, says many."""
    _write(archive, *map(str, range(1001)))
    data = archive.read_bytes()
    at = data.rfind(b"PK\x05\x06")
    size, offset = struct.unpack_from("<II", data, at + 12)
    record = struct.pack("<4sQHHIIQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, 1001, 1001, size, offset)
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, at, 1)
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 1, 1, 46, offset, 0)
    archive.write_bytes(data[:at] + record + locator + end)
    assert len(zipfile.ZipFile(archive).namelist()) == 1001
    _refused(archive, folder, "has too many entries")


def test_a_bomb_is_refused_by_its_ratio_and_by_its_size(archive: Path, folder: Path) -> None:
    _write(archive, "x", content=bytes(10_000_000))
    _refused(archive, folder, "'x' grows more than 200 times")
    _refused(
        archive, folder, "1 entries of 10000000 bytes; at most 1000 of 5000000", Limits(unpacked_bytes=5_000_000, ratio=10**6)
    )


def _with_entry(archive: Path, change: Callable[[bytearray, int], None]) -> None:
    """Change the last entry in the list of entries."""
    data = bytearray(archive.read_bytes())
    change(data, data.rfind(b"PK\x01\x02"))
    archive.write_bytes(data)


def test_an_entry_that_hides_its_size_gives_no_more_than_it_said(archive: Path, folder: Path) -> None:
    _write(archive, "x", content=bytes(10_000_000))
    _with_entry(archive, lambda data, at: struct.pack_into("<I", data, at + 24, 1000))
    with pytest.raises(DataError, match="is damaged or no zip"):
        unpack(archive, folder)
    assert sum(path.stat().st_size for path in folder.rglob("*")) <= 1000


def test_entries_that_share_their_bytes_are_refused(archive: Path, folder: Path) -> None:
    _write(archive, "x", "y", content=bytes(100))
    with_first = archive.read_bytes()
    packed = len(with_first)
    _with_entry(archive, lambda data, at: struct.pack_into("<I", data, at + 20, packed))
    _refused(archive, folder, "share their bytes")


def test_an_encrypted_entry_and_an_unusual_packing_are_refused(archive: Path, folder: Path) -> None:
    _write(archive, "x")
    _with_entry(archive, lambda data, at: struct.pack_into("<H", data, at + 8, 1))
    _refused(archive, folder, "is encrypted or packed in an unusual way")
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_BZIP2) as opened:
        opened.writestr("x", b"content")
    _refused(archive, folder, "is encrypted or packed in an unusual way")


@pytest.mark.parametrize("content", [b"", b"<html>no</html>", b"PK\x05\x06", b"\x1f\x8b" + bytes(100)])
def test_what_is_no_zip_is_refused(archive: Path, folder: Path, content: bytes) -> None:
    archive.write_bytes(content)
    _refused(archive, folder, "is no zip, or cut off")


def test_a_turned_bit_is_found_by_the_checksum(archive: Path, folder: Path) -> None:
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as opened:
        opened.writestr("x", b"A" * 1000)
    archive.write_bytes(archive.read_bytes().replace(b"A" * 10, b"AAAAABAAAA", 1))
    with pytest.raises(DataError, match="is damaged or no zip .*CRC"):
        unpack(archive, folder)


def test_any_cut_is_refused(archive: Path, tmp_path: Path) -> None:
    _write(archive, "x", "y", content=b"content" * 20)
    whole = archive.read_bytes()
    for length in range(len(whole)):
        archive.write_bytes(whole[:length])
        with pytest.raises(DataError):
            unpack(archive, tmp_path / f"cut-{length}")
