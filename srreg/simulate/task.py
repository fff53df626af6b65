"""One subject to be simulated, and the making of its files."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from srreg import io
from srreg.simulate.centres import centre_of, subject_id
from srreg.simulate.draw import Size, draw, draw_person, field_of_view
from srreg.simulate.paint import body_mask, labels_of, paint_ct, paint_mr
from srreg.volume import LabelMap, Volume

FILES = ("mr.nii.gz", "ct.nii.gz", "mask.nii.gz", "brain.nii.gz", "labels.nii.gz")


@dataclass(frozen=True)
class Task:
    """What makes a subject; nothing else does, so that it is the same in every tree.

    Args:
        number: counted from 0.
        seed: of the whole simulation.
        size: of the voxels.
        label_map: whose anatomy it has; None: an analytic head.
    """

    number: int
    seed: int
    size: Size
    label_map: Path | None

    @property
    def id(self) -> str:
        """As in SynthRAD: 1BA001."""
        return subject_id(self.number)

    @property
    def person(self) -> str:
        """Who it is: the label map, or somebody new."""
        return f"person-{self.number + 1:04d}" if self.label_map is None else self.label_map.name.removesuffix(".nii.gz")


@dataclass(frozen=True)
class Made:
    """What is known of a subject once its files are there.

    Args:
        id: as in SynthRAD.
        brain_ml: volume of its brain mask.
        bytes: size of each file, by name.
    """

    id: str
    brain_ml: float
    bytes: dict[str, int]


def make(task: Task, folder: Path) -> Made:
    """Draw a subject and write the files that are not there yet.

    Args:
        task: which subject.
        folder: where its files go.

    Raises:
        DataError: a label map that cannot be used.
        NoRoom: the disk is full.
    """
    whose, mr_seed, ct_seed = np.random.SeedSequence([task.seed, task.number]).spawn(3)
    person = draw_person(whose, task.label_map)
    drawing = draw(person, field_of_view(person), task.size)
    centre, mask = centre_of(task.number), body_mask(drawing)
    labels = LabelMap(labels_of(drawing), drawing.affine)
    # As skull strippers do, the brain takes in the CSF around it, up to the dura.
    brain = LabelMap(labels.data > 0, drawing.affine)
    _write(folder / "mr.nii.gz", Volume(paint_mr(drawing, centre, mask, mr_seed), drawing.affine))
    _write(folder / "ct.nii.gz", Volume(paint_ct(drawing, centre, mask, ct_seed), drawing.affine))
    _write(folder / "mask.nii.gz", LabelMap(mask, drawing.affine))
    _write(folder / "brain.nii.gz", brain)
    _write(folder / "labels.nii.gz", labels)
    return Made(task.id, round(brain.volume_ml(), 1), {name: (folder / name).stat().st_size for name in FILES})


def _write(path: Path, image: Volume | LabelMap) -> None:
    """Write a file that is not there; files appear whole, so one that is there is done."""
    if path.exists():
        return
    if isinstance(image, LabelMap):
        io.write_labels(path, image)
    else:
        io.write_volume(path, image)
