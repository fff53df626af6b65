"""Kernels on displacement fields: determinants of the Jacobian, summed up in one pass over the field.

A field is read once, row by row, its components apart and every border voxel repeated outside the volume; of a strip of
rows, three planes are held at a time. `ahead` and `behind` are a row's neighbours along the first axis, `below` and
`above` those along the second. All in one file: what numba keeps on disk is made anew when this file changes, and no other.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from srreg.measure.compiled import exact, relaxed

# What is summed up, in the order of the sums.
_FOLDED, _FOLDED_PUBLISHED, _TURNED, _CLIPPED, _LOGARITHMS, _SQUARES = range(6)

_SMALLEST_DETERMINANT = 1e-9  # what a smaller one is taken for where its logarithm is

_ZERO, _ONE, _TWO = np.float32(0), np.float32(1), np.float32(2)  # as narrow as the field may be
_UNCLEAR = np.float32(2e-10)  # what (191 * 2**-24) ** 2, of _count_clear_folds, is below
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
        field: [D, H, 3 W], voxels: the components of each side by side.
        mask: [D, H, W], or [1, 1, W] of False where there is none.
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
    depth, height, width = len(field), field.shape[1], field.shape[2] // 3
    planes = np.empty((3, last - first + 2, 3, width + 2), field.dtype)  # in turn: behind, at, ahead
    determinants = np.empty(width)
    is_finite, counts_alone = True, not (published or logarithms or len(mask) > 1)
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
                is_quick = counts_alone and 0 < i < depth - 1 and 0 < j < height - 1 and _count_clear_folds(rows, sums)
                if is_quick:
                    _count_folds_at_ends(rows, width, sums)
                else:
                    _sum_folding(rows, scales, inside, published, determinants, sums)
            if logarithms:
                _sum_logarithms(determinants, inside, sums)
            if volumes:
                _sum_volumes(rows, (ahead[r + 1], behind[r - 1]), inside, sums)
    return is_finite


@exact
def _read(field: NDArray[np.floating], i: int, first: int, last: int, plane: NDArray[np.floating]) -> bool:
    """Read rows `first - 1` to `last` of a plane; False where anything is not finite."""
    height, width = field.shape[1], field.shape[2] // 3
    broken = False
    for j in range(first - 1, last + 1):
        line, rows = field[i, min(max(j, 0), height - 1)], plane[j - first + 1]
        broken |= _take_apart(line, rows[0, 1:], rows[1, 1:], rows[2, 1:], width)
        for c in range(3):
            rows[c, 0], rows[c, width + 1] = rows[c, 1], rows[c, width]
    return not broken


@exact
def _take_apart(line: Row, first: Row, second: Row, third: Row, width: int) -> bool:
    """Part the components of a row; True where one is not finite. Of flat arrays alone a compiler sees where they lie."""
    broken = False
    for k in range(width):
        x, y, z = line[3 * k], line[3 * k + 1], line[3 * k + 2]
        first[k], second[k], third[k] = x, y, z
        broken |= (x - x) + (y - y) + (z - z) != 0
    return broken


@relaxed
def _count_clear_folds(rows: Star, sums: NDArray[np.float64]) -> bool:
    """Count the voxels of a row, but for its ends, that fold, in numbers as narrow as the field; none is at a border.

    A determinant is a sum of six products of three entries. With e the rounding of float32, 2^-24, an entry is off by 2 e of
    itself and 1, a product by 7 e more: in all 13 e of the permanent of the entries' sizes, which Hadamard's inequality puts
    below 3^1.5 times the product of the columns' lengths. That is under 191 e of the lengths, each with 1 squared added.

    Returns:
        False where a determinant is nearer to 0 than that, or no number: nothing was counted, and the row is to be
        computed as numpy does.
    """
    here, ahead, behind, below, above = rows
    many = here.shape[1] - 4
    ahead_of, behind_of = _flat(ahead, 2, many), _flat(behind, 2, many)
    below_of, above_of = _flat(below, 2, many), _flat(above, 2, many)
    right_of, left_of = _flat(here, 3, many), _flat(here, 1, many)
    folded = unclear = _ZERO  # counters as narrow as what they count
    for k in range(many):
        x, y, z = _narrow(ahead_of, behind_of, k), _narrow(below_of, above_of, k), _narrow(right_of, left_of, k)
        determinant = _determinant(x, y, z)
        lengths = _length(x[0] + _TWO, x[1], x[2]) * _length(y[0], y[1] + _TWO, y[2]) * _length(z[0], z[1], z[2] + _TWO)
        folded += _ONE if determinant <= 0 else _ZERO
        unclear += _ZERO if determinant * determinant > _UNCLEAR * lengths else _ONE
    is_clear = unclear == 0
    if is_clear:
        sums[0, _FOLDED] += folded
    return is_clear


@exact
def _flat(rows: Rows, first: int, many: int) -> tuple[Row, Row, Row]:
    """Part of a row by its components; with an index into flat arrays alone a compiler sees that none runs over."""
    return rows[0, first : first + many], rows[1, first : first + many], rows[2, first : first + many]


@relaxed
def _narrow(to: tuple[Row, Row, Row], start: tuple[Row, Row, Row], k: int) -> Vector:
    return to[0][k] - start[0][k], to[1][k] - start[1][k], to[2][k] - start[2][k]


@relaxed
def _length(x: Scalar, y: Scalar, z: Scalar) -> Scalar:
    """Squared, and 1."""
    return _ONE + x * x + y * y + z * z


@exact
def _count_folds_at_ends(rows: Star, width: int, sums: NDArray[np.float64]) -> None:
    """Count the first and the last voxel of a row, if they fold; no other axis is at a border."""
    for k in (0, width - 1):
        x, y, z = _differences(rows, k + 1)
        sums[0, _FOLDED] += _determinant(x, y, _scaled(z, 2.0)) <= 0


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
    folded = folded_inside = published = published_inside = 0
    width = len(determinants)
    for k in range(width):
        q = k + 1
        x, y, z = _differences(rows, q)
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
def _differences(rows: Star, q: int) -> tuple[Vector, Vector, Vector]:
    """Between a voxel's neighbours along each axis."""
    here, ahead, behind, below, above = rows
    return _apart(ahead, q, behind, q), _apart(below, q, above, q), _apart(here, q + 1, here, q - 1)


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
    a, e, i = x[0] + _TWO, y[1] + _TWO, z[2] + _TWO
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
