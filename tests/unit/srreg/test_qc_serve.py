"""The served report as a program on the wire sees it: who is let in, what is there, what becomes of ratings."""

import errno
import hashlib
import http.client
import json
import re
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import phantom
import pytest
import uvicorn

from srreg.dataset import Dataset, file_of
from srreg.errors import DataError, UsageError
from srreg.files import read_json, write_json, write_text
from srreg.qc.examination import check_sizes
from srreg.qc.report import write_report
from srreg.qc.serve.run import listening
from srreg.qc.serve.site import Site, application
from srreg.qc.take import import_ratings

TOKEN = "well-known"
VENDOR = Path(phantom.__file__).parents[1] / "srreg" / "qc" / "vendor" / "niivue"


@dataclass(frozen=True)
class Served:
    dataset: Dataset
    port: int

    def ask(
        self, path: str, method: str = "GET", body: bytes | None = None, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers (names in small letters) and body; `path` goes on the wire as it stands."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.putrequest(method, path, skip_host="Host" in headers)
        sent = {"Content-Length": str(len(body))} if body is not None else {}
        for name, value in {**sent, **headers}.items():
            connection.putheader(name.replace("_", "-"), value)
        connection.endheaders(body)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, content

    def status(self, path: str, **more: str) -> int:
        return self.ask(path, **more)[0]  # type: ignore[arg-type]

    def rate(self, *ratings: dict[str, object], **headers: str) -> tuple[int, str]:
        body = json.dumps({"format": "srreg-ratings", "version": 1, "ratings": ratings}).encode()
        status, _, content = self.ask(f"/{TOKEN}/ratings", "POST", body, **{"Content_Type": "application/json", **headers})
        return status, content.decode()

    @property
    def file(self) -> Path:
        return self.dataset.root / "qc" / "ratings.tsv"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    dataset = phantom.write_dataset_as_built(tmp_path_factory.mktemp("served") / "sr-reg")
    write_report(dataset)
    with listening(0) as listener:
        site = Site.open(Dataset.open(dataset.root))
        server = uvicorn.Server(uvicorn.Config(application(site, TOKEN), lifespan="off", ws="none", log_config=None))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        yield Served(Dataset.open(dataset.root), listener.getsockname()[1])
        server.should_exit = True
        thread.join(timeout=20)


@pytest.fixture
def served(running: Served) -> Iterator[Served]:
    """Nobody has rated yet."""
    yield running
    running.file.unlink(missing_ok=True)


def rating(subject: str = "1BA007", **other: object) -> dict[str, object]:
    said = {"decision": "reject", "reasons": ["mask"], "comment": "", "rater": "jane", "date": "2026-11-20T10:00:00Z"}
    return {"participant_id": f"sub-{subject}", **said, **other}


def bytes_of(root: Path) -> dict[str, str]:
    """Digest of every file of a data set but the ratings."""
    files = [path for path in root.rglob("*") if path.is_file() and path.name != "ratings.tsv"]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_without_the_token_nothing_is_there(served: Served) -> None:
    assert served.status(f"/{TOKEN}/") == 200
    for path in (
        "/",
        "/index.html",
        "/other/",
        f"/{TOKEN}x/",
        f"/{TOKEN[:-1]}/",
        "//",
        f"//{TOKEN}/",
        f"/?{TOKEN}",
        "*",
        f"http://x.test/{TOKEN}/",
    ):
        assert served.status(path) == 403, path


@pytest.mark.parametrize("host", ["evil.test", "evil.test:{port}", "127.0.0.1.evil.test", "127.0.0.1:80:80", "0.0.0.0", ""])
def test_a_site_whose_name_points_here_is_refused(served: Served, host: str) -> None:
    assert served.status(f"/{TOKEN}/", Host=host.format(port=served.port)) == 403
    assert served.status(f"/{TOKEN}/", Host=f"localhost:{served.port}") == 200
    assert served.status(f"/{TOKEN}/", Host="127.0.0.1:9") == 200  # as it comes through a tunnel of another port


@pytest.mark.parametrize("origin", ["http://evil.test", "null", "https://127.0.0.1:{port}", "http://127.0.0.1"])
def test_another_sites_page_cannot_rate(served: Served, origin: str) -> None:
    status, why = served.rate(rating(), Origin=origin.format(port=served.port))
    assert (status, served.file.exists()) == (403, False), why
    assert served.rate(rating(), Origin=f"http://127.0.0.1:{served.port}")[0] == 200


def test_only_the_loopback_interface_listens(served: Served) -> None:
    with pytest.raises(OSError):  # noqa: PT011  refused by some systems, unreachable on others
        socket.create_connection(("127.0.0.2", served.port), timeout=5).close()


@pytest.mark.parametrize(
    "path",
    [
        "../participants.tsv", "..%2fparticipants.tsv", "..%2f..%2f..%2fetc%2fpasswd", "/etc/passwd", "participants.tsv",
        ".srreg-qc/sub-1BA001.json", "sub-..%2findex.html", "sub-1BA999.html", "sub-.html", "viewer-1BA999.html", "ratings.tsv",
        "volumes/1BA999/mr.nii.gz", "volumes/../1BA001/mr.nii.gz", "volumes/1BA001/brain.nii.gz",
        "volumes/1BA001/..%2fmr.nii.gz", "niivue.umd.js",
        "volumes/1BA001%00/mr.nii.gz", "volumes/%2e%2e/mr.nii.gz", "volumes/1BA001/mr.json", "LICENSE", "%ff", "qc.tsv",
    ],
)  # fmt: skip
def test_what_is_not_part_of_the_report_is_not_there(served: Served, path: str) -> None:
    status, _, content = served.ask(f"/{TOKEN}/{path}")
    assert (status, content) == (404, b"Not Found")


def test_pages_and_volumes_of_known_subjects_are_served(served: Served) -> None:
    for kind in ("mr", "ct", "labels"):
        status, headers, content = served.ask(f"/{TOKEN}/volumes/1BA001/{kind}.nii.gz")
        assert (status, content) == (200, served.dataset.file("1BA001", kind).read_bytes())
        assert headers["content-type"] == "application/gzip"  # and no content-encoding: NiiVue unpacks it
        assert "content-encoding" not in headers
    page = served.ask(f"/{TOKEN}/sub-1BA001.html")[2].decode()
    assert 'href="viewer-1BA001.html"' in page
    assert 'href="sub-1BA002.html" rel="next"' in page
    on_disk = (served.dataset.root / "qc" / "sub-1BA001.html").read_text()
    assert "viewer-" not in on_disk
    assert re.sub(r" *<a href=\"viewer.*\n", "", page) == on_disk


def test_pages_hold_ids_and_no_folders(served: Served) -> None:
    for name in ("", "sub-1BA001.html", "viewer-1BA001.html"):
        assert str(served.dataset.root.parent) not in served.ask(f"/{TOKEN}/{name}")[2].decode()


def test_every_answer_is_kept_from_caches_frames_and_other_origins(served: Served) -> None:
    for path in ("/", f"/{TOKEN}/", f"/{TOKEN}/nothing", f"/{TOKEN}/niivue.js", f"/{TOKEN}/volumes/1BA001/mr.nii.gz"):
        headers = served.ask(path)[1]
        assert headers["cache-control"] == "no-store"
        assert headers["content-security-policy"] == "frame-ancestors 'self'"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["x-content-type-options"] == "nosniff"


def test_pages_may_reach_their_own_server_and_nothing_else(served: Served) -> None:
    allowed = {}
    for name in ("index.html", "viewer-1BA001.html", "sub-1BA001.html"):
        page = served.ask(f"/{TOKEN}/{name}")[2].decode()
        policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1].replace("&#39;", "'")  # type: ignore[index]
        allowed[name] = dict(part.split(" ", 1) for part in policy.split("; "))
        assert allowed[name].pop("default-src") == "'none'"
        assert re.fullmatch(r"'sha256-[^']*'( 'self')?", allowed[name].pop("script-src"))
    same = {"img-src": "data:", "style-src": "'unsafe-inline'", "base-uri": "'none'", "form-action": "'none'"}
    assert allowed["sub-1BA001.html"] == same
    assert allowed["viewer-1BA001.html"] == {**same, "connect-src": "'self'"}
    assert allowed["index.html"] == {**same, "connect-src": "'self'", "frame-src": "'self'"}


