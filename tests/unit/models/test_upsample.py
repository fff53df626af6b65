"""Twice the resolution: torch's own interpolation and its gradient are the truth, in double precision."""

import pytest
import torch
import torch.nn.functional as F

from models.upsample import Doubled, doubled


def drawn(shape: tuple[int, ...], seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def theirs(image: torch.Tensor) -> torch.Tensor:
    return F.interpolate(image, scale_factor=2, mode="trilinear", align_corners=False)


def test_a_row_by_hand() -> None:
    """New voxels lie a quarter off the old; what lies beyond the border is the border."""
    row = torch.tensor([0.0, 4.0]).view(1, 1, 1, 1, 2)
    assert doubled(row)[0, 0, 0, 0].tolist() == [0, 1, 3, 4]


@pytest.mark.parametrize("shape", [(2, 3, 4, 5, 6), (1, 2, 1, 2, 3)])
def test_the_gradient_is_torchs(shape: tuple[int, ...]) -> None:
    image = drawn(shape).requires_grad_()
    ours: torch.Tensor = Doubled.apply(image)
    torch.testing.assert_close(ours, theirs(image), atol=0, rtol=0)
    back = drawn(tuple(ours.shape), seed=1)
    found, truth = (torch.autograd.grad(made, image, back)[0] for made in (ours, theirs(image)))
    torch.testing.assert_close(found, truth, atol=1e-14, rtol=1e-14)


def test_the_gradient_keeps_channels_last_and_the_number_type() -> None:
    image = drawn((1, 8, 4, 6, 10)).bfloat16().to(memory_format=torch.channels_last_3d).requires_grad_()
    made: torch.Tensor = Doubled.apply(image)
    (found,) = torch.autograd.grad(made.float().square().sum(), image)
    assert found.dtype == torch.bfloat16
    assert found.is_contiguous(memory_format=torch.channels_last_3d)


def test_a_gradient_in_half_precision_is_rounded_once() -> None:
    image = drawn((1, 3, 6, 4, 5)).half().requires_grad_()
    back = (2e4 * drawn((1, 3, 12, 8, 10), seed=1)).clamp(-6e4, 6e4).half()
    made: torch.Tensor = Doubled.apply(image)
    truth = image.detach().double().requires_grad_()
    (expected,) = torch.autograd.grad(theirs(truth), truth, back.double())
    (found,) = torch.autograd.grad(made, image, back)
    torch.testing.assert_close(found.double(), expected.half().double(), atol=0, rtol=1e-3)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu_the_gradient_is_the_same_every_time() -> None:
    image = drawn((1, 16, 24, 20, 28)).to("cuda", torch.bfloat16).requires_grad_()
    back = drawn((1, 16, 48, 40, 56), seed=1).to("cuda", torch.bfloat16)
    first, second = (torch.autograd.grad(doubled(image), image, back)[0] for _ in range(2))
    assert torch.equal(first, second)
    truth = image.detach().double().requires_grad_()
    (expected,) = torch.autograd.grad(theirs(truth), truth, back.double())
    torch.testing.assert_close(first.double(), expected, atol=1e-5, rtol=8e-3)
