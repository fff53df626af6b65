"""Voxel and world, RAS and LPS, resample, crop and pad: the one file that turns axes round.

Inside the project everything is RAS+ and arrays are [D, H, W] in storage order. SimpleITK and
ANTs think in LPS, SimpleITK's arrays run z, y, x; what crosses to them crosses here.
"""

from typing import TYPE_CHECKING, Literal, TypeVar

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from srreg.errors import GeometryError
from srreg.volume import Affine, Grid, LabelMap, Volume

if TYPE_CHECKING:
    import ants
    import SimpleITK as sitk

Mode = Literal["linear", "nearest"]
Image = TypeVar("Image", Volume, LabelMap)

_RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
_ORDER: dict[str, int] = {"linear": 1, "nearest": 0}


def apply_affine(affine: Affine, points: NDArray[np.floating]) -> NDArray[np.float64]:
    """Map points [..., 3] by a [4, 4] matrix."""
    mapped: NDArray[np.float64] = points @ affine[:3, :3].T + affine[:3, 3]
    return mapped


def reorient_to_ras(image: Image) -> Image:
    """The same image with its array axes nearest to right, anterior, superior.

    Only flips and swaps axes; no voxel is interpolated. The grid's middle is put on a lattice of 1/64 mm, so
    that every orientation of one head, read from a file, ends in the same numbers.
    """
    axes = nib.orientations.io_orientation(image.affine)
    data = nib.orientations.apply_orientation(image.data, axes)
    affine = image.affine @ nib.orientations.inv_ornt_aff(axes, image.data.shape)
    return type(image)(data, _on_lattice(affine, data.shape))


def _on_lattice(affine: Affine, shape: tuple[int, ...]) -> Affine:
    """The affine with the middle of its grid on the lattice.

    A file keeps the first voxel's place in float32 (1e-5 mm at a head's distance), and each orientation has
    another first voxel; edges of voxels are kept alike in all. The lattice is a hair off the round numbers, so
    that no common spacing puts a middle between two of its points.
    """
    middle = (np.array(shape) - 1) / 2
    placed = affine.copy()
    placed[:3, 3] = np.round(64 * apply_affine(affine, middle) + 0.137) / 64 - affine[:3, :3] @ middle
    return placed + 0.0  # + 0.0: no negative zero


def resample(
    image: Image,
    grid: Grid,
    world_to_world: Affine | None = None,
    mode: Mode | None = None,
    background: float | None = 0.0,
) -> Image:
    """Bring an image onto another grid in one interpolation.

    A voxel fills its whole box: within half a voxel beyond the outermost centres the outermost values go on.

    Args:
        image: what to resample.
        grid: where the result lies.
        world_to_world: [4, 4], world of the image to world of the grid (RAS+, mm); None: the same world.
        mode: `linear` for images, `nearest` for labels unless said otherwise. Where the new voxels are
            coarser, an image is smoothed first (Gaussian, to the new voxel's half width) so that nothing aliases.
        background: value outside the image; None: the outermost values go on for ever.
    """
    mode = mode or ("nearest" if isinstance(image, LabelMap) else "linear")
    grid_to_source = np.linalg.inv(image.affine) @ np.linalg.inv(_identity_if_none(world_to_world)) @ grid.affine
    data = image.data
    if mode == "linear":
        data = _smoothed_for(image, grid_to_source, background)
    # 1e-9 of a voxel: a matrix that is whole but for rounding samples whole voxels exactly.
    matrix, offset = np.round(grid_to_source[:3, :3], 9), np.round(grid_to_source[:3, 3], 9)
    sampled = ndimage.affine_transform(data, matrix, offset, output_shape=grid.shape, order=_ORDER[mode], mode="nearest")
    if background is not None:
        sampled = np.where(_inside(matrix, offset, grid.shape, data.shape), sampled, background)
    return type(image)(sampled, grid.affine)


def _inside(
    matrix: NDArray[np.float64], offset: NDArray[np.float64], shape: tuple[int, ...], source: tuple[int, ...]
) -> NDArray[np.bool_]:
    """[D, H, W]: whether a voxel's centre falls into any voxel's box of the source."""
    index = np.ogrid[tuple(slice(0, size) for size in shape)]
    is_inside = np.ones(shape, bool)
    for row, start, size in zip(matrix, offset, source, strict=True):
        position = start + sum(weight * axis for weight, axis in zip(row, index, strict=True))
        is_inside &= (position >= -0.5) & (position <= size - 0.5)
    return is_inside


