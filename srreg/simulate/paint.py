"""MR, CT, labels and mask from a drawing of tissues."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from srreg.simulate.centres import Centre
from srreg.simulate.draw import Drawing
from srreg.simulate.shapes import Floats
from srreg.simulate.tissues import HU, HU_TEXTURE, LABEL_OF, T1, T1_CONTRAST, T1_TEXTURE, Tissue

_BIAS_SD = 0.11  # of the logarithm: about ±25 % between extremes
_BIAS_LATTICE = 5  # random numbers along each edge of the field of view
_TEXTURE_MM = 4.0
_CT_NOISE_HU = 7.0  # at 1 mm
_BLUR_MM = {"mr": 0.45, "ct": 0.6}  # standard deviation of a scanner's blur
_OUTLINE_MM = 8.0  # how far the mask goes beyond the skin
_MASK_LATTICE_MM = 4.0


def labels_of(drawing: Drawing) -> NDArray[np.uint8]:
    """[D, H, W]: the label most of a voxel's samples have; of equally frequent ones that of the first sample."""
    samples = _by_voxel(LABEL_OF[drawing.tissue], drawing.per_voxel)
    votes = np.stack([(samples == sample).sum(axis=0, dtype=np.uint8) for sample in samples])
    labels: NDArray[np.uint8] = np.take_along_axis(samples, votes.argmax(axis=0)[None], axis=0)[0]
    return labels


def _by_voxel(samples: NDArray[np.uint8], per_voxel: int) -> NDArray[np.uint8]:
    """[n^3, D, H, W]: all samples of a voxel along the first axis."""
    d, h, w = (length // per_voxel for length in samples.shape)
    parted = samples.reshape(d, per_voxel, h, per_voxel, w, per_voxel)
    return parted.transpose(1, 3, 5, 0, 2, 4).reshape(per_voxel**3, d, h, w)


def _mean(values: Floats, drawing: Drawing) -> Floats:
    """[D, H, W]: mean of a property (one number a tissue) over a voxel: the partial volume effect."""
    n = drawing.per_voxel
    total = np.zeros([length // n for length in drawing.tissue.shape], np.float32)
    for i, j, k in np.ndindex(n, n, n):
        total += values[drawing.tissue[i::n, j::n, k::n]]
    return total / np.float32(n**3)


def body_mask(drawing: Drawing) -> NDArray[np.bool_]:
    """[D, H, W]: the head's outline, filled and widened, with air in it as in SynthRAD; found at 4 mm at every size."""
    step = round(_MASK_LATTICE_MM / drawing.voxel_mm * drawing.per_voxel)
    is_head = (_by_voxel(drawing.tissue, step) != Tissue.AIR).any(axis=0)
    is_head = _largest(is_head)
    solid = is_head | ndimage.binary_closing(np.pad(is_head, 4, mode="edge"), iterations=3)[4:-4, 4:-4, 4:-4]
    # Plane by plane: airways open to the cut through the neck are inside too.
    filled = np.stack([ndimage.binary_fill_holes(plane) for plane in np.moveaxis(solid, 2, 0)], axis=2)
    ball = np.linalg.norm(np.indices((5, 5, 5)) - 2, axis=0) <= _OUTLINE_MM / _MASK_LATTICE_MM
    coarse = ndimage.binary_dilation(filled, ball)
    repeats = round(_MASK_LATTICE_MM / drawing.voxel_mm)
    fine: NDArray[np.bool_] = coarse.repeat(repeats, axis=0).repeat(repeats, axis=1).repeat(repeats, axis=2)
    return fine


def _largest(solid: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The largest connected piece."""
    pieces, _ = ndimage.label(solid)
    sizes = np.bincount(pieces.reshape(-1))
    sizes[0] = 0
    largest: NDArray[np.bool_] = pieces == sizes.argmax()
    return largest


def _smooth_field(rng: np.random.Generator, counts: tuple[int, ...], shape: tuple[int, ...], order: int) -> Floats:
    """Random numbers of unit variance at `counts` places, spread smoothly over [D, H, W]; the same at every size."""
    numbers = rng.standard_normal(counts).astype(np.float32)
    field: Floats = ndimage.zoom(
        numbers, [s / c for s, c in zip(shape, counts, strict=True)], order=order, mode="nearest", grid_mode=True
    )
    return field


def _texture(rng: np.random.Generator, drawing: Drawing) -> Floats:
    """Smooth variation within tissues: unit variance at the nodes of a lattice."""
    shape = tuple(n // drawing.per_voxel for n in drawing.tissue.shape)
    counts = tuple(round(n * drawing.voxel_mm / _TEXTURE_MM) for n in shape)
    return _smooth_field(rng, counts, shape, order=1)


def paint_mr(drawing: Drawing, centre: Centre, mask: NDArray[np.bool_], seed: np.random.SeedSequence) -> Floats:
    """[D, H, W] T1-weighted MR in scanner units: tissue, texture, blur, bias field, Rician noise; whole numbers."""
    anatomy, noise = (np.random.default_rng(s) for s in seed.spawn(2))
    gain = centre.scale * float(np.exp(0.25 * anatomy.uniform(-1, 1)))
    signal = (T1_CONTRAST if centre.has_contrast else T1) ** np.float32(centre.contrast)
    image = _mean(signal, drawing) + _mean(signal * T1_TEXTURE, drawing) * _texture(anatomy, drawing)
    image = ndimage.gaussian_filter(np.maximum(image, 0), _BLUR_MM["mr"] / drawing.voxel_mm)
    bias = _smooth_field(anatomy, (_BIAS_LATTICE,) * 3, image.shape, order=3)
    image *= np.exp(np.float32(_BIAS_SD) * np.clip(bias, -2.5, 2.5))
    spread = np.float32(centre.noise / np.sqrt(drawing.voxel_mm))
    real, imaginary = noise.standard_normal((2, *image.shape), dtype=np.float32) * spread
    image = np.hypot(image + real, imaginary)
    # Scanners suppress the noise of the air around.
    image[~mask & ((image < 3 * spread) | centre.blanks_mr)] = 0
    return np.rint(image * np.float32(gain))


def paint_ct(drawing: Drawing, centre: Centre, mask: NDArray[np.bool_], seed: np.random.SeedSequence) -> Floats:
    """[D, H, W] CT in Hounsfield units: tissue, texture, blur, noise; whole numbers from -1024 to 3071."""
    anatomy, noise = (np.random.default_rng(s) for s in seed.spawn(2))
    image = _mean(HU, drawing) + _mean(HU_TEXTURE, drawing) * _texture(anatomy, drawing)
    image = ndimage.gaussian_filter(image, _BLUR_MM["ct"] / drawing.voxel_mm)
    # CT noise is correlated: it falls more slowly than with the square root of the voxel's volume.
    image += noise.standard_normal(image.shape, dtype=np.float32) * np.float32(_CT_NOISE_HU / np.sqrt(drawing.voxel_mm))
    if centre.blanks_ct:
        image[~mask] = -1000
    return np.clip(np.rint(image), -1024, 3071)
