"""How regular a displacement is: folding, volume turned inside out, spread of the change of volume.

A displacement is [D, H, W, 3] in voxels of its grid, component k along array axis k; it maps x to x + u(x).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from srreg.errors import DataError
from srreg.measure.arrays import read_only
from srreg.measure.threads import in_pieces

Region = Literal["whole", "inside", "outside"]

_ROWS = 26  # of every plane at a time: three planes of them stay in a core's cache


@dataclass(frozen=True)
class Regularity:
    """What the Jacobian says of a region of a field; `nan` where the region has no voxels.

    Args:
        voxels: in the region.
        folding_percent: see the function of that name, as for the next three.
        folding_percent_published: its share of the region's voxels.
        nondiffeomorphic_volume_percent: its share of the region's volume.
        log_jacobian_std: over the region's voxels.
        clipped: voxels whose determinant was below 1e-9 and was taken for it, to have a logarithm.
    """

    voxels: int
    folding_percent: float
    folding_percent_published: float
    nondiffeomorphic_volume_percent: float
    log_jacobian_std: float
    clipped: int


def regularity(displacement: NDArray[np.floating], mask: NDArray[np.bool_] | None = None) -> Mapping[Region, Regularity]:
    """Everything the functions below measure, in one pass over the field.

    Args:
        displacement: [D, H, W, 3], voxels; component k along array axis k.
        mask: [D, H, W], of the brain for instance.

    Returns:
        Of the `whole` field and, where there is a mask, of what is `inside` and `outside` it.

    Raises:
        DataError: another shape, an axis of one voxel, or vectors that are not finite.
        BackendUnavailable: numba does not work here.
    """
    field = _checked(displacement)
    inside = None if mask is None else _checked_mask(mask, field)
    whole_sums, inside_sums = _sum_up(field, inside, folding=True, published=True, logarithms=True, volumes=True)
    voxels = field[..., 0].size
    found: dict[Region, Regularity] = {"whole": _summary(whole_sums, voxels)}
    if inside is not None:
        voxels_inside = int(np.count_nonzero(inside))
        found["inside"] = _summary(inside_sums, voxels_inside)
        found["outside"] = _summary(whole_sums - inside_sums, voxels - voxels_inside)
    return found


def folding_percent(displacement: NDArray[np.floating]) -> float:
    """Share of voxels at which the mapping folds: det(I + grad u) <= 0.

    Central differences, one-sided at the borders (`numpy.gradient`), in float64; every voxel of the grid counts.

    Args:
        displacement: [D, H, W, 3], voxels; component k along array axis k.

    Returns:
        Percent.

    Raises:
        DataError: another shape, an axis of one voxel, or vectors that are not finite.
        BackendUnavailable: numba does not work here.
    """
    return _measure(displacement, folding=True).folding_percent


def folding_percent_published(displacement: NDArray[np.floating]) -> float:
    """The share that the authors' script reports: only for comparison with the paper's table 1.

    The script hands the array to `SimpleITK.DisplacementFieldJacobianDeterminant` without reversing the
    components, so component c is paired with array axis 2 - c; it is not the Jacobian of the field. It counts
    det < 0, with ITK's central differences, which repeat the last voxel beyond the border.

    Args:
        displacement: [D, H, W, 3], voxels; component k along array axis k.

    Returns:
        Percent.

    Raises:
        DataError: another shape, an axis of one voxel, or vectors that are not finite.
        BackendUnavailable: numba does not work here.
    """
    return _measure(displacement, folding=True, published=True).folding_percent_published


def nondiffeomorphic_volume_percent(displacement: NDArray[np.floating]) -> float:
    """Volume that the mapping turns inside out, as a share of the grid's.

    Between voxels the mapping is linear on tetrahedra. A cube of eight voxels falls into five of them in two ways;
    each of the ten is counted as a half. Where none is turned, the mapping is a digital diffeomorphism. This
    finds folds that central differences miss: those do not see the voxel they belong to. Beyond the border
    the field goes on as it is there.

    Source: Liu et al., On Finite Difference Jacobian Computation in Deformable Image Registration, IJCV 2024,
    doi 10.1007/s11263-024-02047-1.

    Args:
        displacement: [D, H, W, 3], voxels; component k along array axis k.

    Returns:
        Percent; above 100 where space is turned more than once.

    Raises:
        DataError: another shape, an axis of one voxel, or vectors that are not finite.
        BackendUnavailable: numba does not work here.
    """
    return _measure(displacement, volumes=True).nondiffeomorphic_volume_percent


def log_jacobian_std(displacement: NDArray[np.floating]) -> float:
    """Standard deviation of ln det(I + grad u), SDlogJ; differences and voxels as for `folding_percent`.

    A determinant below 1e-9 is taken for 1e-9, the value at which the Learn2Reg challenge clips (Hering et al., IEEE TMI
    2023, arXiv 2112.04489); its script, however, adds 3 to every determinant before and leaves out two voxels at each
    border, so that the numbers it publishes are smaller.

    Args:
        displacement: [D, H, W, 3], voxels; component k along array axis k.

    Raises:
        DataError: another shape, an axis of one voxel, or vectors that are not finite.
        BackendUnavailable: numba does not work here.
    """
    return _measure(displacement, folding=True, logarithms=True).log_jacobian_std


def _measure(
    displacement: NDArray[np.floating],
    folding: bool = False,
    published: bool = False,
    logarithms: bool = False,
    volumes: bool = False,
) -> Regularity:
    """Of the whole field, what is asked for; the rest is 0."""
    field = _checked(displacement)
    return _summary(_sum_up(field, None, folding, published, logarithms, volumes)[0], field[..., 0].size)


class _Sums(NamedTuple):
    """In the order of the kernel's quantities."""

    folded: float
    folded_published: float
    turned: float
    clipped: float
    logarithms: float
    squares: float


