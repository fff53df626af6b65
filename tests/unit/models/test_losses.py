"""Losses of cases one can compute by hand."""

import numpy as np
import pytest
import torch

from models.losses import dice_loss, displacement_loss, mse_loss, ncc_loss, one_hot, smoothness_loss


def two_classes() -> tuple[torch.Tensor, torch.Tensor]:
    """Four voxels; class 0 overlaps in one of 2 and 2, class 1 nowhere."""
    warped = torch.tensor([[[1.0, 1, 0, 0], [0, 0, 1, 0]]])
    fixed = torch.tensor([[[0.0, 1, 1, 0], [0, 0, 0, 1]]])
    return warped, fixed


def test_one_hot_has_a_channel_for_each_value_it_is_told() -> None:
    labels = torch.tensor([0, 2, 28, 5], dtype=torch.int16).view(1, 1, 2, 2)
    found = one_hot(labels, (2, 3, 28))
    assert found.shape == (1, 3, 1, 2, 2)
    assert found.flatten(2)[0].tolist() == [[0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0]]


def test_dice_loss_of_a_hand_made_case() -> None:
    assert dice_loss(*two_classes()).item() == pytest.approx(-(0.5 + 0) / 2)


def test_dice_loss_of_equal_maps_is_minus_one() -> None:
    fixed = two_classes()[1]
    assert dice_loss(fixed, fixed).item() == pytest.approx(-1)


def test_dice_loss_takes_soft_maps() -> None:
    warped = torch.tensor([[[0.25, 0.75]]])
    fixed = torch.tensor([[[0.0, 1.0]]])
    assert dice_loss(warped, fixed).item() == pytest.approx(-2 * 0.75 / 2)


def test_only_kept_classes_are_in_the_mean() -> None:
    assert dice_loss(*two_classes(), keep=torch.tensor([True, False])).item() == pytest.approx(-0.5)


def test_a_class_absent_from_both_counts_as_zero() -> None:
    warped, fixed = two_classes()
    nothing = torch.zeros(1, 1, 4)
    loss = dice_loss(torch.cat([warped[:, :1], nothing], 1), torch.cat([fixed[:, :1], nothing], 1))
    assert loss.item() == pytest.approx(-0.25)


def test_dice_loss_averages_over_items() -> None:
    warped, fixed = two_classes()
    loss = dice_loss(torch.cat([warped, fixed]), torch.cat([fixed, fixed]))
    assert loss.item() == pytest.approx(-(0.25 + 1) / 2)


def test_dropping_ignored_channels_first_gives_the_same_as_a_mask() -> None:
    generator = torch.Generator().manual_seed(0)
    moving, fixed = (torch.randint(0, 4, (1, 4, 5, 6), generator=generator) for _ in range(2))
    keep = torch.tensor([False, True, True, False])
    masked = dice_loss(one_hot(moving, (0, 1, 2, 3)), one_hot(fixed, (0, 1, 2, 3)), keep)
    assert dice_loss(one_hot(moving, (1, 2)), one_hot(fixed, (1, 2))).item() == pytest.approx(masked.item())


def test_dice_loss_refuses_two_shapes() -> None:
    with pytest.raises(ValueError, match="one shape"):
        dice_loss(torch.zeros(1, 2, 4), torch.zeros(1, 2, 5))


def test_dice_loss_refuses_a_mask_of_another_length() -> None:
    with pytest.raises(ValueError, match="mask of 2 classes"):
        dice_loss(*two_classes(), keep=torch.tensor([True]))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_smoothness_of_a_ramp_is_a_third_of_its_slope_squared(axis: int) -> None:
    shape = [1, 1, 1]
    shape[axis] = -1
    size = (4, 6, 8)[axis]
    ramp = (3.0 * torch.arange(size)).view(shape).expand(4, 6, 8)
    assert smoothness_loss(ramp.expand(1, 3, 4, 6, 8)).item() == pytest.approx(9 / 3)


def test_smoothness_averages_over_components_and_multiplies() -> None:
    field = torch.zeros(1, 3, 4, 6, 8)
    field[:, 0] = torch.arange(4.0).view(4, 1, 1)
    assert smoothness_loss(field, multiplier=2).item() == pytest.approx(2 * (1 / 3) / 3)


def test_smoothness_of_a_constant_field_is_zero() -> None:
    assert smoothness_loss(torch.full((1, 3, 4, 6, 8), 5.0)).item() == 0


def test_smoothness_refuses_an_axis_of_one_voxel() -> None:
    with pytest.raises(ValueError, match="at least two voxels"):
        smoothness_loss(torch.zeros(1, 3, 1, 6, 8))


def test_mean_squared_error_of_a_hand_made_case() -> None:
    assert mse_loss(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 4.0])).item() == pytest.approx(2)


def test_local_correlation_agrees_with_loops() -> None:
    rng = np.random.default_rng(0)
    moved, fixed = rng.random((2, 5, 6, 7))
    padded_moved, padded_fixed = (np.pad(image, 1) for image in (moved, fixed))
    found = np.empty((5, 6, 7))
    for index in np.ndindex(5, 6, 7):
        window = tuple(slice(i, i + 3) for i in index)
        a, b = padded_moved[window], padded_fixed[window]
        cross = ((a - a.mean()) * (b - b.mean())).sum()
        found[index] = cross**2 / (((a - a.mean()) ** 2).sum() * ((b - b.mean()) ** 2).sum() + 1e-5)
    loss = ncc_loss(torch.from_numpy(moved)[None, None], torch.from_numpy(fixed)[None, None], window=3)
    assert loss.item() == pytest.approx(-found.mean())


def test_local_correlation_does_not_mind_contrast() -> None:
    image = torch.rand(1, 1, 12, 14, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert ncc_loss(image, -3 * image, window=3).item() == pytest.approx(-1, abs=1e-3)


def test_distance_from_a_known_field_is_the_mean_squared_length_over_the_mask() -> None:
    known = torch.zeros(2, 3, 4, 6, 8)
    field = known + torch.tensor([1.0, 2.0, 2.0]).view(3, 1, 1, 1)
    keep = torch.zeros(2, 4, 6, 8, dtype=torch.bool)
    keep[0, 1:3, 2, 5] = True
    field[:, :, 0] = 100.0  # outside the mask
    assert displacement_loss(field, known, keep).item() == pytest.approx(9)
    assert displacement_loss(field, known, torch.zeros_like(keep)).item() == 0


def test_distance_from_a_known_field_refuses_other_shapes() -> None:
    with pytest.raises(ValueError, match="one shape"):
        displacement_loss(torch.zeros(1, 3, 4, 6, 8), torch.zeros(1, 3, 4, 6, 9), torch.ones(1, 4, 6, 8, dtype=torch.bool))
