"""One pair of a person's own images: fields that are known, grids that differ, and what is refused."""

import hashlib
import json
import pickle

import ants
import numpy as np
import pytest
import SimpleITK as sitk
from made_up_methods import MadeUp, Methods
from phantom import AFFINES, ORIENTATIONS, turned
from scipy import ndimage
from scipy.spatial.transform import Rotation

from benchmark.own_pair.own_images import OwnPair
from benchmark.own_pair.registration import Registering, register
from models import checkpoint
from models.variants import build, configure
from srreg import io
from srreg.backends.protocol import Resources
from srreg.backends.registry import SKULL_STRIPPERS, make
from srreg.build.reference import template
from srreg.errors import BackendUnavailable, DataError, FolderBusy, GeometryError, UnknownName, UsageError
from srreg.files import sha256, write_json
from srreg.geometry import apply_affine, reorient_to_ras, resample
from srreg.volume import Grid, LabelMap, Volume

FIXED_SHAPE, MOVING_SHAPE = (12, 14, 16), (15, 11, 13)
SHIFT = (1.5, -2.0, 1.0)


def smooth(shape, seed):
    return ndimage.gaussian_filter(np.random.default_rng(seed).random(shape), 1.5)


def images(folder, fixed_orientation="RAS", moving_affine=AFFINES["oblique"]):
    """A fixed image and a moving one on an oblique grid of its own, middle on middle; paths."""
    fixed = Volume(smooth(FIXED_SHAPE, 1), AFFINES["RAS"])
    affine = moving_affine.copy()
    middles = (apply_affine(a, (np.array(s) - 1) / 2) for a, s in ((fixed.affine, FIXED_SHAPE), (affine, MOVING_SHAPE)))
    affine[:3, 3] += next(middles) - next(middles)
    io.write_volume(folder / "fixed.nii.gz", turned(fixed, fixed_orientation))
    io.write_volume(folder / "moving.nii.gz", Volume(smooth(MOVING_SHAPE, 2) + 1, affine))
    return OwnPair(folder / "moving.nii.gz", folder / "fixed.nii.gz")


def as_it_is(method, pair, out, **settings):
    """Register without preprocessing; the moved image."""
    methods = Methods(method) if isinstance(method, MadeUp) else None
    name = method.name if isinstance(method, MadeUp) else method
    register(pair, out, Registering(name, preprocess="none", **settings), **({"methods": methods} if methods else {}))
    return io.read_volume(out / "moved.nii.gz")


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


# --- whole heads ---------------------------------------------------------------------------------------------------


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


# --- weights ---------------------------------------------------------------------------------------------------------


def trained(runs, seed, status="finished", method="voxelmorph"):
    folder = runs / "weights" / method / f"seed{seed}"
    network = build(configure(method))
    checkpoint.save(folder / "weights.safetensors", network, configure(method))
    write_json(folder / "training.json", {"status": status})
    return folder / "weights.safetensors"


def test_the_newest_finished_weights_of_the_method_are_taken(tmp_path):
    runs = tmp_path / "runs"
    trained(runs, 0)
    newest = trained(runs, 1)
    trained(runs, 2, status="running")
    as_it_is("voxelmorph", images(tmp_path), tmp_path / "out", runs=runs)
    record = json.loads((tmp_path / "out" / "registration.json").read_text())
    assert record["weights"]["sha256"] == sha256(newest)


def test_without_weights_the_line_to_type_is_said(tmp_path):
    with pytest.raises(BackendUnavailable, match="bench train --method voxelmorph"):
        as_it_is("voxelmorph", images(tmp_path), tmp_path / "out", runs=tmp_path / "runs")
    assert not (tmp_path / "out").exists()


class Canary:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_a_crafted_pickle_as_weights_is_refused_and_runs_nothing(tmp_path):
    (tmp_path / "w.pt").write_bytes(pickle.dumps({"model_state": Canary(tmp_path / "canary")}))
    with pytest.raises(DataError):
        as_it_is("voxelmorph", images(tmp_path), tmp_path / "out", weights=tmp_path / "w.pt")
    assert not (tmp_path / "canary").exists()
    assert not list((tmp_path / "out").glob("*.nii.gz"))


def test_weights_of_another_network_are_refused(tmp_path):
    other = trained(tmp_path, 0, method="voxelmorph-features")
    with pytest.raises(DataError):
        as_it_is("voxelmorph", images(tmp_path), tmp_path / "out", weights=other)


def test_weights_for_a_method_that_learns_nothing_are_refused(tmp_path):
    with pytest.raises(UsageError, match="initial learns nothing"):
        as_it_is("initial", images(tmp_path), tmp_path / "out", weights=tmp_path / "w")


# --- refusals --------------------------------------------------------------------------------------------------------


def test_a_result_never_takes_an_inputs_place(tmp_path):
    pair = images(tmp_path)
    moving = pair.moving.rename(tmp_path / "moved.nii.gz")
    before = moving.read_bytes()
    with pytest.raises(UsageError, match="would be overwritten"):
        as_it_is("initial", OwnPair(moving, pair.fixed), tmp_path)
    assert moving.read_bytes() == before


def test_a_sheared_grid_is_refused(tmp_path):
    pair = images(tmp_path)
    sheared = AFFINES["RAS"].copy()
    sheared[0, 1] = 0.4
    io.write_volume(pair.fixed, Volume(smooth(FIXED_SHAPE, 1), sheared))
    with pytest.raises(GeometryError, match=r"fixed.nii.gz: .*sheared"):
        as_it_is("initial", pair, tmp_path / "out")


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_images_that_lie_beside_one_another_are_refused(axis, tmp_path):
    pair = images(tmp_path)
    moving = io.read_volume(pair.moving)
    away = moving.affine.copy()
    away[axis, 3] += 100
    io.write_volume(pair.moving, Volume(moving.data, away))
    with pytest.raises(GeometryError, match="the two images do not overlap"):
        as_it_is("initial", pair, tmp_path / "out")
    assert not (tmp_path / "out" / "moved.nii.gz").exists()


def test_a_truncated_image_is_refused(tmp_path):
    pair = images(tmp_path)
    pair.moving.write_bytes(pair.moving.read_bytes()[:-8])
    with pytest.raises(DataError, match=r"moving.nii.gz: was cut off"):
        as_it_is("initial", pair, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_unknown_method_and_a_folder_in_use_are_refused(tmp_path):
    import filelock

    pair = images(tmp_path)
    with pytest.raises(UnknownName, match="Did you mean 'voxelmorph'"):
        as_it_is("voxelmorf", pair, tmp_path / "out")
    (tmp_path / "out").mkdir()
    with filelock.FileLock(tmp_path / "out" / ".lock"), pytest.raises(FolderBusy):
        as_it_is("initial", pair, tmp_path / "out")


def test_a_method_that_breaks_leaves_no_image(tmp_path):
    with pytest.raises(RuntimeError, match="out of luck"):
        as_it_is(MadeUp("broken", breaks_at=1), images(tmp_path), tmp_path / "out")
    assert {p.name for p in (tmp_path / "out").iterdir()} <= {".lock"}
