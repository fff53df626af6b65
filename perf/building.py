"""A build at scale, on simulated heads: time by step, memory, processes, reruns; everything but the neural back ends.

python perf/building.py --subjects 180 --size half --out built180      (run it again to go on)

Masks and labels are the simulation's. Simulates the tree, builds the first few subjects with one process and with as many as
there are cores, builds all, builds again (nobody is to be redone), and changes one parameter (whose steps alone are to be
redone). Prints Markdown.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

_BIN = Path(sys.executable).parent
_ONE_THREAD = {"OMP_NUM_THREADS": "1"}
_POLL_S = 0.2
_GIB = 1024**3


@dataclass(frozen=True)
class Done:
    """A command that ended well: wall seconds, and the peak of the resident memory of all its processes together."""

    seconds: float
    peak_gib: float
    output: str


def main() -> None:
    """Run all parts and print them."""
    options = _options()
    tree, dataset = options.out / "tree", options.out / "sr-reg"
    tools = [f"--{kind}=precomputed:{tree}" for kind in ("skull-stripper", "segmenter")]
    build = ["build", "--synthrad-dir", tree, "--size", options.size, *tools]
    cores = str(os.cpu_count() or 1)
    made = _srreg("simulate", "--out", tree, "--subjects", options.subjects, "--size", options.size, "--n-procs", cores)
    print(
        f"Simulating {options.subjects} heads ({options.size}): {made.seconds / 60:.1f} min, {cores} processes.\n", flush=True
    )
    print("\n".join(_processes(build, options, cores)), flush=True)
    whole = _srreg(*build, "--out", dataset, "--n-procs", cores)
    again = _srreg(*build, "--out", dataset, "--n-procs", cores)
    print(
        f"\nAll {options.subjects}, {cores} processes: {whole.seconds / 60:.1f} min, {whole.peak_gib:.2f} GiB at the peak of "
        f"all processes together; {_told(whole)}. Again: {again.seconds:.1f} s; {_told(again)}. The data set: "
        f"{_bytes(dataset) / 1e9:.2f} GB, with the cache of steps.\n"
    )
    print("\n".join(_steps(dataset)), flush=True)
    print("\n".join(_changed(build, options)))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--subjects", type=int, default=24)
    parser.add_argument("--size", choices=("full", "half", "quarter"), default="half")
    parser.add_argument("--few", type=int, default=6, help="subjects to compare numbers of processes with")
    return parser.parse_args()


def _processes(build: list[object], options: argparse.Namespace, cores: str) -> Iterator[str]:
    """The same few subjects with one process and with several."""
    yield f"| processes | minutes for {options.few} | GiB at the peak |\n| ---: | ---: | ---: |"
    seconds = []
    for count in ("1", cores):
        out = options.out / f"few{count}"
        shutil.rmtree(out, ignore_errors=True)
        done = _srreg(*build, "--out", out, "--limit", options.few, "--n-procs", count)
        seconds.append(done.seconds)
        yield f"| {count} | {done.seconds / 60:.2f} | {done.peak_gib:.2f} |"
    yield f"\n{cores} processes: {seconds[0] / seconds[1]:.2f} times the throughput of one."


def _steps(dataset: Path) -> Iterator[str]:
    """Seconds by step; of what the last build took from the cache, as long as it once took."""
    lines = [json.loads(line) for line in (dataset / "manifest.jsonl").read_text().splitlines()]
    yield "| step | seconds, median | largest |\n| --- | ---: | ---: |"
    for step in dict.fromkeys(line["step"] for line in lines):
        seconds = [line["seconds"] for line in lines if line["step"] == step]
        yield f"| {step} | {statistics.median(seconds):.2f} | {max(seconds):.2f} |"


def _changed(build: list[object], options: argparse.Namespace) -> Iterator[str]:
    """One other parameter: what a dry run says of it, and what the build then redoes."""
    out, other = options.out / "few1", ["--align", "rigid"]
    foretold = _srreg(*build, "--out", out, "--limit", options.few, *other, "--dry-run").output
    redone = {line.rpartition("redoes ")[2] for line in foretold.splitlines() if "redoes" in line}
    _srreg(*build, "--out", out, "--limit", options.few, *other)
    lines = [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]
    done = Counter((line["step"], line["status"]) for line in lines)
    yield f"\nWith `{' '.join(other)}`, a dry run says: redoes {' / '.join(sorted(redone))}. Then, of {options.few} subjects:\n"
    yield from (f"- {step}: {count} {status}" for (step, status), count in done.items())


def _srreg(*words: object) -> Done:
    """One of our commands, which must end well."""
    command, started = [str(_BIN / "srreg"), *map(str, words)], time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | _ONE_THREAD)
    peak = _Peak(process.pid)
    output, said = process.communicate()
    if process.returncode:
        sys.exit(f"{said}\n{' '.join(command)}: {process.returncode}")
    return Done(time.perf_counter() - started, peak.stop() / _GIB, output)


class _Peak:
    """Looks at the resident memory of a process and its children now and then; shared pages count once a process."""

    def __init__(self, pid: int) -> None:
        self._pid, self._bytes, self._is_over = pid, 0, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> int:
        self._is_over.set()
        self._thread.join()
        return self._bytes

    def _watch(self) -> None:
        while not self._is_over.wait(_POLL_S):
            try:
                process = psutil.Process(self._pid)
                now = sum(part.memory_info().rss for part in (process, *process.children(recursive=True)))
            except psutil.Error:
                continue
            self._bytes = max(self._bytes, now)


def _told(done: Done) -> str:
    """The line that counts subjects."""
    return next((line for line in done.output.splitlines() if "ready before" in line), "")


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


if __name__ == "__main__":
    main()
