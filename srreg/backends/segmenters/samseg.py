"""SAMSEG with its atlas, from the wheel `samseg`; it needs an old numpy, so it has an environment of its own, made by uv."""

import hashlib
import importlib.util
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import ClassVar

from srreg.backends.contract import checked_labels
from srreg.backends.on_files import run_on_files
from srreg.backends.process import run, work_folder
from srreg.backends.protocol import About, Resources
from srreg.backends.segmenters.samseg_labels import TO_SR_REG
from srreg.errors import BackendUnavailable, StepFailed
from srreg.labels import remap
from srreg.subject import Subject
from srreg.volume import LabelMap
from srreg.weights.download import Advance

log = logging.getLogger(__name__)

VERSION = "0.4a0"
PYTHON = "3.11"  # the only one its wheel is built for
# Its arithmetic rests on these; other releases would be another tool to the cache.
PINS = ("numpy==1.26.4", "scipy==1.17.1", "scikit-learn==1.9.1", "surfa==0.6.3")
# sha256 over names and digests of the atlas's files, as in the wheel on PyPI.
ATLAS_SHA256 = "698fd5c7e923ba2a99e251992933f0a982a73f98e23b49078b444952cc6c91b6"
FETCH = "srreg weights fetch samseg"

_SCRIPT = Path(__file__).with_name("run_samseg.py")
_CHECK_S, _FETCH_S = 120.0, 3600.0


@dataclass(frozen=True)
class Environment:
    """What lies in the tool's environment."""

    versions: dict[str, str]
    atlas: str


class Samseg:
    """Runs SAMSEG on the whole head: skull and scalp are part of its atlas. About 9 minutes of one core at 1 mm."""

    name: ClassVar[str] = "samseg"
    takes_more: ClassVar[bool] = False
    about: ClassVar[About] = About(
        licence="MIT",
        source="https://pypi.org/project/samseg/",
        citation="Puonti, Iglesias, Van Leemput, NeuroImage 2016, doi:10.1016/j.neuroimage.2016.09.011",
        weights="the atlas is in the package; uv downloads it once, with the packages it needs (about 130 MB)",
        memory_gib=6.3,
        core_minutes=9.0,
        remark="for Linux on x86-64; its labels are not those of SynthSeg, which SR-Reg has: do not compare scores on the two",
    )

    def __init__(self, resources: Resources) -> None:
        self._resources = resources

    def fingerprint(self, subject_id: str) -> str:
        """Versions, digest of the atlas, and of the table its labels are mapped by."""
        table = hashlib.sha256(json.dumps(sorted(TO_SR_REG.items())).encode()).hexdigest()
        return f"{self.name} {VERSION} {' '.join(PINS)} atlas {ATLAS_SHA256} labels {table}"

    def check(self) -> Sequence[str]:
        """What is missing: uv, or the environment, which is looked for without the network."""
        if importlib.util.find_spec("uv") is None:
            return [f"{self.name} needs uv: pip install uv"]
        try:
            found = _environment()
        except StepFailed as error:
            log.debug("%s: %s", self.name, error)
            return [f"{self.name} has no environment yet: {FETCH}"]
        return (
            []
            if found.atlas == ATLAS_SHA256
            else [f"{self.name} has another or a damaged atlas: uv cache clean samseg; {FETCH}"]
        )

    def __call__(self, subject: Subject) -> LabelMap:
        """The regions, two sides merged, in the values of `srreg.labels`.

        Raises:
            StepFailed: the tool failed, or what it gave are not a brain's labels.
        """
        threads = str(self._resources.threads)
        found = run_on_files(
            self.name,
            subject.mr,
            lambda source, target: [*_tool("--offline"), _SCRIPT, "segment", source, target, threads],
            self._resources,
            "labels.nii.gz",
        )
        # A value the table lacks is left to the contract, which refuses it.
        return checked_labels(self.name, remap(found, TO_SR_REG), subject)


def fetch(advance: Advance) -> None:
    """Make the tool's environment: the one place where it may use the network. A second call changes nothing.

    Args:
        advance: is told nothing; uv does not say how far it is.

    Raises:
        BackendUnavailable: uv could not make it; what uv said is in the message.
    """
    try:
        found = _described([], _FETCH_S)
    except StepFailed as error:
        raise BackendUnavailable(f"the environment of samseg could not be made: {error}") from error
    if found.atlas != ATLAS_SHA256:
        raise BackendUnavailable(f"the atlas of samseg {VERSION} is not the published one (sha256 {found.atlas})")
    _environment.cache_clear()


def _tool(*options: str) -> list[str]:
    """The Python of the tool's environment, as a command."""
    import uv

    extra = [part for pin in PINS for part in ("--with", pin)]
    return [
        *(uv.find_uv_bin(), "tool", "run", "--quiet", "--no-progress", *options),
        *("--python", PYTHON, "--from", f"samseg=={VERSION}", *extra),
        *("python", "-I"),  # -I: the script's own folder is no place to import from; a samseg.py lies there
    ]


@cache
def _environment() -> Environment:
    return _described(["--offline"], _CHECK_S)


def _described(options: Sequence[str], timeout_s: float) -> Environment:
    with work_folder() as folder:
        answer = folder / "samseg.json"
        run("uv", [*_tool(*options), _SCRIPT, "describe", answer], folder, timeout_s=timeout_s)
        try:
            described = json.loads(answer.read_bytes())
            return Environment(described["versions"], described["atlas"])
        except (OSError, ValueError, KeyError) as error:
            raise StepFailed(f"samseg's environment gave no description of itself ({error})") from error
