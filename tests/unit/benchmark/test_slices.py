from dataclasses import replace

import numpy as np
import phantom
import pytest

from benchmark.page.plots.slices import Registered, middle_slice
from srreg.displacement import Displacement, warp
from srreg.qc.planes import PLANES
from srreg.volume import LabelMap, Volume

SHAPE = (20, 24, 28)


@pytest.fixture
def registered():
    """A head, and itself moved by a field that is another at each voxel."""
    moving, fixed = phantom.head(seed=1, shape=SHAPE, spacing_mm=4.0), phantom.head(seed=2, shape=SHAPE, spacing_mm=4.0)
    field = np.random.default_rng(0).normal(0, 1, (*SHAPE, 3))
    return Registered(moving.mr, moving.labels, fixed.ct, fixed.labels, Displacement(field, fixed.ct.affine))


@pytest.mark.parametrize("plane", PLANES, ids=[plane.name for plane in PLANES])
def test_a_slice_is_that_of_the_whole_warped_volume(registered, plane):
    cut = middle_slice(registered, plane)
    whole = warp(registered.moving, registered.displacement).data
    labels = warp(registered.moving_labels, registered.displacement).data
    # It is cropped: find where it lies in the whole slice by the fixed image, which is nowhere the same twice.
    middles = [(index, np.take(registered.fixed.data, index, plane.axis)[::-1, ::-1].T) for index in range(SHAPE[plane.axis])]
    index, full = next((i, f) for i, f in middles if np.isin(cut.fixed, f).all())
    row, column = np.argwhere(full == cut.fixed[0, 0])[0]
    rows, columns = slice(row, row + cut.fixed.shape[0]), slice(column, column + cut.fixed.shape[1])
    np.testing.assert_array_equal(full[rows, columns], cut.fixed)
    np.testing.assert_allclose(cut.after, np.take(whole, index, plane.axis)[::-1, ::-1].T[rows, columns], atol=1e-3)
    np.testing.assert_array_equal(cut.after_labels, np.take(labels, index, plane.axis)[::-1, ::-1].T[rows, columns])


def test_places_in_the_moving_image_grow_by_the_field(registered):
    shift = np.broadcast_to(np.float32([1, 2, 3]), (*SHAPE, 3))
    still, moved = (
        middle_slice(replace(registered, displacement=Displacement(field, registered.fixed.affine)), PLANES[0])
        for field in (np.zeros((*SHAPE, 3)), shift)
    )
    np.testing.assert_allclose(moved.across_mm - still.across_mm, 4)  # axial: columns run along the first axis, 4 mm a voxel
    np.testing.assert_allclose(moved.down_mm - still.down_mm, 8)
    assert (np.diff(still.across_mm, axis=1) == -4).all()  # the patient's right is on the left


def test_a_voxel_keeps_its_shape():
    affine = np.diag([1.0, 2.0, 5.0, 1])
    image, labels = Volume(np.ones(SHAPE), affine), LabelMap(np.ones(SHAPE, int), affine)
    registered = Registered(image, labels, image, labels, Displacement.zero(image.grid))
    assert [middle_slice(registered, plane).height_to_width for plane in PLANES] == [2, 5, 2.5]


def test_without_regions_all_of_the_slice_is_shown():
    image, labels = Volume(np.ones(SHAPE), np.eye(4)), LabelMap(np.zeros(SHAPE, int), np.eye(4))
    registered = Registered(image, labels, image, labels, Displacement.zero(image.grid))
    assert [middle_slice(registered, plane).fixed.shape for plane in PLANES] == [(24, 20), (28, 20), (28, 24)]
