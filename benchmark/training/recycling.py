"""Memory that is used again."""

import weakref
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray


class Recycler:
    """Gives arrays, and takes their memory back when nobody holds them any more.

    The kernel clears what it hands out anew; for arrays of tens of megabytes that takes longer than filling them.
    An array counts as held while a view of it lives, or a tensor that `torch.from_numpy` made of it or of a view.
    """

    def __init__(self) -> None:
        self._free: dict[tuple[tuple[int, ...], str], list[NDArray[Any]]] = {}

    def empty(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """An array to be filled."""
        free = self._free.setdefault((shape, np.dtype(dtype).str), [])
        try:
            memory = free.pop()
        except IndexError:
            memory = np.empty(shape, dtype)
        # A view through a memoryview, not through numpy: further views then hold this one, not the memory behind it.
        lent: NDArray[Any] = np.asarray(memory.data)
        weakref.finalize(lent, free.append, memory).atexit = False
        return lent
