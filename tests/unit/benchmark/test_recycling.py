"""Memory is used again when nobody holds it, and never before."""

import numpy as np
import pytest
import torch

from benchmark.training.recycling import Recycler

SHAPE = (3, 4, 5)


def address(array):
    return array.ctypes.data


def test_memory_that_nobody_holds_is_used_again():
    recycler = Recycler()
    first = recycler.empty(SHAPE, np.float32)
    place = address(first)
    del first
    assert address(recycler.empty(SHAPE, np.float32)) == place


@pytest.mark.parametrize(
    "hold",
    [
        lambda array: array,
        lambda array: array[1],
        lambda array: array[1][2:],
        lambda array: array.reshape(-1),
        torch.from_numpy,
        lambda array: torch.from_numpy(array)[None, 1],
        lambda array: torch.from_numpy(array)[0].numpy(),
        lambda array: torch.nn.Parameter(torch.from_numpy(array)).detach(),
    ],
)
def test_memory_that_is_held_in_any_way_is_not(hold):
    recycler = Recycler()
    first = recycler.empty(SHAPE, np.float32)
    first[...] = 1
    held = hold(first)
    del first
    recycler.empty(SHAPE, np.float32)[...] = 2
    assert (held == 1).all()


def test_another_shape_or_type_has_memory_of_its_own():
    recycler = Recycler()
    place = address(recycler.empty(SHAPE, np.float32))
    assert recycler.empty((3, 5, 4), np.float32).shape == (3, 5, 4)
    assert recycler.empty(SHAPE, np.int32).dtype == np.int32
    assert address(recycler.empty(SHAPE, np.float32)) == place
