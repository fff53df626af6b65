"""SR-Reg as the authors of MambaMorph released it: find each subject's files, read and prove them.

`<volumes>/<ID>_mr.nii.gz`, `<volumes>/<ID>_ct.nii.gz`, `<labels>/<ID>.nii.gz`: one label map serves both images. The folders
are called `vol` and `seg`, or `volumes_center...` and `seg_center...`, side by side or one level further down. The authors'
loader takes the arrays in the order they are stored and never looks at where a header puts them, so that is done here, too;
labels may be stored as floats. Source: the loader of Guo et al. 2024 (arXiv:2401.13934), and what users of the release show.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from srreg import io
from srreg.errors import DataError
from srreg.labels import check_known
from srreg.sources.synthrad import read_persons
from srreg.subject import Subject, checked_id
from srreg.volume import Grid, LabelMap, Volume

_NIFTI = ".nii.gz"
_MOST_NAMED = 5


@dataclass(frozen=True)
class ReleasedCase:
    """One subject's files, before anything in them is read.

    Args:
        id: as in the files' names.
        person: whom it shows; the id itself unless a `participants.tsv` beside the folders says otherwise.
        mr: the image.
        ct: the image.
        labels: of both.
    """

    id: str
    person: str
    mr: Path
    ct: Path
    labels: Path

    @property
    def files(self) -> dict[str, Path]:
        """All three, by kind."""
        return {"mr": self.mr, "ct": self.ct, "labels": self.labels}


def find_cases(directory: Path) -> list[ReleasedCase]:
    """Every subject of a release, in the order of their ids.

    Raises:
        DataError: no folder of volumes or of labels, two of a kind, an id that cannot be one, or files that are missing.
    """
    if not directory.is_dir():
        raise DataError(f"{directory}: no such folder. Give the one that holds the release's volumes and labels.")
    volumes = _only(directory, [f for f in _folders(directory) if any(f.glob(f"*_mr{_NIFTI}"))], "<ID>_mr.nii.gz")
    ids = [checked_id(i) for i in sorted(_ids(volumes))]
    labels = _only(
        directory, [f for f in _folders(directory) if any((f / f"{i}{_NIFTI}").is_file() for i in ids)], "<ID>.nii.gz"
    )
    persons = read_persons(directory)
    cases = [
        ReleasedCase(i, persons.get(i, i), volumes / f"{i}_mr{_NIFTI}", volumes / f"{i}_ct{_NIFTI}", labels / f"{i}{_NIFTI}")
        for i in ids
    ]
    _check_complete(directory, cases)
    return cases


def _folders(directory: Path) -> list[Path]:
    """The folder itself and what lies up to two levels below it."""
    return [directory, *(path for pattern in ("*", "*/*") for path in sorted(directory.glob(pattern)) if path.is_dir())]


def _only(directory: Path, folders: Sequence[Path], what: str) -> Path:
    if len(folders) != 1:
        found = ", ".join(str(folder) for folder in folders) or "none"
        raise DataError(f"{directory}: expected one folder with {what} in it or up to two levels below, found {found}")
    return folders[0]


def _ids(volumes: Path) -> set[str]:
    """Of whoever has an MR or a CT."""
    endings = (f"_mr{_NIFTI}", f"_ct{_NIFTI}")
    return {path.name.removesuffix(ending) for ending in endings for path in volumes.glob(f"*{ending}")}


def _check_complete(directory: Path, cases: Sequence[ReleasedCase]) -> None:
    missing = [str(path.relative_to(directory)) for case in cases for path in case.files.values() if not path.is_file()]
    if missing:
        more = f" and {len(missing) - _MOST_NAMED} more" if len(missing) > _MOST_NAMED else ""
        raise DataError(f"{directory}: the release is incomplete, without {', '.join(missing[:_MOST_NAMED])}{more}")


def read_case(case: ReleasedCase, grids: Sequence[Grid]) -> Subject:
    """A subject's images and labels, proved, with the brain they show.

    An image whose values leave [0, 1] is brought there by its own extremes, as the authors' loader does. The brain is
    wherever an image differs from its corner voxel, or a label stands.

    Args:
        case: where the files lie.
        grids: where the arrays may lie in the world; the one of their shape is taken.

    Raises:
        DataError: a file is missing or damaged, shapes that differ or are none of the grids', labels that are not whole
            numbers or not in the table, or no label at all.
    """
    mr, ct = (io.read_volume(path, np.eye(4)) for path in (case.mr, case.ct))
    labels = io.read_labels(case.labels, np.eye(4))
    grid = _grid(case, (mr, ct, labels), grids)
    try:
        check_known(labels)
    except DataError as error:
        raise DataError(f"{case.labels}: {error}") from error
    if not labels.data.any():
        raise DataError(f"{case.labels}: holds no label but 0")
    brain = _differs(mr) | _differs(ct) | (labels.data > 0)
    return Subject(
        id=case.id,
        mr=Volume(_scaled(mr), grid.affine),
        ct=Volume(_scaled(ct), grid.affine),
        brain=LabelMap(brain, grid.affine),
        labels=LabelMap(labels.data, grid.affine),
    )


def _grid(case: ReleasedCase, images: Sequence[Volume | LabelMap], grids: Sequence[Grid]) -> Grid:
    for path, image in zip(case.files.values(), images, strict=True):
        if image.data.shape != images[0].data.shape:
            raise DataError(f"{path}: expected the shape of the MR, {images[0].data.shape}, got {image.data.shape}")
    for grid in grids:
        if grid.shape == images[0].data.shape:
            return grid
    known = " or ".join(str(grid.shape) for grid in grids)
    raise DataError(f"{case.mr}: expected an array of shape {known}, got {images[0].data.shape}")


def _differs(image: Volume) -> np.ndarray:
    different: np.ndarray = image.data != image.data[0, 0, 0]
    return different


def _scaled(image: Volume) -> np.ndarray:
    low, high = image.data.min(), image.data.max()
    if low >= 0 and high <= 1:
        return image.data
    scaled: np.ndarray = (image.data - low) / (high - low)
    return scaled
