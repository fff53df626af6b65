"""What becomes of the ratings that a browser sends to the served report."""

import errno
import hashlib
import json
import shutil
import socket
import threading
import time
from pathlib import Path

import phantom
import pytest
from served import TOKEN, Served, rating

from srreg.dataset import Dataset, file_of
from srreg.errors import DataError
from srreg.files import read_json, write_json, write_text
from srreg.qc.report import write_report
from srreg.qc.serve.site import Site
from srreg.qc.take import import_ratings


def bytes_of(root: Path) -> dict[str, str]:
    """Digest of every file of a data set but the ratings."""
    files = [path for path in root.rglob("*") if path.is_file() and path.name != "ratings.tsv"]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_a_rating_is_on_disk_when_it_is_answered_and_import_takes_it(served: Served, tmp_path: Path) -> None:
    before = bytes_of(served.dataset.root)
    key = served.dataset.subject_key("1BA007")
    comment = 'eye "inside"\tof\nthe mask é \ud800'
    assert served.rate(rating(comment=comment, images=key)) == (200, '{"taken":1}')
    assert bytes_of(served.dataset.root) == before
    copy = shutil.copytree(served.dataset.root, tmp_path / "copy")
    taken = import_ratings(copy, copy / "qc" / "ratings.tsv")
    assert (taken.new, taken.left) == (1, ("1BA007",))
    rejected = next(p for p in Dataset.open(copy).participants if p.status == "rejected")
    assert rejected.reason == 'rejected by jane on 2026-11-20: mask; eye "inside" of the mask é'


def test_the_newest_of_each_rater_stays_and_the_index_shows_it(served: Served) -> None:
    assert served.rate(rating(decision="unsure", reasons=[]))[0] == 200
    assert served.rate(rating(decision="reject"))[0] == 200  # within the same second
    assert served.rate(rating(decision="accept", date="2026-11-19"))[0] == 200  # arrives late
    assert served.rate(rating("1BA005", rater="joe"), rating("1BA007", rater="joe", date="2026-11-18"))[0] == 200
    lines = [line.split("\t") for line in served.file.read_text().splitlines()]
    assert [(line[0], line[1], line[4]) for line in lines[1:]] == [
        ("sub-1BA005", "reject", "joe"),
        ("sub-1BA007", "reject", "joe"),
        ("sub-1BA007", "reject", "jane"),
    ]
    index = served.ask(f"/{TOKEN}/")[2].decode()
    row = index.partition('data-subject="1BA007"')[2].partition(">")[0]
    assert 'data-decision="reject"' in row
    assert 'data-rater="jane"' in row


GOOD = json.dumps({"format": "srreg-ratings", "version": 1, "ratings": [rating()]}).encode()


@pytest.mark.parametrize(
    ("body", "kind", "status", "told"),
    [
        (GOOD, "text/plain", 415, "application/json"),
        (GOOD, "application/x-www-form-urlencoded", 415, "application/json"),
        (b"", "application/json", 422, "participant_id"),
        (b"{", "application/json", 422, "not JSON"),
        (b"[" * 50_000, "application/json", 422, "participant_id"),
        (b'{"a":' * 10_000, "application/json", 422, "not JSON"),
        (b"\xff\xfe", "application/json", 400, "UTF-8"),
        (b" " * 70_000, "application/json", 413, "65536"),
        (GOOD.replace(b"1BA007", b"1BA999"), "application/json", 422, "no built subject"),
        (GOOD.replace(b"1BA007", b"../../x"), "application/json", 422, "no built subject"),
        (GOOD.replace(b"reject", b"perhaps"), "application/json", 422, "as decision"),
        (GOOD.replace(b"jane", b""), "application/json", 422, "no rater"),
        (GOOD.replace(b"jane", b"j" * 65), "application/json", 422, "64 characters"),
        (GOOD.replace(b'"mask"', b'"looks"'), "application/json", 422, "reasons"),
        (GOOD.replace(b"2026", b"2099"), "application/json", 422, "future"),
        (GOOD.replace(b'"jane"', b"7"), "application/json", 422, "text"),
        (GOOD.replace(b'"rater"', b'"images": "other voxels", "rater"'), "application/json", 422, "as it was built before"),
    ],
)  # fmt: skip
def test_a_body_that_is_no_rating_is_refused_whole_and_says_why(
    served: Served, body: bytes, kind: str, status: int, told: str
) -> None:
    assert served.rate(rating("1BA005"))[0] == 200
    before = served.file.read_bytes()
    found, _, answer = served.ask(f"/{TOKEN}/ratings", "POST", body, Content_Type=kind)
    assert (found, told in answer.decode()) == (status, True), answer
    assert str(served.dataset.root) not in answer.decode()
    assert served.file.read_bytes() == before


