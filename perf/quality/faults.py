"""What is put in, by name, in the order of the table."""

from dataclasses import dataclass
from functools import partial

from perf.quality.scanning import (
    blanked_ct,
    blanked_mr,
    coarse_ct,
    coarse_labels,
    coarse_mr,
    cropped,
    short_ct,
    short_mr,
    with_couch,
)
from perf.quality.spoiling import (
    Spoil,
    biased,
    flipped_ct,
    half,
    holed,
    metal,
    other_ct,
    other_hu,
    shifted_ct,
    shifted_labels,
    turned_ct,
    with_eye,
)


@dataclass(frozen=True)
class Fault:
    """What is put in. Faults that are not gross are at the limit of what one can see."""

    name: str
    spoil: Spoil
    is_gross: bool = True


FAULTS = (
    *(Fault(f"CT shifted {mm} mm", partial(shifted_ct, mm=mm), mm > 3) for mm in (3, 5, 10)),
    *(Fault(f"CT turned {degrees}°", partial(turned_ct, degrees=degrees), degrees > 3) for degrees in (3, 5, 10)),
    Fault("CT flipped left-right", flipped_ct),
    Fault("CT of another person", other_ct),
    Fault("hole in the mask", holed),
    Fault("eye in the mask", with_eye),
    Fault("labels shifted 3 mm", shifted_labels, is_gross=False),
    Fault("HU off by 30 or 1024", other_hu),
    Fault("half the head missing", half),
    Fault("MR falls to a third", biased),
    Fault("metal", metal),
    Fault("images end 10 mm inside the brain", partial(cropped, mm=10)),
    *(Fault(f"MR ends {mm} mm inside the brain", partial(short_mr, mm=mm), mm > 3) for mm in (3, 10)),
    *(Fault(f"CT ends {mm} mm inside the brain", partial(short_ct, mm=mm), mm > 3) for mm in (3, 10)),
    Fault("face blanked 15 mm into the brain, MR", blanked_mr),
    Fault("face blanked 15 mm into the brain, CT", blanked_ct),
    Fault("couch in the CT", with_couch),
    Fault("MR slices of 3 voxels", partial(coarse_mr, degrees=0)),
    Fault("MR slices of 3 voxels, askew by 8°", partial(coarse_mr, degrees=8), is_gross=False),
    Fault("MR in blocks of 3 voxels", partial(coarse_mr, degrees=0, mode="nearest")),
    Fault("CT in blocks of 3 voxels", coarse_ct),
    Fault("labels of 2 voxels", partial(coarse_labels, times=2)),
    Fault("labels of 3 voxels", partial(coarse_labels, times=3)),
)
