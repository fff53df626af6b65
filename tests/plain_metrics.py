"""Dice, HD95 and determinants as one writes them down first, with scipy and numpy: slow, and plainly right."""

import itertools

import numpy as np
from scipy import ndimage

CROSS = ndimage.generate_binary_structure(3, 1)  # a voxel and its six neighbours


def dice(moved, fixed):
    """Of two masks, one of which has voxels."""
    return 2 * np.count_nonzero(moved & fixed) / (np.count_nonzero(moved) + np.count_nonzero(fixed))


def hd95(moved, fixed, spacing_mm, definition):
    """Of two masks that both have voxels, by distance maps."""
    surfaces = [mask ^ ndimage.binary_erosion(mask, CROSS, border_value=0) for mask in (moved, fixed)]
    maps = [ndimage.distance_transform_edt(~surface, sampling=spacing_mm) for surface in surfaces]
    there, back = maps[1][surfaces[0]], maps[0][surfaces[1]]
    if definition == "pooled":
        return np.percentile(np.concatenate([there, back]), 95)
    return max(np.percentile(there, 95), np.percentile(back, 95))


def determinants(field):
    """det(I + grad u) by `numpy.gradient`, in float64."""
    gradients = [np.gradient(field[..., k].astype(np.float64)) for k in range(3)]
    (a, b, c), (d, e, f), (g, h, i) = [[gradients[k][axis] + (k == axis) for axis in range(3)] for k in range(3)]
    return a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)


def turned_volume(field):
    """Volume turned inside out, in voxels, cube by cube: of each of the two ways to cut one into five tetrahedra, a half.

    A tetrahedron belongs to the voxel at its right angle; of the two in the middle, one to the cube's first corner,
    one to its last. Beyond the border the field is what it is there.
    """
    shape = field.shape[:3]
    grid = np.stack(np.meshgrid(*(np.arange(-1, n + 1) for n in shape), indexing="ij"), axis=-1)
    mapped = grid + np.pad(field.astype(np.float64), [(1, 1), (1, 1), (1, 1), (0, 0)], mode="edge")
    corners = list(itertools.product((0, 1), repeat=3))
    tetrahedra = [(corner, *(tuple(c ^ (k == axis) for k, c in enumerate(corner)) for axis in range(3))) for corner in corners]
    tetrahedra += [((0, 0, 0), (1, 1, 0), (1, 0, 1), (0, 1, 1)), ((1, 1, 1), (0, 0, 1), (0, 1, 0), (1, 0, 0))]
    return sum(_turned(mapped, shape, np.array(tetrahedron)) for tetrahedron in tetrahedra) / 2


def _turned(mapped, shape, tetrahedron):
    """Of one of the ten, in the cubes whose voxel it belongs to lies in the volume."""
    first = 1 - tetrahedron[0]  # of the cubes, so that the tetrahedron's first corner is the volume's first voxel
    vertices = [mapped[tuple(slice(f + t, f + t + n) for f, t, n in zip(first, v, shape, strict=True))] for v in tetrahedron]
    edges = np.stack([vertex - vertices[0] for vertex in vertices[1:]], axis=-2)
    volumes = np.linalg.det(edges) / 6 * np.sign(np.linalg.det(tetrahedron[1:] - tetrahedron[0]))
    return -volumes[volumes < 0].sum()
