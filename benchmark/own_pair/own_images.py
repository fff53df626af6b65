"""The images a person brings: any grid, any orientation, MR or CT."""

from dataclasses import dataclass
from pathlib import Path

from srreg import io, modality
from srreg.errors import GeometryError
from srreg.geometry import itk_header
from srreg.subject import Modality
from srreg.volume import LabelMap, Volume


@dataclass(frozen=True, eq=False)
class OwnImages:
    """What was read; a modality is None where it plays no part and nobody said it."""

    moving: Volume
    fixed: Volume
    labels: LabelMap | None
    moving_modality: Modality | None
    fixed_modality: Modality | None


@dataclass(frozen=True)
class OwnPair:
    """Where the images lie.

    Args:
        moving: the image that is warped.
        fixed: the image that stays.
        labels: regions of the moving image, in its world; they may lie on another grid.
        moving_modality: None: as its numbers tell.
        fixed_modality: None: as its numbers tell.
    """

    moving: Path
    fixed: Path
    labels: Path | None = None
    moving_modality: Modality | None = None
    fixed_modality: Modality | None = None

    @property
    def paths(self) -> tuple[Path, ...]:
        """Every file that is read."""
        return (self.moving, self.fixed, *([] if self.labels is None else [self.labels]))

    def read(self, are_whole_heads: bool) -> OwnImages:
        """Read and prove the files.

        Args:
            are_whole_heads: with their skulls, in scanner and Hounsfield units; else as the data set holds images,
                whose numbers do not tell MR from CT.

        Raises:
            DataError: missing or damaged, or a CT of a whole head that is not in Hounsfield units.
            GeometryError: no orientation, or a sheared grid, which no displacement file can hold.
        """
        moving, fixed = _read(self.moving), _read(self.fixed)
        labels = None if self.labels is None else io.read_labels(self.labels)
        if not are_whole_heads:
            return OwnImages(moving, fixed, labels, self.moving_modality, self.fixed_modality)
        moving_modality = _modality(self.moving, moving, self.moving_modality)
        return OwnImages(moving, fixed, labels, moving_modality, _modality(self.fixed, fixed, self.fixed_modality))


def _modality(path: Path, image: Volume, said: Modality | None) -> Modality:
    found = said or modality.guess(image)
    if found == "ct":
        modality.check_hounsfield(image, str(path))
    return found


def _read(path: Path) -> Volume:
    image = io.read_volume(path)
    try:
        itk_header(image.grid)
    except GeometryError as error:
        raise GeometryError(f"{path}: {error}. Resample it onto a grid with right angles.") from error
    return image
