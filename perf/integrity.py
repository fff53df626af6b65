"""What the integrity checks of a build cost: hashing, proving what was written, flushing to disk.

python perf/integrity.py TREE --size half --subjects 3     (TREE: of `srreg simulate`, whose masks and labels are taken)

Builds the subjects in this process under a profiler, into a folder that is deleted again. The checksum inside each gzip
stream is not counted: reading a compressed file takes it in any case. Nor are neural back ends in the build's time, without
which the share is larger.
"""

import argparse
import cProfile
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from srreg.backends.protocol import Resources
from srreg.backends.registry import SEGMENTERS, SKULL_STRIPPERS, make
from srreg.build import runner, worker
from srreg.build.settings import BuildSettings
from srreg.build.worker import Job, Outcome

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS")
_CHECKS = {  # file and function, none of which calls another of them
    ("files.py", "sha256"): "sha256 of sources, twice, of given masks and labels, and of what was written",
    ("volume.py", "digest"): "sha256 of what steps made",
    ("files.py", "_check_written"): "reading back what was written",
    ("io.py", "_check_length"): "length of what was unpacked",
    ("", "<built-in method posix.fsync>"): "flushing to disk",
}


def main() -> None:
    """Build, and print a table of the checks."""
    options = _options()
    os.environ |= dict.fromkeys(_THREADS, "1")  # as in a build's own processes; read when a library starts
    given = f"precomputed:{options.tree}"
    with tempfile.TemporaryDirectory(dir=options.tree.parent) as folder:
        settings = BuildSettings(
            source=options.tree,
            out=Path(folder) / "sr-reg",
            skull_stripper=make(SKULL_STRIPPERS, given, Resources()),
            segmenter=make(SEGMENTERS, given, Resources()),
            size=options.size,
            limit=options.subjects,
        )
        runner._outcomes = _here
        profile, started = cProfile.Profile(), time.perf_counter()
        report = profile.runcall(runner.build, settings)
        total = time.perf_counter() - started
    if report.failed or len(report.built) != options.subjects:
        sys.exit("\n".join(outcome.reason for outcome in report.failed) or "fewer subjects than asked for")
    print("\n".join(_table(profile, total)))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tree", type=Path)
    parser.add_argument("--size", choices=("full", "half", "quarter"), default="half")
    parser.add_argument("--subjects", type=int, default=3)
    return parser.parse_args()


def _here(settings: BuildSettings, jobs: Sequence[Job]) -> Iterator[Outcome]:
    """In this process, where the profiler sees it, instead of in one each."""
    return map(worker.run, jobs)


def _table(profile: cProfile.Profile, total: float) -> Iterator[str]:
    seconds = dict.fromkeys(_CHECKS.values(), 0.0)
    calls = dict.fromkeys(_CHECKS.values(), 0)
    for entry in profile.getstats():
        key = ("", entry.code) if isinstance(entry.code, str) else (Path(entry.code.co_filename).name, entry.code.co_name)
        if what := _CHECKS.get(key):
            seconds[what] += entry.totaltime
            calls[what] += entry.callcount
    yield "| check | calls | seconds | % of the build |\n| --- | ---: | ---: | ---: |"
    for what, spent in seconds.items():
        yield f"| {what} | {calls[what]} | {spent:.3f} | {100 * spent / total:.2f} |"
    yield f"| together | | {sum(seconds.values()):.3f} | {100 * sum(seconds.values()) / total:.2f} |"
    yield f"| the build | | {total:.1f} | |"


if __name__ == "__main__":
    main()
