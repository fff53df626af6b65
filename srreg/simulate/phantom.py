"""An analytic whole head, drawn in code, different for each person: nothing to download, everything known."""

import numpy as np

from srreg.simulate.brain import Brain, Folds, fold_distance
from srreg.simulate.deform import Amount, Lattice, PoseRange, smooth_noise
from srreg.simulate.head import Head

# The folds all people share; a person's own are mixed in. Chosen once: another number is another species.
_SPECIES_SEED = 20230
_SHARED_FOLDS = 0.93  # correlation between the folds of a person and those of the template

# Tuned so that two people overlap (mean Dice of the scored labels) by 55 to 65 % at 1 mm after affine alignment.
AMOUNT = Amount(rms_mm=(1.5, 2.3), scales_mm=(15.0, 28.0))
POSE = PoseRange(size_sd=0.02, axis_sd=0.015, turn_deg=4.0, shift_mm=(6.0, 10.0, 15.0))

_FOLDS_HALF_EDGE_MM = 105.0


def draw_head(rng: np.random.Generator) -> Head:
    """A person's own anatomy, before bending: folds, ventricles, skull, scalp."""
    age = rng.uniform(-1, 1)  # the older, the wider ventricles and sulci
    brain = Brain(
        folds=_draw_folds(rng),
        ventricles_grown_mm=0.5 * age + 0.25 * rng.uniform(-1, 1),
        atrophy_mm=0.15 + 0.15 * age,
    )
    return Head(
        brain=brain,
        thickness=smooth_noise(rng, 2, scale_mm=16.0, half_edge_mm=120.0, spacing_mm=8.0),
        cells=smooth_noise(rng, 1, scale_mm=2.6, half_edge_mm=90.0, spacing_mm=2.5),
        skull_mm=6.5 + 0.8 * rng.uniform(-1, 1),
        scalp_mm=6.0 + 1.5 * rng.uniform(-1, 1),
    )


def _draw_folds(rng: np.random.Generator) -> Folds:
    species = np.random.default_rng(_SPECIES_SEED)
    return Folds(
        sulci=fold_distance(_own(species, rng, scale_mm=5.8, spacing_mm=2.5)),
        depth=_own(species, rng, scale_mm=12.0, spacing_mm=6.0),
        folia=_own(species, rng, scale_mm=3.0, spacing_mm=2.5),
    )


def _own(species: np.random.Generator, rng: np.random.Generator, scale_mm: float, spacing_mm: float) -> Lattice:
    """Noise that a person shares with all others, and some of his own; unit variance."""
    shared, own = (smooth_noise(g, 1, scale_mm, _FOLDS_HALF_EDGE_MM, spacing_mm).values for g in (species, rng))
    mixed = np.float32(_SHARED_FOLDS) * shared + np.float32(np.sqrt(1 - _SHARED_FOLDS**2)) * own
    return Lattice(mixed, spacing_mm)
