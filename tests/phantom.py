"""A small synthetic head: MR, CT, brain and labels with three different axes, made in milliseconds."""

from itertools import permutations, product
from pathlib import Path

import nibabel as nib
import numpy as np
from scipy.spatial.transform import Rotation

from srreg import io
from srreg.build.finish import write_splits
from srreg.build.splits import Splits
from srreg.dataset import SUFFIXES, Dataset, Participant, file_of
from srreg.files import read_json, tsv, write_json, write_text
from srreg.geometry import Image
from srreg.subject import Subject
from srreg.volume import LabelMap, Volume

SHAPE = (16, 32, 48)

# The 48 ways array axes may run: "RAS", "LPS", "PSR" ...
ORIENTATIONS = ["".join(letters) for axes in permutations(["LR", "PA", "IS"]) for letters in product(*axes)]

_OBLIQUE = np.eye(4)
_OBLIQUE[:3, :3] = Rotation.from_euler("xyz", [8, -12, 20], degrees=True).as_matrix() * [1.0, 1.5, 2.0]
_OBLIQUE[:3, 3] = [10, -20, 30]
# Four ways voxels may lie in the world; sides of three lengths, so that no two axes can be mixed up.
AFFINES = {
    "RAS": np.diag([1.0, 1.2, 1.5, 1]),
    "LAS": np.diag([-1.0, 1.2, 1.5, 1]),
    "LPS": np.diag([-1.2, -1.0, 1.5, 1]),
    "oblique": _OBLIQUE,
}


def head(subject_id: str = "1BA001", seed: int = 0, shape: tuple[int, int, int] = SHAPE, spacing_mm: float = 4.0) -> Subject:
    """Nested ellipsoids: skin, bone, cortex 3, white matter 2, ventricle 4 (left of the middle only).

    RAS, centred on the world's origin; nothing about it is symmetric along any axis.
    """
    rng = np.random.default_rng(seed)
    centre = (np.array(shape) - 1) / 2 + rng.uniform(-0.5, 0.5, 3)
    offset = (np.indices(shape) - centre[:, None, None, None]) / (np.array(shape) / 2)[:, None, None, None]
    radius = np.linalg.norm(offset, axis=0)
    labels = np.select([radius < 0.45, radius < 0.62], [2, 3], 0)
    labels[(np.linalg.norm(offset - np.array([-0.15, 0.1, 0.05])[:, None, None, None], axis=0) < 0.18)] = 4
    bone = (radius >= 0.66) & (radius < 0.75)
    skin = (radius >= 0.75) & (radius < 0.85)
    mr = np.select([labels == 2, labels == 3, labels == 4, bone, skin], [110.0, 75.0, 25.0, 8.0, 60.0], 0.0)
    ct = np.select([labels == 2, labels == 3, labels == 4, bone, skin], [29.0, 38.0, 8.0, 900.0, 30.0], -1000.0)
    mr = np.where(mr > 0, mr + rng.normal(0, 2, shape), 0)
    ct = ct + rng.normal(0, 2, shape)
    affine = np.diag([spacing_mm, spacing_mm, spacing_mm, 1.0])
    affine[:3, 3] = -spacing_mm * (np.array(shape) - 1) / 2
    return Subject(
        id=subject_id,
        mr=Volume(mr, affine),
        ct=Volume(ct, affine),
        brain=LabelMap(labels > 0, affine),
        labels=LabelMap(labels, affine),
    )


def write_dataset(root: Path, subjects: int = 8, shape: tuple[int, int, int] = SHAPE, tested: int = 2) -> Dataset:
    """A built data set of phantoms, written by hand: all built; the last `tested` are test, the two before validation."""
    ids = [f"1BA{n:03d}" for n in range(1, subjects + 1)]
    for number, subject_id in enumerate(ids):
        _write_subject(root, head(subject_id, seed=number, shape=shape))
    participants = [Participant(i, i, "A", "built", "", 1500.0, "n/a").row() for i in ids]
    write_text(root / "participants.tsv", tsv(Participant.COLUMNS, participants))
    write_json(root / "dataset_description.json", {"Name": "SR-Reg", "BIDSVersion": "1.10.0", "DatasetType": "derivative"})
    rest, test = ids[:-tested], ids[-tested:]
    splits = {"train": rest[:-2], "val": rest[-2:], "test": test}
    for name, members in splits.items():
        write_text(root / "splits" / f"{name}.txt", "".join(f"{i}\n" for i in members))
    for name in ("val", "test"):
        first, second, *_ = splits[name]
        everyone = [f"{moving}:mr,{fixed}:ct,all" for moving, fixed in permutations(splits[name], 2)]
        rows = [f"{first}:mr,{second}:ct,paper", *everyone]
        write_text(root / "pairs" / f"{name}.csv", "\n".join(["moving,fixed,protocol", *rows]) + "\n")
    return Dataset.open(root)


def write_dataset_as_built(root: Path) -> Dataset:
    """8 people, two train, two validate, four are tested, with the steps and the lists that a build leaves."""
    made = write_dataset(root)
    for subject_id in made.subjects:
        sidecar = file_of(made.root, subject_id, "labels", ".json")
        write_json(sidecar, {**read_json(sidecar), "Steps": [{"step": "conform", "key": "abc"}]})
    ids = made.subjects
    write_splits(made.root, Splits({"train": ids[:2], "val": ids[2:4], "test": ids[4:]}, seed=0), made.participants)
    return Dataset.open(made.root)


def _write_subject(root: Path, subject: Subject) -> None:
    assert subject.brain is not None
    assert subject.labels is not None
    inside = subject.brain.data > 0
    mr = np.where(inside, subject.mr.data / subject.mr.data[inside].max(), 0).clip(0, 1)
    ct = np.where(inside, subject.ct.data / 80, 0).clip(0, 1)
    io.write_volume(file_of(root, subject.id, "mr"), Volume(mr, subject.mr.affine))
    io.write_volume(file_of(root, subject.id, "ct"), Volume(ct, subject.mr.affine))
    io.write_labels(file_of(root, subject.id, "brain"), subject.brain)
    io.write_labels(file_of(root, subject.id, "labels"), subject.labels)
    for kind in SUFFIXES:
        size = file_of(root, subject.id, kind).stat().st_size
        write_json(file_of(root, subject.id, kind, ".json"), {"SubjectKey": subject.labels.digest, "Size": size})


def write_source(root: Path, subject: Subject, orientation: str = "LPS") -> Path:
    """One patient as SynthRAD lays it out, with brain and labels beside the images; the folder is returned."""
    folder = root / "Task1" / "brain" / subject.id
    assert subject.brain is not None
    assert subject.labels is not None
    everywhere = LabelMap(np.ones(subject.mr.data.shape, np.int16), subject.mr.affine)
    images = {"mr": subject.mr, "ct": subject.ct}
    regions = {"mask": everywhere, "brain": subject.brain, "labels": subject.labels}
    for part, image in images.items():
        io.write_volume(folder / f"{part}.nii.gz", turned(image, orientation))
    for part, region in regions.items():
        io.write_labels(folder / f"{part}.nii.gz", turned(region, orientation))
    return folder


def turned(image: Image, orientation: str) -> Image:
    """The same image with its array axes along other directions, as nibabel names them ("LPS", "PSR" ...)."""
    start = nib.orientations.io_orientation(image.affine)
    change = nib.orientations.ornt_transform(start, nib.orientations.axcodes2ornt(tuple(orientation)))
    data = nib.orientations.apply_orientation(image.data, change)
    return type(image)(data, image.affine @ nib.orientations.inv_ornt_aff(change, image.data.shape))
