"""What a subject's page shows: the pictures and their captions, as data; `figures.py` draws their layers."""

from dataclasses import dataclass
from typing import Literal

Layer = Literal["mr", "ct", "labels"]
Line = Literal["brain", "white", "ventricles", "fluid"]


@dataclass(frozen=True)
class Panel:
    """Layers laid over each other, the first below.

    Args:
        name: of the section, as in its address.
        title: above the picture.
        caption: what it is and what to look for.
        layers: pictures.
        lines: outlines above them.
        is_checkered: the second picture shows only in every other square.
    """

    name: str
    title: str
    caption: str
    layers: tuple[Layer, ...]
    lines: tuple[Line, ...] = ()
    is_checkered: bool = False


PANELS: tuple[Panel, ...] = (
    Panel(
        "checkerboard",
        "MR and CT, checkerboard",
        "Squares of 20 mm are MR and CT in turn, the CT's tinted. Ventricles, fissures and the brain's rim must run on from "
        "square to square without a step.",
        ("mr", "ct"),
        is_checkered=True,
    ),
    Panel(
        "fluid",
        "Edges of the MR on the CT",
        "The line is drawn from the MR alone: where it turns from tissue to fluid. On the CT the same borders are those of "
        "the dark ventricles and sulci; a line that lies beside them all on one side shows a shift.",
        ("ct",),
        ("fluid",),
    ),
    Panel(
        "outline-mr",
        "Brain outline on the MR",
        "Brain mask (yellow), border of the white matter (orange) and ventricles (blue). The mask should follow the brain, "
        "with no eye, neck or bone inside and no cortex cut off.",
        ("mr",),
        ("white", "ventricles", "brain"),
    ),
    Panel(
        "outline-ct",
        "Brain outline on the CT",
        "The same lines on the CT. White streaks within the outline are bone: the mask is too wide, or the CT lies aside.",
        ("ct",),
        ("white", "ventricles", "brain"),
    ),
    Panel("labels-mr", "Labels on the MR", "Colours as in the table of labels below.", ("mr", "labels")),
    Panel("labels-ct", "Labels on the CT", "One label map serves both images.", ("ct", "labels")),
)
