"""HD-BET 2: one nnU-Net, run by nnU-Net's own predictor; HD-BET's package, which downloads by itself, is never called."""

import hashlib
import importlib.metadata
import importlib.util
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from srreg.backends.contract import checked_brain
from srreg.backends.gpu import with_cpu_retry
from srreg.backends.on_files import run_on_files
from srreg.backends.protocol import About, Resources
from srreg.backends.torch_probe import missing_device
from srreg.errors import BackendUnavailable, DataError
from srreg.files import read_json, sha256_once
from srreg.subject import Subject
from srreg.volume import LabelMap
from srreg.weights.archive import Archive

_PLANS = ("dataset.json", "plans.json")
_CHECKPOINT = "fold_all/checkpoint_final.pth"
FILES = (*_PLANS, _CHECKPOINT)
_SCRIPT = Path(__file__).with_name("run_hd_bet.py")

# The address is that of HD_BET/paths.py in hd-bet 2.0.1. Neither the package nor the record's pages that we have
# state a digest or a size, and the file could not be had here: the first fetch is trusted (srreg.weights.archive).
ARCHIVE = Archive(
    name="hd-bet",
    url="https://zenodo.org/records/14445620/files/release_v1.5.0.zip?download=1",
    file_name="release_v1.5.0.zip",
    holds=FILES,
    most_bytes=2 * 1024**3,
)
fetch = ARCHIVE.fetch


class HdBet:
    """Runs HD-BET 2 on the whole-head MR; nnU-Net resamples by itself and gives the mask on the image's own grid.

    Without a folder the weights are those of `srreg weights fetch hd-bet`.
    """

    name: ClassVar[str] = "hd-bet"
    takes_more: ClassVar[bool] = True
    about: ClassVar[About] = About(
        licence="Apache-2.0; the weights' is at their record",
        source="https://pypi.org/project/hd-bet/",
        citation="Isensee et al., Human Brain Mapping 2019, doi:10.1002/hbm.24750",
        weights="srreg weights fetch hd-bet (zenodo.org/records/14445620; no published digest, the first fetch is trusted)",
        memory_gib=6.0,  # not measured
        core_minutes=10.0,  # its README: 2 minutes on a CPU of several cores
        remark="proved with a small nnU-Net of our own, not with its weights",
    )

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._folder = resources.directory or ARCHIVE.folder

    def fingerprint(self, subject_id: str) -> str:
        """nnU-Net's version, and one digest of the three files of the model."""
        names = "".join(f"{name} {sha256_once(self._folder / name)}\n" for name in FILES)
        version = importlib.metadata.version("nnunetv2")
        return f"{self.name} nnunetv2 {version} {hashlib.sha256(names.encode()).hexdigest()} not mirrored"

    def check(self) -> Sequence[str]:
        """What is missing: nnU-Net, the weights as they were fetched, a file of one's own folder, or the device."""
        if importlib.util.find_spec("nnunetv2") is None:
            return [f'{self.name} is not installed: pip install "hd-bet>=2.0"']
        try:
            if self._resources.directory is None:
                ARCHIVE.verify()
            else:
                _check_model(self._folder)
        except (BackendUnavailable, DataError) as error:
            return [str(error)]
        return missing_device(self._resources.device)

    def __call__(self, subject: Subject) -> LabelMap:
        """The brain.

        Raises:
            StepFailed: the tool failed, or what it gave is no brain.
        """
        brain = with_cpu_retry(self.name, subject.id, self._resources.device, lambda device: self._found(subject, device))
        return checked_brain(self.name, brain, subject)

    def _found(self, subject: Subject, device: str) -> LabelMap:
        return run_on_files(
            self.name,
            subject.mr,
            lambda source, target: [sys.executable, "-I", _SCRIPT, source, target, self._folder.absolute(), device],
            self._resources,
            environment=lambda _: {"nnUNet_compile": "f"},  # compiling takes longer than one head does
        )


def _check_model(folder: Path) -> None:
    """A folder of the user's own.

    Raises:
        DataError: a file is missing or cut off.
    """
    for name in _PLANS:
        read_json(folder / name)
    checkpoint = folder / _CHECKPOINT
    if not checkpoint.is_file() or not zipfile.is_zipfile(checkpoint):
        raise DataError(f"{checkpoint}: is missing, cut off or no checkpoint of nnU-Net; hd-bet:DIR needs {', '.join(FILES)}")
