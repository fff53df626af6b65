"""Masks and labels that were made before: `DIR/<ID>/{brain,labels}.nii.gz`."""

from dataclasses import dataclass
from pathlib import Path

from srreg.errors import DataError, UsageError
from srreg.files import sha256
from srreg.geometry import reorient_to_ras
from srreg.io import read_labels
from srreg.volume import LabelMap

# DIR may be the folder of the subjects, SynthRAD's Task1 or its parent, as with --synthrad-dir.
_BELOW = (Path(), Path("brain"), Path("Task1", "brain"))


@dataclass(frozen=True)
class PrecomputedFolder:
    """A folder with one folder a subject.

    Args:
        root: as the person gave it.
        file_name: what is read from each subject's folder.
    """

    root: Path
    file_name: str

    @classmethod
    def of(cls, directory: Path | None, file_name: str, option: str) -> "PrecomputedFolder":
        """Take the folder that `precomputed:DIR` names.

        Raises:
            UsageError: none was named, or there is no such folder.
        """
        if directory is None:
            raise UsageError(f"precomputed needs the folder that holds <ID>/{file_name}: {option} precomputed:DIR")
        if not directory.is_dir():
            raise UsageError(f"{option} precomputed:{directory}: there is no such folder")
        return cls(directory, file_name)

    def file(self, subject_id: str) -> Path:
        """Where a subject's file lies.

        Raises:
            DataError: it is not there.
        """
        candidates = [self.root / below / subject_id / self.file_name for below in _BELOW]
        for path in candidates:
            if path.is_file():
                return path
        raise DataError(f"{candidates[0]} is missing (looked under brain and Task1/brain, too)")

    def fingerprint(self, subject_id: str) -> str:
        """Digest of the subject's file; its place does not count."""
        return f"precomputed {sha256(self.file(subject_id))}"

    def check(self) -> list[str]:
        """One line if no subject's file lies anywhere below."""
        if any(next((self.root / below).glob(f"*/{self.file_name}"), None) for below in _BELOW):
            return []
        return [f"{self.root} holds no <ID>/{self.file_name}; name the folder of the subjects"]

    def read(self, subject_id: str) -> LabelMap:
        """A subject's file, its axes turned to RAS; no voxel is interpolated.

        Raises:
            DataError: missing, damaged, or not labels.
        """
        return reorient_to_ras(read_labels(self.file(subject_id)))
