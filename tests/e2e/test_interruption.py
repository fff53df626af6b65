"""A build that is killed, interrupted, robbed of its work folder or of its disk goes on to the same bytes."""

import shutil
import signal
import subprocess
import sys
import time

import psutil
from building import build, data_digest

from srreg.build.publish import is_published
from srreg.dataset import Dataset


def test_a_build_killed_at_any_moment_goes_on_to_the_same_bytes(quickly_built, tmp_path):
    """A few moments; what stands between them is the data set's word."""
    source, undisturbed = quickly_built
    out = tmp_path / "out"
    for seconds in (1.0, 3.0, 5.0):
        running = start(source, out)
        time.sleep(seconds)
        running.kill()
        running.wait()
        wait_for_children(running.pid)
        if (out / "participants.tsv").exists():
            assert all(is_published(out, i, deep=True) for i in Dataset.open(out).subjects)
    assert build(source, out, "--align", "center").returncode == 0
    assert data_digest(out) == data_digest(undisturbed)
    assert not list(out.rglob("*.part"))
    assert not (out / ".build" / "scratch").exists()


def start(source, out):
    truth = f"precomputed:{source}"
    arguments = ["build", "--synthrad-dir", source, "--out", out, "--size", "quarter", "--align", "center"]
    code = "import sys; from cli import main_srreg; main_srreg()"
    command = [sys.executable, "-c", code, *map(str, arguments), "--skull-stripper", truth, "--segmenter", truth]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def wait_for_children(pid, limit_s=10):
    """The children of a killed build end by themselves, at once."""
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        left = [p for p in psutil.process_iter(["cmdline"]) if f"parent_pid={pid}" in " ".join(p.info["cmdline"] or [])]
        if not left:
            return
        time.sleep(0.1)
    raise AssertionError(f"children of the killed build still run: {left}")


def test_an_interrupt_ends_everything_within_seconds(built, tmp_path):
    running = start(built[0], tmp_path / "out")
    time.sleep(5)
    started = time.monotonic()
    running.send_signal(signal.SIGINT)
    assert running.wait(timeout=10) == 130
    assert time.monotonic() - started < 5
    wait_for_children(running.pid)


def test_the_work_folder_may_be_deleted(built, tmp_path):
    source, out = built
    shutil.copytree(out, tmp_path / "copy", ignore=shutil.ignore_patterns(".build"))
    again = build(source, tmp_path / "copy")
    assert "0 built, 6 ready before" in again.stdout
    assert data_digest(tmp_path / "copy") == data_digest(out)


def test_a_full_disk_ends_with_its_own_code_and_goes_on_later(quickly_built, tmp_path):
    source, undisturbed = quickly_built
    limited = f"ulimit -f 12; exec {sys.executable} -c 'import sys; from cli import main_srreg; main_srreg()' \"$@\""
    truth = f"precomputed:{source}"
    arguments = [
        "build",
        "--synthrad-dir",
        source,
        "--out",
        tmp_path / "out",
        "--size",
        "quarter",
        "--align",
        "center",
        "--skull-stripper",
        truth,
    ]
    command = ["bash", "-c", limited, "srreg", *map(str, arguments), "--segmenter", truth]
    full = subprocess.run(command, capture_output=True, text=True, check=False)
    assert full.returncode == 6, full.stderr
    assert "no room" in full.stderr
    assert not list((tmp_path / "out").rglob("*.part"))
    assert build(source, tmp_path / "out", "--align", "center").returncode == 0
    assert data_digest(tmp_path / "out") == data_digest(undisturbed)
