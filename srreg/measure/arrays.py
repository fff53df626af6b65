"""Arrays as the kernels take them."""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Kind = TypeVar("Kind", bound=np.generic)


def read_only(array: NDArray[Kind]) -> NDArray[Kind]:
    """A view that cannot be written to: a kernel is compiled anew for the kind that can."""
    view = array.view()
    view.flags.writeable = False
    return view
