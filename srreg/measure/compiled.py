"""How the kernels are compiled: by numba, on their first call, and kept on disk for the next process.

Imported by the files of kernels alone, and these inside the functions that run them: numba takes a quarter of
a second to import, and `srreg --help` waits for nobody.

What is compiled lies beside the package in `__pycache__`, or in the user's cache where that is read-only; numba looks
at a kernel's own file to see whether it is of today, not at this one. Kernels hold no interpreter lock. They run in
the threads of `srreg.measure.threads`, never in numba's own, which do not survive a fork.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

from srreg.errors import BackendUnavailable

try:
    import numba
except ImportError as error:
    raise BackendUnavailable(f"metrics are compiled by numba, which does not work here ({error}): pip install numba") from error

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def exact(kernel: Kernel) -> Kernel:
    """Compile a function whose every operation rounds as numpy's does."""
    return _compiled(kernel, set())


def relaxed(kernel: Kernel) -> Kernel:
    """Compile a function whose sums may be taken in any order, and fused with the products before them."""
    return _compiled(kernel, {"reassoc", "contract", "nsz"})


def _compiled(kernel: Kernel, fastmath: set[str]) -> Kernel:
    # numpy's error model: a division by zero gives inf. A branch that raises would keep a loop from being vectorized.
    settings: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": fastmath}
    try:
        return cast(Kernel, numba.njit(cache=True, **settings)(kernel))
    except RuntimeError:  # nowhere to keep it: neither beside the package nor in the user's cache
        return cast(Kernel, numba.njit(**settings)(kernel))
