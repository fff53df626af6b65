"""One pair of a person's own whole heads: each is masked and aligned as in a build."""

import json

import numpy as np
import pytest
from phantom import turned
from scipy.spatial.transform import Rotation

from benchmark.own_pair.own_images import OwnPair
from benchmark.own_pair.registration import Registering, register
from srreg import io
from srreg.backends.protocol import Resources
from srreg.backends.registry import SKULL_STRIPPERS, make
from srreg.build.reference import template
from srreg.errors import DataError
from srreg.geometry import apply_affine, resample
from srreg.volume import Grid, LabelMap, Volume


def away(degrees, shift_mm):
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()
    matrix[:3, 3] = shift_mm
    return matrix


def photographed(kind, matrix):
    """The template's brain as MR or CT, in a world that `matrix` leads to from the template's, at 4 mm; image and brain."""
    spacing_mm, shape = 4.0, (55, 65, 58)
    affine = np.diag([spacing_mm, spacing_mm, spacing_mm, 1.0])
    affine[:3, 3] = apply_affine(matrix, np.array([0.0, -17, 5])) - spacing_mm * (np.array(shape) - 1) / 2
    t1 = resample(template(), Grid(shape, affine), matrix)
    brain = t1.data > 20  # above the blur that resampling leaves around the brain
    # Fluid, grey and white matter as a CT shows them.
    hu = np.where(brain, np.interp(t1.data / np.percentile(t1.data[brain], 99), [0.2, 0.6, 0.95], [8, 38, 28]), -1000)
    return Volume(t1.data if kind == "mr" else hu, affine), LabelMap(brain, affine)


def whole_heads(folder, kinds, apart):
    """One head photographed twice, the second time `apart` from the first and on axes of its own."""
    for name, kind, matrix, orientation in zip(("moving", "fixed"), kinds, (np.eye(4), apart), ("LPS", "PIR"), strict=True):
        image, brain = photographed(kind, matrix)
        io.write_volume(folder / f"{name}.nii.gz", turned(image, orientation))
        io.write_labels(folder / name / "brain.nii.gz", turned(brain, orientation))
    return OwnPair(folder / "moving.nii.gz", folder / "fixed.nii.gz")


def test_an_mr_and_a_ct_of_one_head_elsewhere_come_together(tmp_path):
    apart = away((9, -14, 12), (30, -18, 41))
    pair = whole_heads(tmp_path, ("mr", "ct"), apart)
    stripper = make(SKULL_STRIPPERS, f"precomputed:{tmp_path}", Resources())
    register(pair, tmp_path / "out", Registering("initial", preprocess="auto", skull_stripper=stripper, size="quarter"))
    field = io.read_displacement(tmp_path / "out" / "displacement.nii.gz")
    inside = np.argwhere(io.read_labels(tmp_path / "fixed" / "brain.nii.gz").data > 0)
    points = apply_affine(field.affine, inside)
    found = points + field.to_millimetres()[tuple(inside.T)]
    error_mm = np.linalg.norm(found - apply_affine(np.linalg.inv(apart), points), axis=1)
    assert error_mm.mean() < 0.5  # each image was aligned to the template by itself; measured: 0.11
    record = json.loads((tmp_path / "out" / "registration.json").read_text())
    assert (record["moving"]["modality"], record["fixed"]["modality"]) == ("mr", "ct")
    assert record["fixed"]["frame_grid"].startswith("48x64x48")
    assert set(record["moving"]["steps"]) == {"strip_skull", "correct_intensity", "align", "conform"}
    assert set(record["fixed"]["steps"]) == {"strip_skull", "align", "conform"}


def test_a_ct_in_other_units_is_refused_before_anything_is_written(tmp_path):
    pair = whole_heads(tmp_path, ("mr", "ct"), np.eye(4))
    ct = io.read_volume(pair.fixed)
    io.write_volume(pair.fixed, Volume(ct.data + 1024, ct.affine))
    said = OwnPair(pair.moving, pair.fixed, fixed_modality="ct")
    with pytest.raises(DataError, match=r"fixed.nii.gz: expected a CT in Hounsfield units"):
        register(said, tmp_path / "out", Registering("initial"))
    assert not (tmp_path / "out").exists()
