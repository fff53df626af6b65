"""Work cut into pieces, a thread each: for kernels, which hold no interpreter lock."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

_PIECES_PER_CORE = 4  # some pieces have more to do than others


def cores() -> int:
    """How many this process may use."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def in_pieces(work: Callable[[int, int], T], length: int, of: int | None = None) -> list[T]:
    """Call `work(first, last)` for pieces of `range(length)`.

    Args:
        work: what to do; pieces run at the same time.
        length: of the whole.
        of: how much a piece has; a few pieces a core if not given.

    Returns:
        What the pieces gave, in order; nothing of an empty range.
    """
    step = of or max(1, -(-length // (cores() * _PIECES_PER_CORE)))
    firsts = range(0, length, step)
    with ThreadPoolExecutor(cores()) as pool:
        return list(pool.map(work, firsts, (min(first + step, length) for first in firsts)))
