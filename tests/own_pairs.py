"""A small pair of a person's own images on two grids, and their registration without preprocessing."""

import numpy as np
from made_up_methods import MadeUp, Methods
from phantom import AFFINES, turned
from scipy import ndimage

from benchmark.own_pair.own_images import OwnPair
from benchmark.own_pair.registration import Registering, register
from srreg import io
from srreg.geometry import apply_affine
from srreg.volume import Volume

FIXED_SHAPE, MOVING_SHAPE = (12, 14, 16), (15, 11, 13)


def smooth(shape, seed):
    return ndimage.gaussian_filter(np.random.default_rng(seed).random(shape), 1.5)


def images(folder, fixed_orientation="RAS", moving_affine=AFFINES["oblique"]):
    """A fixed image and a moving one on an oblique grid of its own, middle on middle; paths."""
    fixed = Volume(smooth(FIXED_SHAPE, 1), AFFINES["RAS"])
    affine = moving_affine.copy()
    middles = (apply_affine(a, (np.array(s) - 1) / 2) for a, s in ((fixed.affine, FIXED_SHAPE), (affine, MOVING_SHAPE)))
    affine[:3, 3] += next(middles) - next(middles)
    io.write_volume(folder / "fixed.nii.gz", turned(fixed, fixed_orientation))
    io.write_volume(folder / "moving.nii.gz", Volume(smooth(MOVING_SHAPE, 2) + 1, affine))
    return OwnPair(folder / "moving.nii.gz", folder / "fixed.nii.gz")


def as_it_is(method, pair, out, **settings):
    """Register without preprocessing; the moved image."""
    methods = Methods(method) if isinstance(method, MadeUp) else None
    name = method.name if isinstance(method, MadeUp) else method
    register(pair, out, Registering(name, preprocess="none", **settings), **({"methods": methods} if methods else {}))
    return io.read_volume(out / "moved.nii.gz")