def _identity_if_none(matrix: Affine | None) -> Affine:
    return np.eye(4) if matrix is None else matrix


def _smoothed_for(image: Volume | LabelMap, grid_to_source: Affine, background: float | None) -> NDArray[np.float32]:
    """The voxels, blurred along each axis that is sampled more coarsely than it is stored."""
    data = image.data.astype(np.float32, copy=False)
    step = np.linalg.norm(grid_to_source[:3, :3], axis=1)  # source voxels per new voxel, by source axis
    # The variance of a box one new voxel wide, less that of one old voxel: step^2 / 12 - 1 / 12.
    sigma = np.sqrt(np.clip(step**2 - 1, 0, None) / 12)
    if not (step > 1.01).any():
        return data
    beyond = {"mode": "nearest"} if background is None else {"mode": "constant", "cval": background}
    smoothed: NDArray[np.float32] = ndimage.gaussian_filter(data, sigma, **beyond)
    return smoothed


def bounding_box(mask: NDArray[np.generic], margin: int = 0) -> tuple[slice, slice, slice]:
    """The smallest box around everything that is not zero, wider by a margin, within the array.

    An empty mask gives three empty slices.
    """
    boxes = []
    for axis, size in enumerate(mask.shape):
        occupied = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
        if occupied.size == 0:
            return slice(0, 0), slice(0, 0), slice(0, 0)
        boxes.append(slice(max(int(occupied[0]) - margin, 0), min(int(occupied[-1]) + 1 + margin, size)))
    return boxes[0], boxes[1], boxes[2]


def crop(image: Image, box: tuple[slice, slice, slice]) -> Image:
    """A part of an image; its voxels keep their place in the world."""
    affine = image.affine.copy()
    affine[:3, 3] = apply_affine(image.affine, np.array([s.start for s in box], dtype=np.float64))
    return type(image)(image.data[box], affine)


def ras_lps(matrix: Affine) -> Affine:
    """A world-to-world matrix of one frame in the other; its own inverse."""
    return _RAS_TO_LPS @ matrix @ _RAS_TO_LPS


def vectors_ras_lps(vectors: NDArray[np.floating]) -> NDArray[np.floating]:
    """World vectors [..., 3] of one frame in the other; its own inverse."""
    turned: NDArray[np.floating] = vectors * np.array([-1, -1, 1], dtype=vectors.dtype)
    return turned


def itk_header(grid: Grid) -> tuple[list[float], list[float], NDArray[np.float64]]:
    """Origin, spacing and direction [3, 3] as ITK and ANTs hold them (LPS; x, y, z are the array axes).

    Raises:
        GeometryError: a sheared affine, which ITK cannot hold.
    """
    affine = _RAS_TO_LPS @ grid.affine
    spacing = np.array(grid.spacing_mm)
    direction = affine[:3, :3] / spacing
    if np.abs(direction.T @ direction - np.eye(3)).max() > 1e-4:
        raise GeometryError(f"the affine is sheared, its axes are not at right angles: {grid.affine.tolist()}")
    return affine[:3, 3].tolist(), spacing.tolist(), direction


def to_sitk(image: Volume | LabelMap) -> "sitk.Image":
    """The same image for SimpleITK (LPS; arrays z, y, x)."""
    import SimpleITK as sitk

    origin, spacing, direction = itk_header(image.grid)
    made = sitk.GetImageFromArray(np.ascontiguousarray(image.data.transpose(2, 1, 0)))
    made.SetOrigin(origin)
    made.SetSpacing(spacing)
    made.SetDirection(direction.ravel().tolist())
    return made


def from_sitk(image: "sitk.Image") -> Volume:
    """A SimpleITK image as a volume (RAS+)."""
    import SimpleITK as sitk

    lps = np.eye(4)
    lps[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    lps[:3, 3] = image.GetOrigin()
    return Volume(sitk.GetArrayFromImage(image).transpose(2, 1, 0), _RAS_TO_LPS @ lps)


def to_ants(image: Volume) -> "ants.ANTsImage":
    """The same image for ANTs (LPS; its arrays run x, y, z, as ours do)."""
    import ants

    origin, spacing, direction = itk_header(image.grid)
    return ants.from_numpy(image.data, origin=origin, spacing=spacing, direction=direction)
