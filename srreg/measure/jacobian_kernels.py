"""Kernels on displacement fields: determinants of the Jacobian, summed up in one pass over the field.

A field is read once, row by row, its components apart and every border voxel repeated outside the volume; of a strip of
rows, three planes are held at a time. `ahead` and `behind` are a row's neighbours along the first axis, `below` and
`above` those along the second.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from srreg.measure.compiled import exact, relaxed

# What is summed up, in the order of the sums.
_FOLDED, _FOLDED_PUBLISHED, _TURNED, _CLIPPED, _LOGARITHMS, _SQUARES = range(6)

_SMALLEST_DETERMINANT = 1e-9  # what a smaller one is taken for where its logarithm is

_ZERO, _ONE = np.float32(0), np.float32(1)  # as narrow as the field may be
_LN_2 = np.log(2)
_ROOT_HALF_BITS = np.float64(0.5**0.5).view(np.int64)

Rows = NDArray[np.floating]  # [3, W + 2]: a component each, the border repeated at both ends
Row = NDArray[np.floating]  # [W]
Star = tuple[Rows, Rows, Rows, Rows, Rows]  # here, ahead, behind, below, above
Scalar = Any  # float64, or as narrow as the field is
Vector = tuple[Scalar, Scalar, Scalar]


@exact
def sum_up(
    field: NDArray[np.floating],
    mask: NDArray[np.bool_],
    first: int,
    last: int,
    folding: bool,
    published: bool,
    logarithms: bool,
    volumes: bool,
    sums: NDArray[np.float64],
) -> bool:
    """Sum up what is asked for over the rows `first` to `last` of every plane.

    Args:
        field: [D, H, W, 3], voxels.
        mask: [D, H, W], or 1 along an axis where it is the same all along.
        first: row along the second axis.
        last: row, not included.
        folding: count what folds by central differences.
        published: and as the authors' script does.
        logarithms: and sum up the logarithms of their determinants.
        volumes: sum up the volumes that are turned inside out.
        sums: [2, 6], added to: of the whole field, and inside the mask.

    Returns:
        False where a component is not finite.
    """
    depth, height, width, _ = field.shape
    planes = np.empty((3, last - first + 2, 3, width + 2), field.dtype)  # in turn: behind, at, ahead
    determinants = np.empty(width)
    is_finite = True
    for i in range(depth):
        if i == 0:
            is_finite &= _read(field, i, first, last, planes[i])
        if i + 1 < depth:
            is_finite &= _read(field, i + 1, first, last, planes[(i + 1) % 3])
        at = planes[i % 3]
        behind, ahead = planes[(i - 1) % 3] if i > 0 else at, planes[(i + 1) % 3] if i + 1 < depth else at
        for j in range(first, last):
            r = j - first + 1
            rows = at[r], ahead[r], behind[r], at[r + 1], at[r - 1]
            inside = mask[i % mask.shape[0], j % mask.shape[1]]
            if folding:
                scales = _scale(i, depth), _scale(j, height)
                _sum_folding(rows, scales, inside, published, determinants, sums)
            if logarithms:
                _sum_logarithms(determinants, inside, sums)
            if volumes:
                _sum_volumes(rows, (ahead[r + 1], behind[r - 1]), inside, sums)
    return is_finite


@exact
def _read(field: NDArray[np.floating], i: int, first: int, last: int, plane: NDArray[np.floating]) -> bool:
    """Read rows `first - 1` to `last` of a plane; False where anything is not finite."""
    _, height, width, _ = field.shape
    broken = False
    for j in range(first - 1, last + 1):
        line, rows = field[i, min(max(j, 0), height - 1)], plane[j - first + 1]
        for k in range(width):
            x, y, z = line[k, 0], line[k, 1], line[k, 2]
            rows[0, k + 1], rows[1, k + 1], rows[2, k + 1] = x, y, z
            broken |= (x - x) + (y - y) + (z - z) != 0
        for c in range(3):
            rows[c, 0], rows[c, width + 1] = rows[c, 1], rows[c, width]
    return not broken


@exact
def _sum_folding(
    rows: Star,
    scales: tuple[float, float],
    inside: NDArray[np.bool_],
    as_published: bool,
    determinants: Row,
    sums: NDArray[np.float64],
) -> None:
    """Count the voxels of a row at which central differences, one-sided at the border, find a fold.

    Differences are twice the derivative, and are not halved: the determinant is eight times as large, to the last bit.
    As published, component c is paired with axis 2 - c, and the one-sided differences are halved.
    """
    here, ahead, behind, below, above = rows
    folded = folded_inside = published = published_inside = 0
    width = len(determinants)
    for k in range(width):
        q = k + 1
        x, y, z = _apart(ahead, q, behind, q), _apart(below, q, above, q), _apart(here, q + 1, here, q - 1)
        determinant = _determinant(_scaled(x, scales[0]), _scaled(y, scales[1]), _scaled(z, _scale(k, width)))
        determinants[k] = determinant / 8
        is_folded = determinant <= 0
        is_published = as_published and _determinant(z, y, x) < 0
        folded += is_folded
        published += is_published
        folded_inside += is_folded & inside[k]
        published_inside += is_published & inside[k]
    _add(sums, _FOLDED, folded, folded_inside)
    _add(sums, _FOLDED_PUBLISHED, published, published_inside)


@exact
def _add(sums: NDArray[np.float64], quantity: int, total: Scalar, total_inside: Scalar) -> None:
    sums[0, quantity] += total
    sums[1, quantity] += total_inside


@exact
def _scale(index: int, length: int) -> float:
    """What makes a difference to the neighbours on both sides twice the derivative: at the border there is one."""
    return 1.0 if 0 < index < length - 1 else 2.0


@exact
def _apart(to: Rows, q: int, start: Rows, p: int) -> Vector:
    return (
        np.float64(to[0, q]) - np.float64(start[0, p]),
        np.float64(to[1, q]) - np.float64(start[1, p]),
        np.float64(to[2, q]) - np.float64(start[2, p]),
    )


@exact
def _scaled(x: Vector, scale: float) -> Vector:
    return x[0] * scale, x[1] * scale, x[2] * scale


@exact
def _determinant(x: Vector, y: Vector, z: Vector) -> float:
    """Of the matrix with these columns, and 2 added on its diagonal."""
    a, e, i = x[0] + 2, y[1] + 2, z[2] + 2
    return a * (e * i - z[1] * y[2]) - y[0] * (x[1] * i - z[1] * x[2]) + z[0] * (x[1] * y[2] - e * x[2])


@relaxed
def _sum_logarithms(determinants: Row, inside: NDArray[np.bool_], sums: NDArray[np.float64]) -> None:
    clipped = clipped_inside = 0
    total = total_inside = squares = squares_inside = 0.0
    for k in range(len(determinants)):
        is_clipped = determinants[k] < _SMALLEST_DETERMINANT
        logarithm = _logarithm(max(determinants[k], _SMALLEST_DETERMINANT))
        square = logarithm * logarithm
        clipped += is_clipped
        total += logarithm
        squares += square
        clipped_inside += is_clipped & inside[k]
        total_inside += logarithm * inside[k]
        squares_inside += square * inside[k]
    _add(sums, _CLIPPED, clipped, clipped_inside)
    _add(sums, _LOGARITHMS, total, total_inside)
    _add(sums, _SQUARES, squares, squares_inside)


@relaxed
def _logarithm(x: float) -> float:
    """Natural logarithm of a normal positive number to 1e-12, by operations alone: the library's cannot be vectorized.

    x = 2^e m with m from root 1/2 to root 2; ln m = 2 artanh s with s = (m - 1) / (m + 1), at most 0.18.
    """
    bits = np.float64(x).view(np.int64)
    exponent = (bits - _ROOT_HALF_BITS) >> 52
    m = np.int64(bits - (exponent << 52)).view(np.float64)
    s = (m - 1) / (m + 1)
    t = s * s
    series = 1 + t * (1 / 3 + t * (1 / 5 + t * (1 / 7 + t * (1 / 9 + t * (1 / 11 + t * (1 / 13 + t / 15))))))
    return exponent * _LN_2 + 2 * s * series


@relaxed
def _sum_volumes(rows: Star, corners: tuple[Rows, Rows], inside: NDArray[np.bool_], sums: NDArray[np.float64]) -> None:
    """Sum up six times the volume that is turned inside out of the ten tetrahedra each voxel spans with its neighbours.

    Eight have an edge along every axis; two, in the middle of a cube, have three diagonals of its sides.
    """
    here, ahead, behind, below, above = rows
    ahead_below, behind_above = corners
    turned = turned_inside = _ZERO  # of one row: as narrow as the field will do
    for k in range(len(inside)):
        q = k + 1
        a, b = _edge(ahead, q, here, q, _ONE, _ZERO, _ZERO), _edge(here, q, behind, q, _ONE, _ZERO, _ZERO)
        c, d = _edge(below, q, here, q, _ZERO, _ONE, _ZERO), _edge(here, q, above, q, _ZERO, _ONE, _ZERO)
        e, f = _edge(here, q + 1, here, q, _ZERO, _ZERO, _ONE), _edge(here, q, here, q - 1, _ZERO, _ZERO, _ONE)
        volume = _negative(a, c, e) + _negative(b, c, e) + _negative(a, d, e) + _negative(b, d, e)
        volume += _negative(a, c, f) + _negative(b, c, f) + _negative(a, d, f) + _negative(b, d, f)
        volume += _negative(
            _edge(below, q + 1, here, q, _ZERO, _ONE, _ONE),
            _edge(ahead, q + 1, here, q, _ONE, _ZERO, _ONE),
            _edge(ahead_below, q, here, q, _ONE, _ONE, _ZERO),
        )
        volume += _negative(
            _edge(here, q, above, q - 1, _ZERO, _ONE, _ONE),
            _edge(here, q, behind, q - 1, _ONE, _ZERO, _ONE),
            _edge(here, q, behind_above, q, _ONE, _ONE, _ZERO),
        )
        turned += volume
        turned_inside += volume if inside[k] else _ZERO
    _add(sums, _TURNED, turned, turned_inside)


@exact
def _edge(to: Rows, q: int, start: Rows, p: int, d: Scalar, h: Scalar, w: Scalar) -> Vector:
    """Where an edge of the grid that leads d, h, w voxels on is mapped to."""
    return to[0, q] - start[0, p] + d, to[1, q] - start[1, p] + h, to[2, q] - start[2, p] + w


@relaxed
def _negative(a: Vector, b: Vector, c: Vector) -> Scalar:
    """How far det(a, b, c), six times the volume of a tetrahedron with these edges, is below 0."""
    return max(
        a[0] * (b[2] * c[1] - b[1] * c[2]) + a[1] * (b[0] * c[2] - b[2] * c[0]) + a[2] * (b[1] * c[0] - b[0] * c[1]), _ZERO
    )