def test_a_body_without_end_and_one_cut_off_are_refused(served: Served) -> None:
    head = f"POST /{TOKEN}/ratings HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    with socket.create_connection(("127.0.0.1", served.port), timeout=20) as wire:
        wire.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
        wire.sendall(b"4000\r\n" + b" " * 0x4000 + b"\r\n")
        for _ in range(4):
            wire.sendall(b"4000\r\n" + b" " * 0x4000 + b"\r\n")
        assert wire.recv(100).startswith(b"HTTP/1.1 413")
    with socket.create_connection(("127.0.0.1", served.port), timeout=20) as wire:
        wire.sendall(f"{head}Content-Length: {len(GOOD)}\r\n\r\n".encode() + GOOD[:-1])
    time.sleep(0.2)
    assert not served.file.exists()
    assert served.status(f"/{TOKEN}/") == 200


def test_many_who_rate_at_once_lose_nothing(served: Served) -> None:
    done: list[int] = []
    raters = [f"rater {n}" for n in range(12)]
    threads = [
        threading.Thread(target=lambda rater=rater: done.append(served.rate(rating(rater=rater))[0]))  # type: ignore[misc]
        for rater in raters
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    assert done == [200] * len(raters)
    assert sorted(line.split("\t")[4] for line in served.file.read_text().splitlines()[1:]) == sorted(raters)


def test_a_file_that_is_no_table_of_ratings_is_neither_read_nor_replaced(served: Served) -> None:
    write_text(served.file, "my notes\n")
    with pytest.raises(DataError, match="ratings.tsv: has no column"):
        Site.open(served.dataset)
    status, why = served.rate(rating())
    assert (status, why.startswith("ratings.tsv: has no column")) == (500, True)
    assert served.file.read_text() == "my notes\n"
    assert served.ask(f"/{TOKEN}/")[2].startswith(b"ratings.tsv: has no column")


def test_a_disk_that_takes_nothing_is_told_and_nothing_is_left_behind(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(served.file))

    assert served.rate(rating("1BA005"))[0] == 200
    before = served.file.read_bytes()
    monkeypatch.setattr("srreg.files._write_through", full)
    status, why = served.rate(rating())
    assert (status, why.startswith("ratings.tsv: no room")) == (500, True)
    assert served.file.read_bytes() == before
    assert not list(served.file.parent.glob(".*.part"))


def test_ratings_of_images_built_before_are_told_and_left_out_of_the_next_file(tmp_path: Path) -> None:
    dataset = phantom.write_dataset_as_built(tmp_path / "sr-reg")
    write_report(dataset)
    store = Site.open(dataset).store
    store.add(store.check(GOOD.decode().replace("1BA007", "1BA002")))
    store.add(store.check(GOOD.decode()))
    sidecar = file_of(dataset.root, "1BA002", "labels", ".json")
    write_json(sidecar, {**read_json(sidecar), "SubjectKey": "other voxels"})
    assert store.outdated() == ["1BA002"]
    store.add(store.check(GOOD.decode().replace("1BA007", "1BA003")))
    assert [r.subject for r in store.read()] == ["1BA003", "1BA007"]
    assert import_ratings(dataset.root, store.path).new == 2
