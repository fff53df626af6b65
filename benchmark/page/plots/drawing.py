"""How the plots look, and how they get onto a page: as SVG with the page's inks, so that they follow its light and dark."""

import io
from collections.abc import Callable, Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

# Stand-ins that no plot uses otherwise; in the SVG they become variables of the page's style.
INK, SOFT, LINE = "#010203", "#040506", "#070809"
_INKS = {INK: "var(--ink)", SOFT: "var(--soft)", LINE: "var(--line)"}

_FAMILIES = {  # a hue a family; of middle brightness, to be seen on light and on dark
    "initial": "#8a9097",
    "syn": "#a3703f",
    "syn-tuned": "#cfa375",
    "voxelmorph": "#2f74b8",
    "voxelmorph-features": "#79aede",
    "transmorph": "#23895a",
    "transmorph-features": "#74c69d",
    "mambamorph-original": "#c9a227",
    "mambamorph-plain": "#e08a3c",
    "mambamorph": "#cc3b4f",
}
_OTHERS = ("#8757c9", "#3aa6b5", "#b84fa0", "#6b7f2a")
_STYLE: Mapping[str, object] = {
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "srreg",  # the same plot, the same bytes
    "text.parse_math": False,
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": INK,
    "axes.titlesize": 9,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "grid.color": LINE,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def colour_of(method: str) -> str:
    """A method's colour, the same in every plot."""
    return _FAMILIES.get(method) or _OTHERS[sum(method.encode()) % len(_OTHERS)]


def drawn(width: float, height: float, draw: Callable[[Figure], None]) -> str:
    """A plot as an `<svg>` element; no global state of matplotlib is left changed.

    Args:
        width: in inches, of 72 points.
        height: likewise.
        draw: draws on the empty figure.
    """
    with matplotlib.rc_context(dict(_STYLE)):
        figure = Figure(figsize=(width, height), layout="constrained")
        draw(figure)
        text = io.StringIO()
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))  # the same plot, the same bytes
        figure.savefig(text, format="svg", transparent=True, metadata=nothing)
    svg = text.getvalue()
    for stand_in, ink in _INKS.items():
        svg = svg.replace(stand_in, ink)
    return svg[svg.index("<svg") :]


def boxes(axes: Axes, values: Mapping[str, ArrayLike]) -> None:
    """A box a method, the first at the top: median, quartiles, whiskers to 1.5 times their distance, and what lies beyond."""
    methods = list(values)
    parts = axes.boxplot(
        [np.asarray(found, dtype=float) for found in values.values()],
        orientation="horizontal",
        patch_artist=True,
        widths=0.62,
        medianprops={"color": INK, "linewidth": 1.2},
        whiskerprops={"color": SOFT},
        capprops={"color": SOFT},
        flierprops={"marker": ".", "markersize": 3, "markeredgecolor": SOFT},
    )
    for box, method in zip(parts["boxes"], methods, strict=True):
        box.set(facecolor=colour_of(method), edgecolor=SOFT, linewidth=0.8)
    rows_of(axes, methods)


def rows_of(axes: Axes, methods: Sequence[str]) -> None:
    """Let the vertical axis have a row a method, at 1, 2 ... from the top."""
    axes.set_yticks(range(1, len(methods) + 1), methods)
    axes.set_ylim(len(methods) + 0.5, 0.5)
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)
