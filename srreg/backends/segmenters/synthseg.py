"""SynthSeg 2.0, as FreeSurfer brings it: a network for any contrast; the published SR-Reg most likely has its labels."""

from collections.abc import Sequence
from typing import ClassVar

from srreg import geometry
from srreg.backends.contract import check_grid, checked_labels
from srreg.backends.freesurfer import Program
from srreg.backends.gpu import with_cpu_retry
from srreg.backends.model_grid import model_grid
from srreg.backends.on_files import run_on_files
from srreg.backends.protocol import About, Resources
from srreg.backends.torch_probe import missing_device
from srreg.labels import merge_sides
from srreg.subject import Subject
from srreg.volume import LabelMap

# The digest is the key under which FreeSurfer's own repository (git-annex) keeps the file; we have not had it ourselves.
PROGRAM = Program(
    "mri_synthseg", "7.3.2", "synthseg_2.0.h5", "f190bfd742f450ef3ca2c9df9ed4d2e0232b3a74471da5e51b7770bacdf80c3e"
)
SPACING_MM = 1.0


class Synthseg:
    """Runs `mri_synthseg` on the whole-head MR at 1 mm and brings the labels back by nearest neighbours.

    The tool answers at 1 mm whatever it is given, on a grid it rounds by itself; given 1 mm, it keeps the grid.
    One call a subject: each subject of a build has a process of its own, also where a GPU could take them all at once.
    """

    name: ClassVar[str] = "synthseg"
    takes_more: ClassVar[bool] = False
    about: ClassVar[About] = About(
        licence="FreeSurfer Software License; SynthSeg itself Apache-2.0",
        source="https://surfer.nmr.mgh.harvard.edu/fswiki/SynthSeg",
        citation="Billot et al., Medical Image Analysis 2023, doi:10.1016/j.media.2023.102789",
        weights="FreeSurfer brings them (53 MB)",
        memory_gib=12.0,  # not measured
        core_minutes=4.0,  # not measured
        remark="our side is proved with a stand-in, not with FreeSurfer",
    )

    def __init__(self, resources: Resources) -> None:
        self._resources = resources

    def fingerprint(self, subject_id: str) -> str:
        """FreeSurfer's release and the network's digest."""
        return f"{self.name} {PROGRAM.fingerprint()} at {SPACING_MM:g} mm"

    def check(self) -> Sequence[str]:
        """What is missing: FreeSurfer, the network, or the device."""
        return PROGRAM.check() or missing_device(self._resources.device)

    def __call__(self, subject: Subject) -> LabelMap:
        """The regions, two sides merged, in the values of `srreg.labels`.

        Raises:
            StepFailed: the tool failed, or what it gave are not a brain's labels.
        """
        labels = with_cpu_retry(self.name, subject.id, self._resources.device, lambda device: self._found(subject, device))
        return checked_labels(self.name, merge_sides(labels), subject)

    def _found(self, subject: Subject, device: str) -> LabelMap:
        grid = model_grid(subject.mr.grid, SPACING_MM)
        options = ["--threads", str(self._resources.threads), *(["--cpu"] if device == "cpu" else [])]
        found = run_on_files(
            self.name,
            geometry.resample(subject.mr, grid),
            lambda source, target: [PROGRAM.name, "--i", source, "--o", target, *options],
            self._resources,
            "labels.nii.gz",
            environment=lambda _: {**PROGRAM.environment(), **_visible(device)},
        )
        check_grid(self.name, found, grid)
        return geometry.resample(found, subject.mr.grid)


def _visible(device: str) -> dict[str, str]:
    """TensorFlow takes the first GPU it sees: let it see the one that was asked for."""
    _, _, number = device.partition(":")
    return {"CUDA_VISIBLE_DEVICES": number} if number else {}