def _sum_up(
    field: NDArray[np.floating],
    inside: NDArray[np.bool_] | None,
    folding: bool,
    published: bool,
    logarithms: bool,
    volumes: bool,
) -> NDArray[np.float64]:
    """[2, quantities]: of the whole field, and inside the mask."""
    from srreg.measure import jacobian_kernels

    mask = np.zeros((1, 1, field.shape[2]), np.bool_) if inside is None else inside
    side_by_side = field.reshape(*field.shape[:2], -1)

    def of_rows(first: int, last: int) -> tuple[bool, NDArray[np.float64]]:
        sums = np.zeros((2, len(_Sums._fields)))
        return jacobian_kernels.sum_up(side_by_side, mask, first, last, folding, published, logarithms, volumes, sums), sums

    found = in_pieces(of_rows, field.shape[1], of=_ROWS)
    if not all(is_finite for is_finite, _ in found):
        raise DataError(f"{np.count_nonzero(~np.isfinite(field))} components of the displacement are not finite")
    return np.sum([sums for _, sums in found], axis=0)


def _summary(sums: NDArray[np.float64], voxels: int) -> Regularity:
    nothing = float("nan")
    if not voxels:
        return Regularity(0, nothing, nothing, nothing, nothing, 0)
    found, mean = _Sums(*sums), _Sums(*sums / voxels)
    return Regularity(
        voxels=voxels,
        folding_percent=float(100 * mean.folded),
        folding_percent_published=float(100 * mean.folded_published),
        nondiffeomorphic_volume_percent=float(100 * mean.turned / 12),  # six times the volume, each tetrahedron a half
        log_jacobian_std=float(np.sqrt(max(mean.squares - mean.logarithms**2, 0))),
        clipped=int(found.clipped),
    )


def _checked(displacement: NDArray[np.floating]) -> NDArray[np.floating]:
    if displacement.ndim != 4 or displacement.shape[3] != 3 or min(displacement.shape[:3]) < 2:
        raise DataError(f"expected a displacement [D, H, W, 3] of two voxels or more an axis, got {displacement.shape}")
    field = displacement if displacement.dtype in (np.float32, np.float64) else displacement.astype(np.float64)
    return read_only(np.ascontiguousarray(field))


def _checked_mask(mask: NDArray[np.bool_], field: NDArray[np.floating]) -> NDArray[np.bool_]:
    if mask.shape != field.shape[:3]:
        raise DataError(f"expected a mask on the field's grid, {field.shape[:3]}, got {mask.shape}")
    return read_only(np.ascontiguousarray(mask, np.bool_))
