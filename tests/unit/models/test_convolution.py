"""The convolution under autocast to bf16: float64 is the truth, also where one axis is two voxels wide."""

from itertools import permutations

import pytest
import torch
import torch.nn.functional as F

from models.convolution import convolved

SHAPES = sorted({*permutations((2, 3, 5)), (2, 2, 2), (1, 2, 4), (4, 5, 6)})


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("shape", SHAPES)
def test_output_and_gradients_are_right_to_rounding(shape: tuple[int, int, int], stride: int) -> None:
    generator = torch.Generator().manual_seed(0)
    drawn = (torch.randn(size, generator=generator).bfloat16() for size in ((1, 16, *shape), (32, 16, 3, 3, 3), (32,)))
    inputs = [value.float().requires_grad_() for value in drawn]
    exact = [value.detach().double().requires_grad_() for value in inputs]
    truth = F.conv3d(*exact, stride=stride, padding=1)
    back = torch.randn(truth.shape, generator=generator).bfloat16()
    held = torch.full((1_000_000,), 1e30)  # so that memory that is not written shows
    del held
    with torch.autocast("cpu", torch.bfloat16):
        made = convolved(*inputs, stride=stride)
    assert made.dtype == torch.bfloat16
    ours = [made, *torch.autograd.grad(made, inputs, back)]
    theirs = [truth, *torch.autograd.grad(truth, exact, back.double())]
    for found, expected in zip(ours, theirs, strict=True):
        assert float((found.detach().double() - expected.detach()).norm() / expected.detach().norm()) < 0.01


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_without_autocast_the_type_stays(dtype: torch.dtype) -> None:
    image, weight = torch.ones(1, 1, 2, 3, 4, dtype=dtype), torch.ones(1, 1, 3, 3, 3, dtype=dtype)
    made = convolved(image, weight)
    assert made.dtype == dtype
    assert made[0, 0, :, 1, 1].tolist() == [18, 18]  # of 27 neighbours a third lies outside
