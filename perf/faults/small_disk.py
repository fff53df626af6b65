"""A build on a disk that is really too small: a tmpfs, where this user may mount one."""

import shutil
import subprocess
from pathlib import Path

from perf.faults.interruptions import NO_ROOM
from perf.faults.trials import Bench, broken_files


def full_tmpfs(bench: Bench, folder: Path, kilobytes: int) -> list[str] | None:
    """What went wrong on a disk of a size; None where nothing can be mounted."""
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "none", folder], capture_output=True).returncode:
        return None
    try:
        out = folder / "sr-reg"
        done = bench.build(out)
        missed = [] if done.returncode == NO_ROOM else [f"ended with {done.returncode}: {done.stderr.strip()[-300:]}"]
        broken = broken_files(out)
        shutil.copytree(out, bench.room / "moved", dirs_exist_ok=False)  # to where there is room
    finally:
        subprocess.run(["umount", folder], check=True)
    wrong = [*missed, *broken, *bench.wrong_after_resuming(bench.room / "moved")]
    shutil.rmtree(bench.room / "moved")
    return wrong
