"""`bench register` where axes can be mixed up: oblique, LPS, 0.7 mm, axes of six lengths; the truth is a matrix."""

import ants
import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from typer.testing import CliRunner

import cli_bench
from srreg import io
from srreg.geometry import apply_affine
from srreg.volume import Volume

FIXED_SHAPE, MOVING_SHAPE = (34, 42, 38), (44, 36, 40)
MIDDLE = np.array([12.0, -30.0, 21.0])  # of both images, in mm
RADII = np.array([9.0, 11.0, 10.0])  # of the body, in mm


def grid_affine(shape, letters, degrees, spacing_mm):
    """Axes along LPS or RAS, then turned; the middle of the grid at `MIDDLE`."""
    signs = [1 if letter in "RAS" else -1 for letter in letters]
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix() @ np.diag(signs) * spacing_mm
    affine[:3, 3] = MIDDLE - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return affine


def motion():
    """Where a point of the fixed world lies in the moving one: turned about the middle, and shifted by three lengths."""
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", [3, -4, 5], degrees=True).as_matrix()
    matrix[:3, 3] = MIDDLE + np.array([1.2, -0.8, 0.5]) - matrix[:3, :3] @ MIDDLE
    return matrix


def body(points):
    """Brightness at world points [..., 3]: an ellipsoid with soft lumps, each elsewhere; in [0, 1]."""
    rng = np.random.default_rng(3)
    away = points - MIDDLE
    inside = 1 / (1 + np.exp(12 * (np.linalg.norm(away / RADII, axis=-1) - 1)))
    lumps = sum(np.exp(-np.sum((away - rng.uniform(-9, 9, 3)) ** 2, axis=-1) / 5) for _ in range(60))
    return inside * (0.2 + 0.8 * lumps / (1 + lumps))


def world_of(shape, affine):
    return apply_affine(affine, np.moveaxis(np.indices(shape, dtype=float), 0, -1))


@pytest.fixture(scope="module")
def registered(tmp_path_factory):
    """The pair, and the folder with what `bench register` made of it."""
    folder = tmp_path_factory.mktemp("oblique")
    fixed_affine = grid_affine(FIXED_SHAPE, "LPS", [10, -15, 20], 0.7)
    moving_affine = grid_affine(MOVING_SHAPE, "RPS", [-8, 6, 12], 0.7)
    paths = folder / "moving.nii.gz", folder / "fixed.nii.gz"
    back = np.linalg.inv(motion())
    io.write_volume(paths[0], Volume(body(apply_affine(back, world_of(MOVING_SHAPE, moving_affine))), moving_affine))
    io.write_volume(paths[1], Volume(body(world_of(FIXED_SHAPE, fixed_affine)), fixed_affine))
    asked = ["register", *map(str, paths), "--method", "syn-tuned", "--preprocess", "none", "--out", str(folder / "out")]
    told = CliRunner().invoke(cli_bench.app, [*asked, "--device", "cpu"], catch_exceptions=False)
    assert told.exit_code == 0, told.output
    return *paths, folder / "out"


def test_a_known_motion_is_recovered_on_the_fixed_images_own_grid(registered):
    _, fixed_path, out = registered
    fixed, field = io.read_volume(fixed_path), io.read_displacement(out / "displacement.nii.gz")
    assert field.grid.matches(fixed.grid)
    points = world_of(FIXED_SHAPE, fixed.affine)
    expected = apply_affine(motion(), points) - points
    inside = np.linalg.norm((points - MIDDLE) / RADII, axis=-1) < 0.8
    off_mm = np.linalg.norm(field.to_millimetres() - expected, axis=-1)[inside]
    assert np.linalg.norm(expected, axis=-1)[inside].mean() > 1.4
    print(f"off by {off_mm.mean():.3f} mm on average, 95th percentile {np.percentile(off_mm, 95):.3f} mm")
    assert off_mm.mean() < 0.35  # half a voxel


def test_the_moved_image_is_the_fixed_one(registered):
    moving, fixed, moved = (io.read_volume(path) for path in (*registered[:2], registered[2] / "moved.nii.gz"))
    assert moved.grid.matches(fixed.grid)
    assert not moving.grid.matches(fixed.grid)
    inside = fixed.data > 0.15
    assert np.corrcoef(moved.data[inside], fixed.data[inside])[0, 1] > 0.98


def test_ants_makes_the_same_image_of_the_displacement(registered):
    moving, fixed, out = registered
    theirs = ants.apply_transforms(
        ants.image_read(str(fixed)), ants.image_read(str(moving)), [str(out / "displacement.nii.gz")]
    ).numpy()
    ours = io.read_volume(out / "moved.nii.gz").data
    difference = np.abs(theirs - ours).max()
    print(f"largest difference to ANTs: {difference:.1e} of a range of {np.ptp(ours):.2f}")
    assert np.ptp(ours) > 0.5
    assert difference < 1e-4
