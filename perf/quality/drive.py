"""A person's way through the report of 24 subjects, six of them faulty, in Chromium: what is flagged, and what rating does.

python -m perf.quality.drive TREE --out drive     (TREE: what `srreg simulate` wrote, 24 heads or more)

Copies 24 heads, puts a fault into six of them, builds, reports; then opens the report from disk, sorts and filters, by keyboard
alone opens each flagged subject, looks at it by flicker and rejects it, saves, imports. Prints what was seen; screenshots lie
in OUT.
"""

import argparse
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from perf.quality.__main__ import head_of
from perf.quality.faults import FAULTS
from srreg import io
from srreg.dataset import SPLITS, Dataset
from srreg.sources.synthrad import find_cases

_COUNT = 24
_FAULTS = (  # subject's number -> what is put in
    (2, "CT shifted 10 mm"),
    (6, "CT turned 10°"),
    (10, "CT flipped left-right"),
    (14, "CT of another person"),
    (18, "metal"),
    (22, "half the head missing"),
)
_BIN = Path(sys.executable).parent


def main() -> None:
    """Make the data set, walk through its report, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tree", type=Path)
    parser.add_argument("--out", type=Path, default=Path("drive"))
    options = parser.parse_args()
    source, dataset = options.out / "source", options.out / "sr-reg"
    faulty = _spoilt(options.tree, source)
    tools = [f"--{kind}=precomputed:{source}" for kind in ("skull-stripper", "segmenter")]
    _srreg("build", "--synthrad-dir", source, "--out", dataset, "--size", "quarter", "--n-procs", 2, *tools)
    started = time.perf_counter()
    _srreg("qc", "report", dataset, "--n-procs", 2)
    print(f"report: {time.perf_counter() - started:.1f} s")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        flagged = _walk(page, dataset, options.out)
        browser.close()
    print(f"faulty:  {', '.join(faulty)}\nflagged: {', '.join(flagged)}")
    before = {name: Dataset.open(dataset).split(name) for name in SPLITS}
    _srreg("qc", "import", dataset, options.out / "ratings.tsv")
    _told(before, Dataset.open(dataset), flagged)


def _spoilt(tree: Path, source: Path) -> list[str]:
    """A copy of the first heads with the faults in it; the faulty ids."""
    brain = source / "Task1" / "brain"
    shutil.rmtree(source, ignore_errors=True)
    cases = find_cases(tree)[:_COUNT]
    for case in cases:
        shutil.copytree(case.folder, brain / case.id)
    shutil.copy(cases[0].folder.parent / "simulation.json", brain)
    known, faulty = {fault.name: fault for fault in FAULTS}, []
    for number, name in _FAULTS:
        spoilt = known[name].spoil(head_of(tree, number), head_of(tree, number + 1), number)
        folder = brain / cases[number].id
        assert spoilt.brain is not None
        assert spoilt.labels is not None
        for part, image in (("mr", spoilt.mr), ("ct", spoilt.ct)):
            io.write_volume(folder / f"{part}.nii.gz", image)
        for part, labels in (("brain", spoilt.brain), ("labels", spoilt.labels), ("mask", spoilt.brain)):
            io.write_labels(folder / f"{part}.nii.gz", labels)
        faulty.append(cases[number].id)
    return faulty


def _walk(page: Page, dataset: Path, out: Path) -> list[str]:
    """Look, rate and save; who was flagged."""
    started = time.perf_counter()
    page.goto((dataset / "qc" / "index.html").absolute().as_uri())
    page.locator("#subjects tbody tr").last.wait_for()
    print(
        f"index: {1000 * (time.perf_counter() - started):.0f} ms, {(dataset / 'qc' / 'index.html').stat().st_size / 1e6:.2f} MB"
    )
    page.locator("#subjects thead button", has_text="MR-CT").first.click()
    page.screenshot(path=out / "sorted.png")
    flagged = _listed(page, "tr:has-text('fail'), #subjects tbody tr:has-text('warn')")
    page.fill("#rater", "a person")
    for subject in flagged:
        page.fill("#filter", subject)
        page.locator("#subjects tbody a:visible").first.focus()
        page.keyboard.press("Enter")
        inside = page.frame_locator("#page")
        inside.locator("h1", has_text=subject).wait_for()
        inside.locator("[data-mode=flicker]").focus()  # from here on the keys go to the frame
        page.keyboard.press("f")
        for image in ("mr", "ct"):
            inside.locator(f"#view[data-seen={image}]").wait_for()
        page.screenshot(path=out / f"{subject}.png")
        page.keyboard.press("r")
        page.locator("#said", has_text=f"{subject}: reject").wait_for()
        page.keyboard.press("Escape")
    page.fill("#filter", "")
    with page.expect_download() as download:
        page.locator("#save-tsv").click()
    download.value.save_as(out / "ratings.tsv")
    return flagged


def _listed(page: Page, rows: str) -> list[str]:
    return sorted(row.inner_text().strip() for row in page.locator(f"#subjects tbody {rows}").locator(".who").all())


def _told(before: Mapping[str, tuple[str, ...]], after: Dataset, flagged: Sequence[str]) -> None:
    """Whether the rule was followed: who is rejected leaves splits and pairs, nobody else moves."""
    for name in SPLITS:
        was, now = before[name], after.split(name)
        expected = tuple(subject for subject in was if subject not in flagged)
        print(f"{name}: {len(was)} subjects, then {len(now)}: {'as the rule says' if now == expected else 'WRONG'}")
        if name != "train":  # which has no list of pairs
            left = {ref.subject for pair in after.pairs(name, "all") for ref in (pair.moving, pair.fixed)} & {*flagged}
            print(f"{name}: rejected subjects in pairs: {len(left)}")


def _srreg(*words: object) -> None:
    done = subprocess.run([_BIN / "srreg", *map(str, words)], capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        sys.exit(f"{done.stderr}\nsrreg {' '.join(map(str, words))}: {done.returncode}")


if __name__ == "__main__":
    main()
