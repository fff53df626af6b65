"""Warp, integrate and resize do what a displacement must do, and agree with SciPy and SimpleITK."""

import math

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from scipy import ndimage

from models.spatial import identity_grid, integrate, resize, warp

SHAPE = (12, 14, 16)


def random_image(seed: int = 0, channels: int = 1) -> torch.Tensor:
    return torch.rand(1, channels, *SHAPE, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def smooth_field(seed: int = 0, amplitude: float = 1.0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    noise = np.random.default_rng(seed).normal(size=(3, *SHAPE))
    smooth = np.stack([ndimage.gaussian_filter(n, 2.5) for n in noise])
    return torch.from_numpy(amplitude * smooth / np.abs(smooth).max())[None].to(dtype)


def constant_field(*vector: float) -> torch.Tensor:
    return torch.tensor(vector, dtype=torch.float64).view(1, 3, 1, 1, 1).expand(1, 3, *SHAPE).clone()


def test_identity_grid_counts_the_voxels_of_each_axis() -> None:
    grid = identity_grid(SHAPE, torch.zeros(1))
    assert grid.shape == (1, 3, *SHAPE)
    assert grid[0, :, 3, 5, 7].tolist() == [3, 5, 7]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_zero_field_leaves_the_image(dtype: torch.dtype) -> None:
    image = random_image().to(dtype)
    moved = warp(image, torch.zeros(1, 3, *SHAPE, dtype=dtype))
    torch.testing.assert_close(moved, image, rtol=0, atol=1e-5 if dtype == torch.float32 else 1e-12)


@pytest.mark.parametrize("mode", ["linear", "nearest"])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_shift_by_one_voxel_along_an_axis_moves_the_image_along_it(axis: int, mode: str) -> None:
    image = random_image()
    vector = [0.0, 0.0, 0.0]
    vector[axis] = 1.0
    moved = warp(image, constant_field(*vector), mode)  # type: ignore[arg-type]
    expected = torch.roll(image, -1, dims=2 + axis)
    expected.select(2 + axis, -1).zero_()  # beyond the border is nothing
    torch.testing.assert_close(moved, expected)


def test_warp_agrees_with_scipy() -> None:
    image, field = random_image(), smooth_field(amplitude=3.0)
    positions = np.indices(SHAPE) + field[0].numpy()
    expected = ndimage.map_coordinates(image[0, 0].numpy(), positions, order=1, mode="grid-constant")
    np.testing.assert_allclose(warp(image, field)[0, 0].numpy(), expected, atol=1e-12)


def test_warp_agrees_with_simpleitk_inside() -> None:
    image, field = random_image(), smooth_field(amplitude=0.9)
    moving = sitk.GetImageFromArray(image[0, 0].numpy())  # its axes are x, y, z: the last of ours first
    vectors = np.ascontiguousarray(np.moveaxis(field[0].numpy(), 0, -1)[..., ::-1])
    transform = sitk.DisplacementFieldTransform(sitk.GetImageFromArray(vectors, isVector=True))
    expected = sitk.GetArrayFromImage(sitk.Resample(moving, moving, transform, sitk.sitkLinear, 0.0))
    inside = (slice(1, -1),) * 3
    np.testing.assert_allclose(warp(image, field)[0, 0].numpy()[inside], expected[inside], atol=1e-6)


def test_every_channel_and_item_is_warped_by_its_own_field() -> None:
    image = torch.cat([random_image(1, channels=2), random_image(2, channels=2)])
    field = torch.cat([smooth_field(1), smooth_field(2)])
    moved = warp(image, field)
    torch.testing.assert_close(moved[1:, :1], warp(image[1:, :1], field[1:]))


def test_an_axis_of_one_voxel_stays_finite() -> None:
    image = torch.rand(1, 1, 1, 14, 16)
    moved = warp(image, torch.zeros(1, 3, 1, 14, 16))
    torch.testing.assert_close(moved, image, rtol=0, atol=1e-5)


def test_nearest_keeps_integer_labels() -> None:
    labels = torch.randint(0, 29, (1, 1, *SHAPE), dtype=torch.int16)
    moved = warp(labels, constant_field(0, 0.4, 0), "nearest")
    assert moved.dtype == torch.int16
    assert torch.equal(moved, labels)


def test_half_precision_images_are_sampled_at_precise_positions() -> None:
    image, field = random_image(), smooth_field(amplitude=2.0, dtype=torch.float32)
    moved = warp(image.half(), field)
    assert moved.dtype == torch.float16
    torch.testing.assert_close(moved.double(), warp(image, field.double()), rtol=0, atol=2e-3)


def test_warp_refuses_two_grids() -> None:
    with pytest.raises(ValueError, match="one grid"):
        warp(torch.zeros(1, 1, 4, 6, 8), torch.zeros(1, 3, 4, 6, 10))


def test_warp_refuses_a_field_of_two_components() -> None:
    with pytest.raises(ValueError, match=r"\[B, 3, D, H, W\]"):
        warp(torch.zeros(1, 1, 4, 6, 8), torch.zeros(1, 2, 4, 6, 8))


def test_warp_refuses_an_unknown_mode() -> None:
    with pytest.raises(ValueError, match="'cubic'"):
        warp(torch.zeros(1, 1, 4, 6, 8), torch.zeros(1, 3, 4, 6, 8), "cubic")  # type: ignore[arg-type]


def test_a_constant_velocity_integrates_to_the_translation() -> None:
    velocity = constant_field(0.5, -0.75, 1.0)
    # At the border the field is sampled from outside, where it is zero; that reaches in as far as the sampling.
    inside = (..., *(slice(4, -4),) * 3)
    torch.testing.assert_close(integrate(velocity)[inside], velocity[inside], rtol=0, atol=1e-4)


def test_integrating_there_and_back_comes_back() -> None:
    velocity = smooth_field(amplitude=1.5)
    there, back = integrate(velocity), integrate(-velocity)
    both = there + warp(back, there)
    inside = (..., *(slice(3, -3),) * 3)
    assert there.abs().max() > 1
    assert both[inside].abs().max() < 0.05


def test_a_linear_velocity_integrates_to_the_exponential() -> None:
    # v(x) = a (x - c) along one axis leads to u(x) = (exp(a) - 1) (x - c).
    a, centre = 0.1, 6.5
    velocity = torch.zeros(1, 3, *SHAPE, dtype=torch.float64)
    velocity[:, 1] = a * (torch.arange(14, dtype=torch.float64) - centre)[:, None]
    found = integrate(velocity)[0, 1, 6, 4:10, 8]
    expected = (math.exp(a) - 1) * (torch.arange(4, 10, dtype=torch.float64) - centre)
    torch.testing.assert_close(found, expected, rtol=2e-3, atol=1e-6)


def test_no_integration_step_leaves_the_velocity() -> None:
    velocity = smooth_field()
    assert torch.equal(integrate(velocity, steps=0), velocity)


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_resizing_scales_grid_and_vectors(factor: float) -> None:
    resized = resize(constant_field(1.0, -2.0, 3.0), factor)
    assert resized.shape[2:] == tuple(int(size * factor) for size in SHAPE)
    assert resized[0, :, 2, 3, 1].tolist() == pytest.approx([factor, -2 * factor, 3 * factor])


def test_resizing_keeps_corners_where_they_are() -> None:
    field = smooth_field()
    torch.testing.assert_close(resize(field, 2)[..., ::23, ::27, ::31], 2 * field[..., ::11, ::13, ::15])


def test_resizing_by_one_is_nothing() -> None:
    field = smooth_field()
    assert resize(field, 1) is field
