import ants
import numpy as np
import pytest
from scipy import ndimage

from benchmark.method import MethodContext
from benchmark.methods import syn
from srreg.displacement import warp
from srreg.volume import Volume

SHAPE = (24, 28, 36)
OBLIQUE = np.array([[1.9, -0.3, 0.0, 5.0], [0.3, 1.9, 0.0, -7.0], [0.0, 0.0, 2.5, 11.0], [0.0, 0.0, 0.0, 1.0]])
OBLIQUE[:3, :2] /= np.linalg.norm([1.9, 0.3]) / 2
GRIDS = {
    "RAS": np.diag([2.0, 2.0, 2.5, 1.0]),
    "LPS": np.diag([-2.0, -2.0, 2.5, 1.0]),
    "oblique": OBLIQUE,
}


def pebble(affine, centre=(12.0, 14.0, 18.0)):
    """An ellipsoid with three shades, different along each axis."""
    offset = (np.indices(SHAPE) - np.array(centre)[:, None, None, None]) / np.array([6.0, 8.0, 10.0])[:, None, None, None]
    radius = np.linalg.norm(offset, axis=0)
    return Volume(ndimage.gaussian_filter(np.select([radius < 0.5, radius < 1], [1.0, 0.5], 0.0), 0.7), affine)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("grid", GRIDS)
def test_a_shift_along_one_axis_comes_back_as_that_component_in_voxels(grid, axis):
    shifted = [12.0, 14.0, 18.0]
    shifted[axis] += 2
    field = syn.make(MethodContext()).register(pebble(GRIDS[grid], shifted), pebble(GRIDS[grid]))
    inside = pebble(GRIDS[grid]).data > 0.7
    found = field.data[inside].mean(axis=0)
    expected = np.zeros(3)
    expected[axis] = 2
    np.testing.assert_allclose(found, expected, atol=0.5)


@pytest.mark.parametrize("grid", GRIDS)
def test_our_warp_with_its_field_gives_the_image_that_ants_gives(grid, monkeypatch):
    seen = {}
    register = ants.registration

    def remembering(*arguments, **options):
        found = register(*arguments, **options)
        seen["moved"] = ants.apply_transforms(arguments[0], arguments[1], found["fwdtransforms"])
        return found

    monkeypatch.setattr(ants, "registration", remembering)
    moving, fixed = pebble(GRIDS[grid], (13.5, 13.0, 16.0)), pebble(GRIDS[grid])
    field = syn.make(MethodContext()).register(moving, fixed)
    moved = warp(moving, field).data
    assert np.abs(moved - seen["moved"].numpy()).max() < 2e-3
    assert np.abs(moved - moving.data).max() > 0.2


def test_it_brings_the_moving_image_onto_the_fixed_one():
    moving, fixed = pebble(GRIDS["RAS"], (13.5, 13.0, 16.0)), pebble(GRIDS["RAS"])
    moved = warp(moving, syn.make(MethodContext()).register(moving, fixed))
    assert np.abs(moved.data - fixed.data).mean() < 0.4 * np.abs(moving.data - fixed.data).mean()


def test_the_tuned_one_searches_longer_and_comes_closer():
    fixed = pebble(GRIDS["RAS"])
    moving = pebble(GRIDS["RAS"], (13.5, 13.0, 16.0))
    left = {}
    for make in (syn.make, syn.make_tuned):
        method = make(MethodContext())
        left[method.name] = np.abs(warp(moving, method.register(moving, fixed)).data - fixed.data).mean()
    assert left["syn-tuned"] < 0.9 * left["syn"]


def test_without_antspyx_it_says_what_to_type(monkeypatch):
    monkeypatch.setattr(syn.importlib.util, "find_spec", lambda name: None)
    assert syn.make(MethodContext()).check() == ["antspyx is missing: pip install antspyx"]
