"""One pair of a person's own images: fields that are known, grids that differ, and what is written."""

import hashlib
import json

import ants
import numpy as np
import pytest
import SimpleITK as sitk
from made_up_methods import MadeUp
from own_pairs import FIXED_SHAPE, MOVING_SHAPE, as_it_is, images, smooth
from phantom import AFFINES, ORIENTATIONS

from benchmark.own_pair.own_images import OwnPair
from models import checkpoint
from models.variants import build, configure
from srreg import io
from srreg.files import sha256
from srreg.geometry import reorient_to_ras
from srreg.volume import LabelMap

SHIFT = (1.5, -2.0, 1.0)


def translated(pair, shift_mm):
    """What SimpleITK finds at each fixed voxel a translation (RAS, mm) further on in the moving image."""
    fixed, moving = (sitk.ReadImage(str(p), sitk.sitkFloat32) for p in (pair.fixed, pair.moving))
    outside = float(sitk.GetArrayViewFromImage(moving).min())
    way = sitk.TranslationTransform(3, (np.array(shift_mm) * [-1.0, -1, 1]).tolist())
    found = sitk.Resample(moving, fixed, way, sitk.sitkLinear, outside)
    return sitk.GetArrayFromImage(found).transpose(2, 1, 0)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("orientation", ["RAS", "LPS", "PIL"])
def test_a_known_translation_along_each_axis_is_applied_in_the_world(axis, orientation, tmp_path):
    pair = images(tmp_path, orientation)
    shift = np.where(np.arange(3) == axis, 2.0, 0)
    moved = as_it_is(MadeUp("shifting", tuple(shift)), pair, tmp_path / "out")
    expected = translated(pair, AFFINES["RAS"][:3, :3] @ shift)
    np.testing.assert_allclose(moved.data, expected, atol=1e-3)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_the_result_is_the_same_in_each_of_the_48_orientations_of_the_fixed_image(orientation, tmp_path):
    pair = images(tmp_path, orientation)
    moved = as_it_is(MadeUp("shifting", SHIFT), pair, tmp_path / "out")
    assert moved.grid.matches(io.read_volume(pair.fixed).grid)
    expected = translated(images(tmp_path), AFFINES["RAS"][:3, :3] @ SHIFT)
    np.testing.assert_allclose(reorient_to_ras(moved).data, expected, atol=1e-3)


def test_the_zero_field_gives_the_moving_image_resampled_on_the_fixed_one(tmp_path):
    pair = images(tmp_path, "LPS")
    moved = as_it_is("initial", pair, tmp_path / "out")
    np.testing.assert_allclose(moved.data, translated(pair, (0, 0, 0)), atol=1e-3)
    np.testing.assert_allclose(io.read_displacement(tmp_path / "out" / "displacement.nii.gz").data, 0, atol=1e-6)


def test_on_an_oblique_fixed_grid_the_translation_runs_along_the_grids_axes(tmp_path):
    pair = images(tmp_path)
    swapped = OwnPair(pair.fixed, pair.moving)
    moved = as_it_is(MadeUp("shifting", SHIFT), swapped, tmp_path / "out")
    np.testing.assert_allclose(moved.data, translated(swapped, AFFINES["oblique"][:3, :3] @ SHIFT), atol=1e-3)


@pytest.fixture
def bent(tmp_path):
    """A pair registered with a field that differs from voxel to voxel: the pair, and the folder."""

    class Bending(MadeUp):
        def register(self, moving, fixed):
            field = super().register(moving, fixed)
            waves = np.stack([smooth(fixed.data.shape, seed) * 8 - 4 for seed in (5, 6, 7)], axis=-1)
            return type(field)(waves, fixed.affine)

    pair = images(tmp_path, "PIL")
    as_it_is(Bending("bending"), pair, tmp_path / "out")
    return pair, tmp_path / "out"


def outside_of(out):
    return json.loads((out / "registration.json").read_text())["value_outside_moving"]


def test_simpleitk_makes_the_moved_image_of_the_written_displacement(bent):
    pair, out = bent
    fixed, moving = (sitk.ReadImage(str(p), sitk.sitkFloat32) for p in (pair.fixed, pair.moving))
    vectors = sitk.Cast(sitk.ReadImage(str(out / "displacement.nii.gz")), sitk.sitkVectorFloat64)
    found = sitk.Resample(moving, fixed, sitk.DisplacementFieldTransform(vectors), sitk.sitkLinear, outside_of(out))
    theirs = sitk.GetArrayFromImage(found).transpose(2, 1, 0)
    np.testing.assert_allclose(theirs, io.read_volume(out / "moved.nii.gz").data, atol=1e-3)


