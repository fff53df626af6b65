"""The served report as a program on the wire sees it: who is let in, what is there."""

import hashlib
import re
import socket
from pathlib import Path

import phantom
import pytest
from served import TOKEN, Served, rating

from srreg.dataset import file_of
from srreg.errors import DataError, UsageError
from srreg.files import read_json, write_json
from srreg.qc.examination import check_sizes
from srreg.qc.report import write_report
from srreg.qc.serve.run import listening
from srreg.qc.serve.site import Site

VENDOR = Path(phantom.__file__).parents[1] / "srreg" / "qc" / "vendor" / "niivue"


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
