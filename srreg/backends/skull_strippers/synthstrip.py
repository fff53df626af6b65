"""SynthStrip, as FreeSurfer brings it: a network for any contrast."""

from collections.abc import Sequence
from typing import ClassVar

from srreg.backends.contract import checked_brain
from srreg.backends.freesurfer import Program
from srreg.backends.gpu import with_cpu_retry
from srreg.backends.on_files import run_on_files
from srreg.backends.protocol import About, Resources
from srreg.backends.torch_probe import missing_device
from srreg.subject import Subject
from srreg.volume import LabelMap

# The network's digest as three projects that download it pin it; we have not had the file ourselves.
PROGRAM = Program(
    "mri_synthstrip", "7.3", "synthstrip.1.pt", "37417f802196186441aae3e7f385d94f8a98c64a88acaeaa2723af995c653e33"
)


class Synthstrip:
    """Runs `mri_synthstrip` on the whole-head MR; it resamples by itself and gives the mask on the image's own grid."""

    name: ClassVar[str] = "synthstrip"
    takes_more: ClassVar[bool] = False
    about: ClassVar[About] = About(
        licence="FreeSurfer Software License",
        source="https://surfer.nmr.mgh.harvard.edu/docs/synthstrip/",
        citation="Hoopes et al., NeuroImage 2022, doi:10.1016/j.neuroimage.2022.119474",
        weights="FreeSurfer brings them (31 MB)",
        memory_gib=8.0,  # reckoned from its widest layer at 256^3, not measured
        core_minutes=2.0,  # not measured
        remark="its mask holds the fluid around the brain; our side is proved with a stand-in, not with FreeSurfer",
    )

    def __init__(self, resources: Resources) -> None:
        self._resources = resources

    def fingerprint(self, subject_id: str) -> str:
        """FreeSurfer's release and the network's digest."""
        return f"{self.name} {PROGRAM.fingerprint()}"

    def check(self) -> Sequence[str]:
        """What is missing: FreeSurfer, the network, or the device."""
        if self._resources.device not in ("cpu", "cuda", "cuda:0"):
            return [f"{self.name} runs on the CPU or on the first GPU: --device cpu or --device cuda"]
        return PROGRAM.check() or missing_device(self._resources.device)

    def __call__(self, subject: Subject) -> LabelMap:
        """The brain with the fluid around it, up to 1 mm beyond (the tool's own border).

        Raises:
            StepFailed: the tool failed, or what it gave is no brain.
        """
        brain = with_cpu_retry(self.name, subject.id, self._resources.device, lambda device: self._found(subject, device))
        return checked_brain(self.name, brain, subject)

    def _found(self, subject: Subject, device: str) -> LabelMap:
        on_gpu = [] if device == "cpu" else ["-g"]  # threads go by OMP_NUM_THREADS: older releases have no option for them
        return run_on_files(
            self.name,
            subject.mr,
            lambda source, target: [PROGRAM.name, "-i", source, "-m", target, *on_gpu],
            self._resources,
            environment=lambda _: PROGRAM.environment(),
        )
