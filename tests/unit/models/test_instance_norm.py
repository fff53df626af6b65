"""Instance normalisation: torch's own is the truth, in double precision."""

import pytest
import torch
import torch.nn.functional as F

import models.instance_norm
from models.instance_norm import instance_norm

SHAPE = (2, 3, 4, 6, 10)


def drawn(seed: int, dtype: torch.dtype) -> torch.Tensor:
    image = 3 + 2 * torch.randn(SHAPE, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return image.to(dtype).to(memory_format=torch.channels_last_3d)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5), (torch.bfloat16, 3e-2)])
def test_it_is_torchs_instance_norm_forward_and_backward(dtype: torch.dtype, tolerance: float) -> None:
    image, gradient = drawn(0, dtype).requires_grad_(), drawn(1, dtype)
    truth = image.detach().double().requires_grad_()
    ours, theirs = instance_norm(image), F.instance_norm(truth)
    ours.backward(gradient)
    theirs.backward(gradient.double())
    torch.testing.assert_close(ours.double(), theirs, atol=tolerance, rtol=tolerance)
    torch.testing.assert_close(image.grad.double(), truth.grad, atol=tolerance, rtol=tolerance)
    assert ours.dtype == dtype
    assert ours.is_contiguous(memory_format=torch.channels_last_3d)


@pytest.mark.parametrize("statistics", ["_by_groups", "_by_sums"])
def test_statistics_of_either_device_are_torchs(statistics: str) -> None:
    """A CPU takes the first, a GPU the second."""
    image = drawn(0, torch.float64)
    made, mean, inverse = getattr(models.instance_norm, statistics)(image)
    torch.testing.assert_close(made, F.instance_norm(image), atol=1e-12, rtol=1e-12)
    torch.testing.assert_close(mean.flatten(), image.mean((2, 3, 4)).flatten(), atol=1e-12, rtol=1e-12)
    variance = image.var((2, 3, 4), correction=0).flatten()
    torch.testing.assert_close(inverse.flatten() ** -2, variance + 1e-5, atol=1e-12, rtol=1e-12)
    assert made.is_contiguous(memory_format=torch.channels_last_3d)


def test_the_gradient_from_sums_is_torchs(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a GPU does, here."""
    monkeypatch.setattr(models.instance_norm, "_by_groups", models.instance_norm._by_sums)
    assert torch.autograd.gradcheck(instance_norm, drawn(0, torch.float64).requires_grad_())


def test_its_gradient_is_that_of_its_values() -> None:
    assert torch.autograd.gradcheck(instance_norm, drawn(0, torch.float64).requires_grad_())


def test_without_gradients_it_gives_the_same() -> None:
    image = drawn(0, torch.float32)
    torch.testing.assert_close(instance_norm(image), instance_norm(image.clone().requires_grad_()).detach(), atol=0, rtol=0)


def test_a_leaky_relu_in_place_behind_it_leaves_the_gradient_right() -> None:
    """As in the decoder: what comes out is changed, what goes in must be what is kept."""
    image = drawn(0, torch.float64).requires_grad_()
    truth = image.detach().clone().requires_grad_()
    F.leaky_relu(instance_norm(image), 0.2, inplace=True).square().sum().backward()
    F.leaky_relu(F.instance_norm(truth), 0.2).square().sum().backward()
    torch.testing.assert_close(image.grad, truth.grad)
