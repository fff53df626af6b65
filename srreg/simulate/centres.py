"""The three centres: what their scanners do, and how subjects are named after them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Centre:
    """One hospital.

    Args:
        letter: as in SynthRAD's ids.
        first: number of its first subject; ids of a centre are not contiguous.
        has_contrast: gadolinium was given.
        scale: MR signal of white matter, scanner units.
        contrast: power to which relative signals are taken: sequences differ.
        noise: standard deviation of the MR's noise at 1 mm, as a share of white matter.
        blanks_mr: the MR is 0 outside the mask.
        blanks_ct: the CT is -1000 outside the mask.
    """

    letter: str
    first: int
    has_contrast: bool
    scale: float
    contrast: float
    noise: float
    blanks_mr: bool
    blanks_ct: bool


# B and C give gadolinium, A does not; numbers as in SynthRAD 2023, where centre A's images are not blanked.
CENTRES = (
    Centre("A", 1, has_contrast=False, scale=420.0, contrast=1.0, noise=0.030, blanks_mr=False, blanks_ct=False),
    Centre("B", 14, has_contrast=True, scale=1150.0, contrast=1.2, noise=0.025, blanks_mr=True, blanks_ct=True),
    Centre("C", 23, has_contrast=True, scale=240.0, contrast=0.85, noise=0.035, blanks_mr=False, blanks_ct=True),
)


def centre_of(number: int) -> Centre:
    """Centre of the subject with this number (from 0): A, B, C in turn."""
    return CENTRES[number % len(CENTRES)]


def subject_id(number: int) -> str:
    """Id of the subject with this number (from 0): 1BA001, 1BB014, 1BC023, 1BA009 ...; none twice, with gaps."""
    centre, turn = centre_of(number), number // len(CENTRES)
    return f"1B{centre.letter}{centre.first + 5 * turn + 3 * turn % 5:03d}"
