from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from https_server import Behaviour, serving

from srreg.errors import BackendUnavailable, NoRoom
from srreg.weights import download as module
from srreg.weights.download import download

CONTENT = np.random.default_rng(0).bytes(300_000)
MOST = 1_000_000


@pytest.fixture
def told() -> Behaviour:
    return Behaviour(CONTENT)


@pytest.fixture
def url(told: Behaviour, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with serving(told, tmp_path, monkeypatch) as address:
        yield address


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "weights" / "weights.zip"


def test_a_file_comes_whole_and_nothing_is_left_beside_it(url: str, target: Path) -> None:
    seen: list[tuple[int, int]] = []
    download(url, target, most_bytes=MOST, size=len(CONTENT), advance=lambda done, total: seen.append((done, total)))
    assert target.read_bytes() == CONTENT
    assert [path.name for path in target.parent.iterdir()] == ["weights.zip"]
    assert seen[-1] == (len(CONTENT), len(CONTENT))


def _broken(url: str, told: Behaviour, target: Path) -> None:
    told.stops_after = 100_000
    with pytest.raises(BackendUnavailable, match="broke off, 200000 bytes are missing; the same command goes on from there"):
        download(url, target, most_bytes=MOST)
    assert not target.exists()
    told.stops_after = None


def test_a_download_that_broke_off_goes_on_from_there(url: str, told: Behaviour, target: Path) -> None:
    _broken(url, told, target)
    download(url, target, most_bytes=MOST)
    assert target.read_bytes() == CONTENT
    assert told.asked[-1]["Range"] == "bytes=100000-"


def test_a_file_that_changed_meanwhile_is_fetched_anew(url: str, told: Behaviour, target: Path) -> None:
    _broken(url, told, target)
    told.content, told.etag = CONTENT[::-1], '"two"'
    download(url, target, most_bytes=MOST)
    assert target.read_bytes() == CONTENT[::-1]


@pytest.mark.parametrize("etag", [None, 'W/"weak"'])
def test_a_server_that_cannot_say_whether_it_is_the_same_file_is_asked_for_all_of_it(
    url: str, told: Behaviour, target: Path, etag: str | None
) -> None:
    told.etag = etag
    _broken(url, told, target)
    download(url, target, most_bytes=MOST)
    assert "Range" not in told.asked[-1]
    assert target.read_bytes() == CONTENT


def test_a_server_that_goes_on_elsewhere_is_not_believed(url: str, told: Behaviour, target: Path) -> None:
    _broken(url, told, target)
    told.goes_on_elsewhere = True
    with pytest.raises(BackendUnavailable, match="another part than it was asked for"):
        download(url, target, most_bytes=MOST)
    told.goes_on_elsewhere = False
    download(url, target, most_bytes=MOST)
    assert target.read_bytes() == CONTENT


def test_a_range_that_is_refused_starts_the_download_anew(url: str, told: Behaviour, target: Path) -> None:
    _broken(url, told, target)
    told.status = 416
    with pytest.raises(BackendUnavailable, match="416"):
        download(url, target, most_bytes=MOST)
    assert [("Range" in asked) for asked in told.asked] == [False, True, False]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"status": 503}, "the server answered 503 .*; try again later"),
        ({"status": 404}, "the server answered 404"),
        ({"kind": "text/html; charset=utf-8"}, "a web page came instead of the file"),
        ({"content": CONTENT * 4}, "the server has a file of 1200000 bytes there; more than 1000000 are not taken"),
        ({"content": CONTENT * 4, "says_length": False}, "more than 300000 bytes came"),
        ({"content": CONTENT[1:]}, "the server has a file of 299999 bytes there, expected 300000"),
        ({"content": CONTENT[1:], "says_length": False}, "broke off, 1 bytes are missing"),
        ({"status": 302, "location": "http://localhost/weights.zip"}, "http://localhost/weights.zip: is not https"),
        ({"status": 302, "location": "file:///etc/passwd"}, "is not allowed"),
    ],
    ids=["503", "404", "web page", "too large", "endless", "another size", "short", "to http", "to a file"],
)
def test_an_answer_that_is_not_the_file_is_refused_and_leaves_no_file(
    url: str, told: Behaviour, target: Path, change: dict[str, object], message: str
) -> None:
    for name, value in change.items():
        setattr(told, name, value)
    size = None if len(told.content) > MOST and told.says_length else len(CONTENT)
    with pytest.raises(BackendUnavailable, match=message):
        download(url, target, most_bytes=MOST, size=size)
    assert not target.exists()


def test_a_server_that_trickles_is_given_up(url: str, told: Behaviour, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_WINDOW_S", 0.2)
    told.pause_s = 0.02
    with pytest.raises(BackendUnavailable, match=r"only \d+ bytes came in 0.2 s; the same command goes on from there"):
        download(url, target, most_bytes=MOST)


def test_a_server_that_says_nothing_is_given_up(
    url: str, told: Behaviour, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PATIENCE_S", 0.2)
    told.pause_s = 1.0
    with pytest.raises(BackendUnavailable, match="timed out"):
        download(url, target, most_bytes=MOST)


def test_a_certificate_nobody_vouches_for_is_refused(url: str, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(BackendUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
        download(url, target, most_bytes=MOST)


def test_plain_http_is_not_even_asked(told: Behaviour, target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = pytest.raises(BackendUnavailable, match="is not https, and weights are fetched over nothing else")
    with serving(told, tmp_path, monkeypatch, is_secure=False) as address, refused:
        download(address, target, most_bytes=MOST)
    assert told.asked == []


def test_no_network_is_a_line(target: Path) -> None:
    with pytest.raises(BackendUnavailable, match="https://localhost:1/x: .*refused"):
        download("https://localhost:1/x", target, most_bytes=MOST)


def test_a_full_disk_is_a_lack_of_room(url: str, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "write_json", lambda path, value: None)
    monkeypatch.setattr(module.os, "fsync", full)
    with pytest.raises(NoRoom, match="no room for the download"):
        download(url, target, most_bytes=MOST)
    assert not target.exists()


def test_a_link_laid_in_the_place_of_the_download_is_not_written_through(url: str, target: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    target.parent.mkdir()
    (target.parent / "weights.zip.unfinished").symlink_to(victim)
    download(url, target, most_bytes=MOST)
    assert victim.read_text() == "mine"
    assert target.read_bytes() == CONTENT
    assert not target.is_symlink()
