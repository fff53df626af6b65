"""Four builds at once on one folder, and four shards: nothing is mixed."""

from pathlib import Path

from perf.faults.trials import Bench, broken_files

BUSY = 5
PROCESSES = 4


def four_builds(bench: Bench, out: Path) -> list[str]:
    """What went wrong: one builds, three are sent away."""
    codes = _codes([bench.start(out) for _ in range(PROCESSES)])
    sent_away = [] if sorted(codes) == [0] + [BUSY] * (PROCESSES - 1) else [f"exit codes {codes}"]
    return [*sent_away, *broken_files(out), *bench.wrong_after_resuming(out)]


def four_shards(bench: Bench, out: Path) -> list[str]:
    """What went wrong: of two pairs with the same number, the second of each finds nothing to do or is sent away."""
    codes = _codes([bench.start(out, "--shard", shard) for shard in ("1/2", "2/2", "1/2", "2/2")])
    unexpected = [] if set(codes) <= {0, BUSY} and 0 in codes else [f"exit codes {codes}"]
    return [*unexpected, *broken_files(out), *bench.wrong_after_resuming(out)]


def _codes(running: list) -> list[int]:
    for process in running:
        process.communicate(timeout=600)
    return [process.returncode for process in running]
