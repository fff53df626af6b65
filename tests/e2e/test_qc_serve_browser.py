"""`srreg qc serve` as a person uses it: rates in a real browser, turns the brain in 3-D, ends it with Ctrl-C."""

import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import phantom
import pytest

from srreg.dataset import Dataset
from srreg.qc.report import write_report
from srreg.qc.take import import_ratings

ROOT = Path(__file__).parents[2]
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
SOFTWARE_GL = ["--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]  # WebGL2 without a GPU


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Dataset:
    made = phantom.write_dataset_as_built(tmp_path_factory.mktemp("served") / "sr-reg")
    write_report(made)
    return made


@pytest.fixture
def server(dataset):
    """The command, running, and the address it printed."""
    running = start(dataset)
    running.address = running.stdout.readline().removeprefix("open in a browser: ").strip()
    yield running
    running.kill()
    running.communicate()


def start(dataset, *options):
    code = "from cli import main_srreg; main_srreg()"
    line = [sys.executable, "-c", code, "qc", "serve", str(dataset.root), "--no-browser", *options]
    return subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", *SOFTWARE_GL])
        yield started
        started.close()


@pytest.fixture
def page(browser):
    """A browser's page, with what it complained of and what it asked for."""
    opened = browser.new_page(viewport={"width": 900, "height": 700})
    opened.set_default_timeout(60_000)
    opened.troubles, opened.requests = [], []
    opened.on("pageerror", lambda error: opened.troubles.append(str(error)))
    opened.on("console", lambda said: opened.troubles.append(said.text) if said.type in ("error", "warning") else None)
    opened.on("request", lambda request: opened.requests.append(request.url))
    yield opened
    opened.close()


def changed(page, before, limit_s=60):
    """The scene's picture, once it is another than before; a frame is drawn some time after what asked for it."""
    deadline = time.monotonic() + limit_s
    while (now := page.locator("#scene").screenshot()) == before:
        assert time.monotonic() < deadline, "the scene did not change"
        page.wait_for_timeout(100)
    return now


def test_rates_from_the_viewer_and_what_is_on_disk_can_be_imported(page, server, dataset):
    page.goto(server.address)
    page.fill("#rater", "jane")
    page.locator("a[data-open='1BA007']").first.click()
    inside = page.frame_locator("#page")
    inside.locator("a", has_text="3-D viewer").click()
    inside.locator("#scene[data-is-ready]").wait_for()
    inside.locator("#scene").focus()
    page.keyboard.press("r")
    page.keyboard.press("1")
    page.locator("#said", has_text="1BA007: reject, on disk").wait_for()
    page.keyboard.press("j")
    inside.locator("h1", has_text="1BA008").wait_for()
    page.reload()
    assert page.locator("tr[data-subject='1BA007'] .rating").inner_text() == "✕ reject"

    server.send_signal(signal.SIGINT)
    server.wait(timeout=30)
    page.locator("a[data-open='1BA006']").first.click()
    page.fill("#rater", "jane")
    page.locator("[data-decide=accept]").click()
    page.locator("#said", has_text="1BA006: not on disk").wait_for()
    lines = (dataset.root / "qc" / "ratings.tsv").read_text().splitlines()
    assert [line.split("\t")[:5] for line in lines[1:]] == [["sub-1BA007", "reject", "mask", "n/a", "jane"]]
    assert import_ratings(dataset.root, dataset.root / "qc" / "ratings.tsv").left == ("1BA007",)


def test_the_viewer_shows_volumes_and_labels_and_its_sliders_change_them(page, server):
    page.goto(f"{server.address}viewer-1BA001.html")
    page.locator("#scene[data-is-ready]").wait_for()
    page.wait_for_timeout(500)
    picture = changed(page, before=b"")
    for slider, value in (("share", 100), ("opacity", 100), ("cut", 60)):
        page.locator(f"#{slider}").fill(str(value))
        picture = changed(page, picture)
    page.locator("[data-view='0']").click()
    changed(page, picture)
    middle = page.locator("#scene").bounding_box()
    page.mouse.move(middle["x"] + middle["width"] / 2 + 8, middle["y"] + middle["height"] / 2 - 8)
    page.mouse.down()
    page.locator("#place", has_text="MR 0.").wait_for()
    assert page.locator("#place").inner_text().endswith(("Lateral ventricle", "Cerebral white matter"))  # the phantom's middle
    assert page.troubles == []
    assert all(url.startswith((server.address, "data:", "blob:")) for url in page.requests)


def test_a_browser_without_webgl2_is_told(page, server):
    page.add_init_script("HTMLCanvasElement.prototype.getContext = () => null")
    page.goto(f"{server.address}viewer-1BA001.html")
    page.locator("#place", has_text="no WebGL2").wait_for()
    assert page.troubles == []


def test_the_command_prints_an_address_of_this_machine_and_an_interrupt_ends_it(server):
    assert server.address.startswith("http://127.0.0.1:")
    assert len(server.address.split("/")[3]) >= 32
    server.send_signal(signal.SIGINT)
    assert server.wait(timeout=30) == 130
    assert "Traceback" not in server.stderr.read()


def test_a_taken_port_ends_the_command_with_a_line(dataset):
    with socket.create_server(("127.0.0.1", 0)) as other:
        refused = start(dataset, "--port", str(other.getsockname()[1]))
        out, said = refused.communicate(timeout=60)
    assert (refused.returncode, out) == (2, "")
    assert "name another with --port" in said
    assert "Traceback" not in said
