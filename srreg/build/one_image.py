"""One image of anybody's, brought into the common frame by the steps that build the data set."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from srreg.backends.protocol import Backend
from srreg.build.reference import Size
from srreg.build.step import Step
from srreg.build.steps.align import Align, Alignment
from srreg.build.steps.conform import Conform
from srreg.build.steps.correct_intensity import CorrectIntensity
from srreg.build.steps.strip_skull import StripSkull
from srreg.geometry import apply_affine, reorient_to_ras
from srreg.subject import Modality, Subject
from srreg.volume import Affine, Volume


@dataclass(frozen=True, eq=False)
class InFrame:
    """An image as the data set holds one, and where it came from.

    Args:
        image: on the frame's grid.
        to_frame: [4, 4], the image's own world to the frame's (RAS+, mm).
        steps: name of each step that was taken -> its parameters.
    """

    image: Volume
    to_frame: Affine
    steps: Mapping[str, Mapping[str, object]]


def bring_into_frame(
    name: str, image: Volume, modality: Modality, skull_stripper: Backend, size: Size = "full", alignment: Alignment = "affine"
) -> InFrame:
    """Strip the skull, even out an MR, window a CT, align to the template, conform: as `srreg build` does, for one image.

    Args:
        name: of the image, for messages; the subject's id to the skull stripper.
        image: a whole head in any orientation; MR in any unit, CT in Hounsfield units.
        modality: which of the two.
        skull_stripper: finds the brain; of a CT it is shown the brain's window.
        size: which grid of the frame.
        alignment: how the image is brought there.

    Raises:
        StepFailed: no brain was found, or it could not be aligned.
    """
    ras, own_to_ras = to_ras(image)
    strip, align, conform = StripSkull(skull_stripper), Align(alignment), Conform(size)
    even = CorrectIntensity() if modality == "mr" else None
    # The steps look at a subject's MR; a lone CT stands in its place.
    subject = strip(Subject(name, mr=ras if modality == "mr" else _windowed(ras), ct=ras))
    subject = align(subject if even is None else even(subject))
    # No regions are asked for: the brain is the one there is.
    conformed = conform(replace(subject, labels=subject.brain))
    assert subject.to_reference is not None
    taken: list[Step] = [step for step in (strip, even, align, conform) if step is not None]
    return InFrame(
        image=conformed.mr if modality == "mr" else conformed.ct,
        to_frame=subject.to_reference @ own_to_ras,
        steps={step.name: dict(step.parameters(name)) for step in taken},
    )


def _windowed(ct: Volume) -> Volume:
    """Cut to the brain's window, where a CT looks enough like an MR for HD-BET.

    Measured on two heads against its mask on their MR: Dice 0.94 and 0.93; on the whole range 0.96 and no brain at all.
    """
    return Volume(ct.data.clip(*Conform.ct_window_hu), ct.affine)


def to_ras(image: Volume) -> tuple[Volume, Affine]:
    """The image in RAS, and the way to its new world: `reorient_to_ras` moves the grid a hair, onto its lattice."""
    ras = reorient_to_ras(image)
    way = np.eye(4)
    way[:3, 3] = _middle(ras) - _middle(image)
    return ras, way


def _middle(image: Volume) -> np.ndarray:
    return apply_affine(image.affine, (np.array(image.data.shape) - 1) / 2)
