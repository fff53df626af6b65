"""The QC report in a real browser, opened from disk as a person opens it."""

import json
import shutil
from pathlib import Path

import phantom
import pytest

from srreg.dataset import Dataset, Participant
from srreg.errors import DataError
from srreg.files import tsv, write_json, write_text
from srreg.labels import Label
from srreg.qc import pages
from srreg.qc.report import write_report
from srreg.qc.take import import_ratings
from srreg.subject import checked_id

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")

PAYLOADS = [
    "<script>{}</script>", '"><img src=x onerror={}>', "'><svg onload={}>", "</script><script>{}</script>", "{{{{{}}}}}",
    "${{{}}}",
    "javascript:{}", "<iframe srcdoc='<script>parent.{}</script>'>", "</svg><script>{}</script>", "]]><script>{}</script>",
    "--><script>{}</script>", "<a href=javascript:{}>x</a>", "<body onload={}>", "<style>@import 'http://x.test'</style>{}",
    "<link rel=stylesheet href=http://x.test/{}>", "<img src=http://x.test/{}>", "<video><source onerror={}>", "`+{}+`",
    "';{};//", '";{};//', "<math><mtext><script>{}</script>", "<details open ontoggle={}>", "<input autofocus onfocus={}>",
    "<meta http-equiv=refresh content='0;url=http://x.test/{}'>", "<base href=http://x.test/{}>", "<object data=http://x.test/{}>",
    "&lt;script&gt;{}&lt;/script&gt;", "<x onpointerenter={} style=position:fixed;inset:0>", "\u2028{}//", "<form action=http://x.test/{}>",
]  # fmt: skip
HOSTILE = [payload.format("window.owned=1") for payload in PAYLOADS]


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def page(browser):
    opened = browser.new_page(viewport={"width": 1400, "height": 900})
    opened.set_default_timeout(20_000)
    opened.troubles, opened.requests = [], []
    opened.on("pageerror", lambda error: opened.troubles.append(str(error)))
    opened.on("request", lambda request: opened.requests.append(request.url))
    yield opened
    opened.close()


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return phantom.write_dataset_as_built(tmp_path / "sr-reg")


def listed(page):
    return [row.inner_text() for row in page.locator("#subjects tbody tr:visible .who").all()]


def test_sort_filter_flicker_rate_by_keyboard_save_and_import(page, dataset, tmp_path):
    page.goto(write_report(dataset).index.as_uri())
    ids = list(dataset.subjects)
    assert listed(page) == ids
    page.locator("#subjects thead button", has_text="Subject").click()
    page.locator("#subjects thead button", has_text="Subject").click()
    assert listed(page) == ids[::-1]
    page.fill("#filter", "1ba007")
    assert listed(page) == ["1BA007"]
    page.fill("#rater", "jane")

    page.locator("#subjects tbody a:visible").focus()
    page.keyboard.press("Enter")
    inside = page.frame_locator("#page")
    inside.locator("body.framed").wait_for()
    inside.locator("[data-mode=flicker]").focus()  # from here on the keys go to the frame
    page.keyboard.press("f")
    inside.locator("#view[data-seen=mr]").wait_for()
    inside.locator("#view[data-seen=ct]").wait_for()
    page.keyboard.press("o")
    assert inside.locator(".over-outline").first.evaluate("e => getComputedStyle(e).display") != "none"
    page.keyboard.press("r")
    page.locator("#said", has_text="1BA007: reject").wait_for()
    page.keyboard.press("1")
    page.keyboard.press("t")
    page.locator("#comment:focus").wait_for()
    page.keyboard.type("eye <b>inside</b>")
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    assert page.locator("#viewer").is_hidden()

    page.reload()
    page.locator("[data-rated=reject].chip").click()
    assert listed(page) == ["1BA007"]
    for name in ("ratings.json", "ratings.tsv"):
        with page.expect_download() as download:
            page.locator(f"#save-{name[-4:].strip('.')}").click()
        download.value.save_as(tmp_path / name)
        taken = import_ratings(dataset.root, tmp_path / name)
        assert taken.left == (("1BA007",) if name == "ratings.json" else ())
        assert taken.new == (1 if name == "ratings.json" else 0)
    now = Dataset.open(dataset.root)
    assert now.split("test") == ("1BA005", "1BA006", "1BA008")
    assert len(now.pairs("test", "all")) == 6
    rejected = next(p for p in now.participants if p.status == "rejected")
    assert rejected.reason.endswith(": mask; eye <b>inside</b>")
    assert page.troubles == []
    assert all(url.startswith(("file:", "data:", "blob:")) for url in page.requests)


@pytest.mark.parametrize("text", HOSTILE)
def test_no_hostile_text_is_an_id(text):
    with pytest.raises(DataError):
        checked_id(text)


def test_nothing_hostile_executes_and_no_request_leaves_the_pages(page, dataset, tmp_path, monkeypatch):
    head = "participant_id\tdecision\trater\tdate\tcomment\n"
    said = [(n, " ".join(text.split())) for n, text in enumerate(HOSTILE)]
    rows = [f"sub-1BA001\tunsure\t{text[:60]}\t2026-11-01T00:00:{n:02}Z\t{text}\n" for n, text in said]
    write_text(tmp_path / "ratings.tsv", head + "".join(rows))
    import_ratings(dataset.root, tmp_path / "ratings.tsv")
    people = [
        Participant(f"h{n}", f"h{n}", text, "failed" if n % 2 else "excluded", text, None, "n/a")
        for n, text in enumerate(HOSTILE)
    ]
    built = [
        Participant(p.id, p.person, HOSTILE[n], p.status, p.reason, p.brain_ml, p.qc)
        for n, p in enumerate(dataset.participants)
    ]
    strangers = [Participant(text, "x", "A", "built", text, None, "n/a") for text in HOSTILE]
    write_text(dataset.root / "participants.tsv", tsv(Participant.COLUMNS, [p.row() for p in [*built, *people, *strangers]]))
    write_json(dataset.root / "dataset_description.json", {"Name": HOSTILE[3]})
    lines = [{"subject": i, "step": t, "status": t, "reason": t} for i in dataset.subjects for t in HOSTILE]
    write_text(dataset.root / "manifest.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
    monkeypatch.setattr(pages, "LABELS", tuple(Label(n, text, True, "#ffffff") for n, text in enumerate(HOSTILE)))
    index = write_report(Dataset.open(dataset.root)).index
    for path in sorted(index.parent.glob("*.html")):
        page.goto(path.as_uri())
        assert page.evaluate("window.owned") is None
        assert path.name == "index.html" or page.locator("#view").count() == 1
    page.goto(index.as_uri())
    page.locator("#subjects a[data-open]").first.click()
    page.frame_locator("#page").locator("#view").wait_for()
    assert page.evaluate("window.owned") is None
    assert page.locator("#subjects tbody tr").count() == 8 + 2 * len(HOSTILE)
    assert page.troubles == []
    assert all(url.startswith(("file:", "data:")) for url in page.requests)