def test_ants_makes_the_moved_image_of_the_written_displacement(bent):
    pair, out = bent
    fixed, moving = (ants.image_read(str(p)) for p in (pair.fixed, pair.moving))
    found = ants.apply_transforms(fixed, moving, [str(out / "displacement.nii.gz")], defaultvalue=outside_of(out))
    np.testing.assert_allclose(found.numpy(), io.read_volume(out / "moved.nii.gz").data, atol=1e-3)


def test_labels_go_the_same_way_and_stay_labels(tmp_path):
    pair = images(tmp_path)
    moving = io.read_volume(pair.moving)
    blocks = np.kron(np.arange(27).reshape(3, 3, 3), np.ones((5, 4, 5)))[:15, :11, :13]
    io.write_labels(tmp_path / "labels.nii.gz", LabelMap(blocks, moving.affine))
    with_labels = OwnPair(pair.moving, pair.fixed, tmp_path / "labels.nii.gz")
    as_it_is(MadeUp("shifting", SHIFT), with_labels, tmp_path / "out")
    found = io.read_labels(tmp_path / "out" / "moved_labels.nii.gz")
    fixed, labels = sitk.ReadImage(str(pair.fixed)), sitk.ReadImage(str(tmp_path / "labels.nii.gz"))
    way = sitk.TranslationTransform(3, (AFFINES["RAS"][:3, :3] @ SHIFT * [-1, -1, 1]).tolist())
    theirs = sitk.GetArrayFromImage(sitk.Resample(labels, fixed, way, sitk.sitkNearestNeighbor, 0)).transpose(2, 1, 0)
    assert (found.data == theirs).mean() > 0.995  # ties of the nearest voxel may fall either way


def test_a_network_takes_grids_that_are_no_multiple_of_16(tmp_path):
    network = build(configure("voxelmorph"))
    checkpoint.save(tmp_path / "w.safetensors", network, configure("voxelmorph"))
    moved = as_it_is("vm", images(tmp_path, "LPS"), tmp_path / "out", weights=tmp_path / "w.safetensors")
    assert moved.data.shape == FIXED_SHAPE
    record = json.loads((tmp_path / "out" / "registration.json").read_text())
    assert record["method"] == "voxelmorph"
    assert record["weights"] == {"file": "w.safetensors", "sha256": sha256(tmp_path / "w.safetensors")}


def test_the_record_names_what_was_used_and_no_folder(bent):
    pair, out = bent
    text = (out / "registration.json").read_text()
    record = json.loads(text)
    assert record["moving"]["sha256"] == hashlib.sha256(pair.moving.read_bytes()).hexdigest()
    assert record["outputs"]["moved.nii.gz"] == hashlib.sha256((out / "moved.nii.gz").read_bytes()).hexdigest()
    assert (record["method"], record["weights"], record["preprocess"]) == ("bending", None, "none")
    assert record["seconds"] >= 0
    assert record["versions"]["python"]
    assert str(out.parent) not in text


def test_the_inputs_stay_as_they_are(tmp_path):
    pair = images(tmp_path)
    before = [(p.read_bytes(), p.stat().st_mtime_ns) for p in pair.paths]
    as_it_is(MadeUp("shifting", SHIFT), pair, tmp_path)  # in the very folder of the inputs
    assert [(p.read_bytes(), p.stat().st_mtime_ns) for p in pair.paths] == before


def test_a_second_registration_leaves_nothing_of_the_first(tmp_path):
    pair, out = images(tmp_path), tmp_path / "out"
    io.write_labels(tmp_path / "labels.nii.gz", LabelMap(np.ones(MOVING_SHAPE), io.read_volume(pair.moving).affine))
    with_labels = OwnPair(pair.moving, pair.fixed, tmp_path / "labels.nii.gz")
    as_it_is(MadeUp("shifting", SHIFT), with_labels, out)
    (out / ".moved.nii.gz.1.0123456789abcdef0123456789abcdef.part").write_bytes(b"of one that was killed")
    as_it_is(MadeUp("shifting"), pair, out)
    left = {p.name for p in out.iterdir()} - {".lock"}
    assert left == {"moved.nii.gz", "displacement.nii.gz", "registration.json"}
