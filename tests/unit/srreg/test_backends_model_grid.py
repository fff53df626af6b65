import numpy as np
import pytest

from srreg.backends.model_grid import mask_on, model_grid
from srreg.geometry import resample
from srreg.volume import Grid, LabelMap, Volume


def test_a_grid_that_has_the_spacing_already_stays() -> None:
    grid = Grid((9, 6, 12), np.diag([1.5, 1.5, 1.5, 1.0]))
    assert model_grid(grid, 1.5).matches(grid)


def test_the_networks_grid_covers_the_same_box_along_the_same_axes() -> None:
    affine = np.array([[0, 0, 2.0, 5], [-1.0, 0, 0, 6], [0, 4.0, 0, 7], [0, 0, 0, 1]])
    made = model_grid(Grid((9, 6, 12), affine), 1.5)
    assert made.shape == (6, 16, 16)
    assert made.spacing_mm == pytest.approx((1.5, 1.5, 1.5))
    corner = np.array([-0.5, -0.5, -0.5, 1])
    np.testing.assert_allclose(made.affine @ corner, affine @ corner)
    opposite = np.array([6, 16, 16, 1]) - [0.5, 0.5, 0.5, 0]
    np.testing.assert_allclose(made.affine @ opposite, affine @ (np.array([9, 6, 12, 1]) - [0.5, 0.5, 0.5, 0]))


@pytest.mark.parametrize(("spacing_mm", "least"), [(1.0, 0.97), (2.0, 0.97), (4.0, 0.93)])
def test_a_mask_comes_back_from_the_networks_grid_where_it_was(spacing_mm: float, least: float) -> None:
    n = int(48 / spacing_mm)
    grid = Grid((n, n + 4, n + 8), np.diag([spacing_mm, spacing_mm, spacing_mm, 1.0]))
    world = np.einsum("ij,jdhw->idhw", grid.affine[:3, :3], np.indices(grid.shape).astype(float))
    ball = np.linalg.norm(world - np.array([22.0, 30.0, 28.0])[:, None, None, None], axis=0) < 15
    there = resample(Volume(ball, grid.affine), model_grid(grid, 1.5))
    back = mask_on(LabelMap(there.data >= 0.5, there.affine), grid).data
    assert 2 * (ball & back).sum() / (ball.sum() + back.sum()) > least
