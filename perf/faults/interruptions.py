"""Builds that are killed at random moments and at each write, flush and rename, and builds whose disk fills at each of them."""

import os
import random
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter, sleep

from perf.faults.trials import Bench, broken_files, events_file

NO_ROOM = 6


def killed_at_random(bench: Bench, trials: int, seed: int) -> Iterator[list[str]]:
    """For each trial, what went wrong: kill -9 of the whole build at a moment of its length, then the same command again."""
    started = perf_counter()
    bench.build(_fresh(bench.room / "length"))
    length_s, rng = perf_counter() - started, random.Random(seed)
    for _ in range(trials):
        out = _fresh(bench.room / "killed")
        running = bench.start(out)
        sleep(rng.uniform(0, 1.1 * length_s))
        if running.poll() is None:
            os.killpg(running.pid, signal.SIGKILL)
        running.communicate()
        yield [*broken_files(out), *bench.wrong_after_resuming(out)]


def events(bench: Bench, renames_twice: bool = True) -> int:
    """How many writes, flushes and renames an undisturbed build has; a kill may come before and after a rename."""
    out = _fresh(bench.room / "counted")
    bench.build(out, fault=f"{'kill' if renames_twice else 'full'}:{10**9}")
    return events_file(out).stat().st_size


def killed_at(bench: Bench, event: int) -> list[str]:
    """What went wrong after a build was killed at one event, a write half done, and run again."""
    out = _fresh(bench.room / "struck")
    done = bench.build(out, fault=f"kill:{event}")
    missed = [] if done.returncode == -signal.SIGKILL else [f"was not killed but ended with {done.returncode}"]
    return [*missed, *broken_files(out), *bench.wrong_after_resuming(out)]


def filled_at(bench: Bench, event: int) -> list[str]:
    """What went wrong after the disk was full from one event on, half a write done, and the build run again with room."""
    out = _fresh(bench.room / "full")
    done = bench.build(out, fault=f"full:{event}")
    missed = [] if done.returncode == NO_ROOM else [f"ended with {done.returncode}: {done.stderr.strip()[-300:]}"]
    missed += ["a traceback was shown"] if "Traceback" in done.stderr else []
    left = [f"{path.name} was left behind" for path in out.rglob("*.part")]
    return [*missed, *left, *broken_files(out), *bench.wrong_after_resuming(out)]


def _fresh(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    events_file(folder).unlink(missing_ok=True)
    return folder
