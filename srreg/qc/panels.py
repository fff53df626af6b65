"""What a subject's page shows below its viewer: the pictures and their captions, as data; `figures.py` draws their layers."""

from dataclasses import dataclass
from typing import Literal

Layer = Literal["mr", "ct", "labels"]  # `uncorrected` is drawn too, and shown with the histograms
Line = Literal["brain", "white", "ventricles", "fluid", "reference"]


@dataclass(frozen=True)
class Panel:
    """Layers laid over each other, the first below.

    Args:
        name: of the section, as in its address.
        title: above the picture.
        caption: what it is and what to look for.
        layers: pictures.
        lines: outlines above them.
    """

    name: str
    title: str
    caption: str
    layers: tuple[Layer, ...]
    lines: tuple[Line, ...] = ()


PANELS: tuple[Panel, ...] = (
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
    Panel(
        "reference",
        "Alignment to the reference",
        "The outline of the ICBM 152 template's brain (green) and of this brain (yellow) on the MR. An affine "
        "alignment makes them one size and one pose, not one shape; nothing is green where the data set "
        "is not in the template's space.",
        ("mr",),
        ("reference", "brain"),
    ),
)

# How the viewer lays the CT over the MR, and what it can draw above both: name, key, title.
MODES = (
    ("mr", "m", "MR"),
    ("ct", "c", "CT"),
    ("flicker", "f", "flicker"),
    ("board", "b", "checkerboard"),
    ("wipe", "w", "slider"),
    ("fade", "d", "fade"),
)
OVERLAYS = (("edges", "e", "MR edges"), ("outline", "o", "brain outline"), ("labels", "l", "labels"))

# What the 3-D viewer shows at a time: NiiVue's number, title.
VIEWS = ((3, "slices and 3-D"), (4, "3-D"), (0, "axial"), (1, "coronal"), (2, "sagittal"))
