"""Heads from whole-head label maps: made by hand here, real ones where there are any."""

from pathlib import Path

import numpy as np
import pytest

from srreg import io
from srreg.errors import DataError
from srreg.files import read_tsv
from srreg.geometry import apply_affine, reorient_to_ras
from srreg.labels import INDICES
from srreg.simulate.label_maps import TISSUE_OF, find_maps, read_map
from srreg.simulate.shapes import Points
from srreg.simulate.tissues import LABEL_OF, Tissue
from srreg.simulate.tree import Simulation, simulate
from srreg.volume import LabelMap

SHAPE = (36, 44, 40)


def write_map(path: Path, extra: int | None = None) -> LabelMap:
    """Nested ellipsoids at 5 mm, axes left, inferior, anterior: skin, soft tissue, bone, CSF, cortex, white matter."""
    index = np.indices(SHAPE) - (np.array(SHAPE) / 2 - 0.5)[:, None, None, None]
    radius = np.linalg.norm(index / np.array([16, 20, 18])[:, None, None, None], axis=0)
    right = index[0] < 0
    labels = np.select(
        [radius < 0.5, radius < 0.62, radius < 0.7, radius < 0.8, radius < 0.92, radius < 1], [2, 3, 24, 515, 507, 511]
    )
    labels = np.where(right & np.isin(labels, (2, 3)), labels + 39, labels)
    labels[17:19, 24:28, 18:22] = 16  # brain-stem; inferior is towards higher indices of the second axis
    labels[20:23, 20:22, 20:24] = 77
    if extra is not None:
        labels[18, 22, 21] = extra
    affine = np.array([[-5.0, 0, 0, 120], [0, 0, 5.0, -80], [0, -5.0, 0, 60], [0, 0, 0, 1]])
    label_map = LabelMap(labels, affine)
    io.write_labels(path, label_map)
    return label_map


def test_ids_that_the_label_table_lacks_have_a_documented_place() -> None:
    place = {value: int(LABEL_OF[tissue]) for value, tissue in TISSUE_OF.items()}
    assert place[41] == place[77] == place[62] == 2
    assert place[31] == place[63] == place[136] == 4
    assert place[164] == 5
    assert set(place.values()) == set(INDICES)
    assert all(place[value] == 0 for value in TISSUE_OF if value >= 500)


def test_the_brain_lies_around_the_origin_whatever_the_map_s_axes(tmp_path: Path) -> None:
    label_map = write_map(tmp_path / "anna.nii.gz")
    head = read_map(tmp_path / "anna.nii.gz")
    middle = apply_affine(label_map.affine, np.argwhere(np.isin(label_map.data, (2, 41))).mean(axis=0))
    offsets = np.array([[0, 0, -15.0], [0, 0, 47], [0, 0, 200]])
    seen = head.tissue(Points(*offsets.T.astype(np.float32)))
    ras = reorient_to_ras(label_map)
    voxels = np.rint(apply_affine(np.linalg.inv(ras.affine), middle + offsets[:2])).astype(int)
    assert seen[:2].tolist() == [TISSUE_OF[int(ras.data[tuple(v)])] for v in voxels]
    assert seen[2] == Tissue.AIR


def test_soft_tissue_under_the_skin_is_fat(tmp_path: Path) -> None:
    write_map(tmp_path / "anna.nii.gz")
    tissues = read_map(tmp_path / "anna.nii.gz").tissues
    assert {Tissue.SKIN, Tissue.FAT, Tissue.CORTICAL_BONE, Tissue.WHITE_MATTER_LESION} <= set(np.unique(tissues).tolist())


def test_fluid_below_the_brain_stem_is_no_part_of_the_brain(tmp_path: Path) -> None:
    write_map(tmp_path / "anna.nii.gz")
    tissues = read_map(tmp_path / "anna.nii.gz").tissues
    lowest = np.flatnonzero((tissues == Tissue.BRAIN_STEM).any(axis=(0, 1)))[0]
    assert not (tissues[:, :, :lowest] == Tissue.CSF).any()
    assert (tissues[:, :, :lowest] == Tissue.FLUID).any()


def test_maps_are_used_in_turn_each_time_with_another_variation(tmp_path: Path) -> None:
    for name in ("anna", "bert"):
        write_map(tmp_path / "maps" / f"{name}.nii.gz")
    out = tmp_path / "out"
    first, _, third = simulate(out, Simulation(3, size="quarter", label_maps=tmp_path / "maps"))
    brain = out / "Task1" / "brain"
    assert [row["person"] for row in read_tsv(brain / "participants.tsv")] == ["anna", "bert", "anna"]
    labels = [io.read_labels(brain / subject / "labels.nii.gz") for subject in (first, third)]
    assert labels[0].digest != labels[1].digest
    assert set(labels[0].values) == {0, 2, 3, 16, 24}
    assert labels[0].volume_ml() == pytest.approx(labels[1].volume_ml(), rel=0.15)


def test_a_map_with_unknown_ids_is_refused_by_name(tmp_path: Path) -> None:
    write_map(tmp_path / "odd.nii.gz", extra=999)
    with pytest.raises(DataError, match=r"odd\.nii\.gz: ids \[999\]"):
        read_map(tmp_path / "odd.nii.gz")


def test_a_map_without_a_brain_is_refused(tmp_path: Path) -> None:
    io.write_labels(tmp_path / "skull.nii.gz", LabelMap(np.full((4, 5, 6), 515), np.eye(4)))
    with pytest.raises(DataError, match="no cerebral white matter"):
        read_map(tmp_path / "skull.nii.gz")


def test_a_folder_without_maps_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="found none"):
        find_maps(tmp_path / "nowhere")


@pytest.mark.real
def test_a_real_map_gives_all_labels(real_data: Path) -> None:
    head = read_map(find_maps(real_data / "synthseg_label_maps")[0])
    assert set(np.unique(LABEL_OF[head.tissues]).tolist()) == set(INDICES)
