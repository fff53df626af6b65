"""Label maps and fields made by whole numbers alone: the same on every machine, for other tools' answers to be kept."""

import numpy as np

CASES = {  # shape, spacing in mm, how far the second map's regions lie from the first's, in voxels
    "isotropic": ((24, 28, 20), (1.0, 1.0, 1.0), 3),
    "anisotropic": ((20, 24, 28), (0.7, 1.5, 3.0), 3),
    "flat voxels": ((28, 20, 16), (0.7, 0.7, 2.5), 2),
    "far apart": ((44, 40, 36), (1.0, 1.5, 3.0), 14),
}


def pair_of(case):
    """Two maps of cells that fill the volume to its edges: labels 1 to 9, four cells of background."""
    shape, _, apart = CASES[case]
    seeds = [_numbers(shape, start=cell) for cell in range(13)]
    moved_seeds = [
        [s + n % (2 * apart + 1) - apart for s, n in zip(seed, _numbers((97, 89, 83), start=cell + 50), strict=True)]
        for cell, seed in enumerate(seeds)
    ]
    return _cells(shape, moved_seeds), _cells(shape, seeds)


def field(shape=(14, 12, 16), amplitude=3.0):
    """A float32 field of steps, which folds at many places, those at the border among them."""
    i, j, k = np.indices(shape)
    waves = [(29 * i + 31 * j + 37 * k) % 41, (23 * i + 43 * j + 17 * k) % 47, (13 * i + 19 * j + 53 * k) % 43]
    return np.stack([amplitude * (wave / 47 - 0.5) for wave in waves], axis=-1).astype(np.float32)


def _cells(shape, seeds):
    grid = np.indices(shape)
    away = [sum((g - s) ** 2 for g, s in zip(grid, seed, strict=True)) for seed in seeds]
    nearest = np.argmin(away, axis=0)
    return np.where(nearest < 9, nearest + 1, 0).astype(np.int16)


def _numbers(below, start):
    """One for each limit, from the middle of a linear congruential sequence."""
    state, found = 12345 + 6789 * start, []
    for limit in below:
        state = (1103515245 * state + 12345) % 2**31
        found.append((state >> 12) % limit)
    return found
