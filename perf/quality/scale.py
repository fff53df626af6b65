"""The report of a large data set: how long it takes, how large its pages are, how fast its index opens in Chromium from disk.

python -m perf.quality.scale DATASET --out report     (a data set that `srreg build` made)

The report is written twice: afresh, and again when no subject has changed.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

_BIN = Path(sys.executable).parent
_TIMES = 5


def main() -> None:
    """Write, open, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="a folder that is not there yet")
    options = parser.parse_args()
    if options.out.exists():
        parser.error(f"{options.out} is there already")
    index = options.out / "index.html"
    for what in ("report, written afresh", "report, nothing changed"):
        print(f"{what}: {_written(options.dataset, index):.1f} s, {os.cpu_count()} processes", flush=True)
    pages = [page for page in options.out.glob("*.html") if page != index]
    sizes = [page.stat().st_size / 1e6 for page in pages]
    print(f"{len(pages)} pages of subjects: {statistics.median(sizes):.2f} MB, {max(sizes):.2f} at most")
    print(f"index: {index.stat().st_size / 1e6:.2f} MB, open in {_opened(index, options.out, len(pages))}")


def _written(dataset: Path, index: Path) -> float:
    started = time.perf_counter()
    command = [_BIN / "srreg", "qc", "report", dataset, "--out", index, "--n-procs", str(os.cpu_count())]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):  # 1: some subject fails its checks
        sys.exit(f"{done.stderr}\nsrreg qc report: {done.returncode}")
    return time.perf_counter() - started


def _opened(index: Path, out: Path, rows: int) -> str:
    """Until the last row is there, a browser of its own each time, its start not counted."""
    seconds = []
    with sync_playwright() as driver:
        for _ in range(_TIMES):
            browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 1400, "height": 900})
            started = time.perf_counter()
            page.goto(index.absolute().as_uri())
            page.locator("#subjects tbody tr").nth(rows - 1).wait_for()
            seconds.append(time.perf_counter() - started)
            page.screenshot(path=out / "index.png")
            browser.close()
    return f"{statistics.median(seconds):.2f} s (median of {_TIMES}; {max(seconds):.2f} at most)"


if __name__ == "__main__":
    main()
