"""What the trials share: a small source, the build as a person types it, and what must be true of a data set's folder."""

import gzip
import hashlib
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_HOOK = Path(__file__).with_name("hook")
_ROOT = Path(__file__).resolve().parents[2]
_SRREG = [sys.executable, "-c", "from cli import main_srreg; main_srreg()"]
_VARIABLE = (".build", "manifest.jsonl")  # times and statuses


@dataclass(frozen=True)
class Bench:
    """A source, what an undisturbed build makes of it, and room for trials."""

    source: Path
    expected: Mapping[str, str]
    room: Path

    @classmethod
    def make(cls, room: Path, subjects: int) -> "Bench":
        """Simulate heads of 4 mm and build them once."""
        source = room / "source"
        subprocess.run(
            [*_SRREG, "simulate", "--out", source, "--subjects", str(subjects), "--size", "quarter"],
            env=_environment(), check=True, capture_output=True,
        )  # fmt: skip
        return cls.of(room, source)

    @classmethod
    def of(cls, room: Path, source: Path) -> "Bench":
        """Build a source once."""
        bench = cls(source, {}, room)
        done = bench.build(room / "undisturbed")
        assert done.returncode == 0, done.stderr
        return cls(source, digests(room / "undisturbed"), room)

    def start(self, out: Path, *more: str, fault: str = "") -> "subprocess.Popen[str]":
        """Begin a build in a process group of its own."""
        truth = f"precomputed:{self.source}"
        command = [
            *_SRREG, "build", "--synthrad-dir", self.source, "--out", out, "--size", "quarter", "--align", "center",
            "--skull-stripper", truth, "--segmenter", truth, *more,
        ]  # fmt: skip
        return subprocess.Popen(
            [str(part) for part in command], env=_environment(fault, out), start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def build(self, out: Path, *more: str, fault: str = "") -> "subprocess.CompletedProcess[str]":
        """Build to the end, whatever it is."""
        process = self.start(out, *more, fault=fault)
        told, said = process.communicate(timeout=600)
        return subprocess.CompletedProcess(process.args, process.returncode, told, said)

    def wrong_after_resuming(self, out: Path) -> list[str]:
        """What is not as it should be once a disturbed build was run again; empty if it is the undisturbed tree."""
        done = self.build(out)
        wrong = [] if done.returncode == 0 else [f"exit {done.returncode}: {done.stderr.strip()[-300:]}"]
        found = digests(out)
        wrong += [f"{name} differs" for name in sorted(found.keys() ^ self.expected.keys())]
        wrong += [f"{name} has other bytes" for name in sorted(self.expected) if found.get(name) != self.expected[name]]
        return wrong + [f"{path.name} was left behind" for path in out.rglob("*.part")]


def _environment(fault: str = "", below: Path | None = None) -> dict[str, str]:
    paths = [str(_ROOT)]
    more: dict[str, str] = {"OMP_NUM_THREADS": "1"}
    if fault:
        assert below is not None
        paths.insert(0, str(_HOOK))
        more |= {"FAULT": fault, "FAULT_BELOW": str(below.resolve()), "FAULT_EVENTS": str(events_file(below))}
    return {**os.environ, **more, "PYTHONPATH": os.pathsep.join(paths)}


def events_file(out: Path) -> Path:
    """Where the hook counts; beside the data set, not in it."""
    return out.with_name(out.name + ".events").resolve()


def digests(root: Path) -> dict[str, str]:
    """File -> sha256 of all that must be the same in every build."""
    files = {path.relative_to(root).as_posix(): path for path in sorted(root.rglob("*")) if path.is_file()}
    return {n: hashlib.sha256(p.read_bytes()).hexdigest() for n, p in files.items() if not n.startswith(_VARIABLE)}


def broken_files(root: Path) -> list[str]:
    """Volumes with a final name that are not whole, and subjects that count as built but are not what their sidecars say."""
    from srreg.build.publish import is_published
    from srreg.dataset import Dataset

    broken = [str(path) for path in root.rglob("[!.]*.nii.gz") if ".part" not in str(path) and not _is_whole(path)]
    if (root / "participants.tsv").is_file() and (root / "dataset_description.json").is_file():
        broken += [i for i in Dataset.open(root).subjects if not is_published(root, i, deep=True)]
    return broken


def _is_whole(path: Path) -> bool:
    try:
        with gzip.open(path) as stream:
            while stream.read(1 << 20):
                pass
    except (OSError, EOFError):
        return False
    return True