def test_only_reading_and_rating_are_possible(served: Served) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        for path in ("", "sub-1BA001.html", "volumes/1BA001/mr.nii.gz", "niivue.js"):
            assert served.status(f"/{TOKEN}/{path}", method=method) == 405, (method, path)
    for method in ("GET", "PUT", "DELETE"):
        assert served.status(f"/{TOKEN}/ratings", method=method) == 405


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


def test_without_a_report_of_what_is_built_now_the_line_to_type_is_told(tmp_path: Path) -> None:
    dataset = phantom.write_dataset_as_built(tmp_path / "sr-reg")
    with pytest.raises(DataError, match="no report of 1BA001, 1BA002, 1BA003 ... as it is built now. Make it: srreg qc report"):
        Site.open(dataset)
    write_report(dataset)
    Site.open(dataset)
    sidecar = file_of(dataset.root, "1BA002", "labels", ".json")
    write_json(sidecar, {**read_json(sidecar), "SubjectKey": "other voxels"})
    with pytest.raises(DataError, match="no report of 1BA002 as"):
        Site.open(dataset)


def test_a_subject_that_cannot_be_read_is_listed_and_has_no_page(tmp_path: Path) -> None:
    dataset = phantom.write_dataset_as_built(tmp_path / "sr-reg")
    path = dataset.file("1BA002", "ct")
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(DataError):
        check_sizes(dataset, "1BA002")
    write_report(dataset)
    rows = {row.participant.id: row for row in Site.open(dataset).rows}
    assert rows["1BA002"].reason.startswith(path.name)
    assert (rows["1BA002"].page, rows["1BA003"].page) == ("", "sub-1BA003.html")


def test_a_taken_port_is_told() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as other,
        pytest.raises(UsageError, match=r"port \d+ cannot be used \(another program has it\); name another with --port"),
    ):
        listening(other.getsockname()[1])


def test_the_vendored_viewer_is_the_one_that_was_pinned(served: Served) -> None:
    digest, name = (VENDOR / "SHA256SUMS").read_text().split()
    content = served.ask(f"/{TOKEN}/niivue.js")[2]
    assert hashlib.sha256(content).hexdigest() == digest
    assert (VENDOR / name).read_bytes() == content
    assert (VENDOR / "LICENSE").read_text().startswith("BSD 2-Clause License")
