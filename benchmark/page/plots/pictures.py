"""What a registration did, as a picture: the moving image before and after, and a grid that moves with it.

Radiological convention, as in the QC report: the patient's right is on the left of axial and coronal slices.
"""

import base64
import io

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from benchmark.page.plots.slices import Registered, Slice, middle_slice
from srreg.qc.planes import PLANES

CAPTION = (
    "Moving MR before and after, with white matter and ventricles outlined: yellow those of the fixed image, blue those of the "
    "moving one; where they meet only one is seen. Right: the fixed CT, and a grid of 10 mm on the moving image as the field "
    "moves it. Slices through the middle of the fixed brain, the patient's right on the left."
)
_GRID_MM = 10.0
_FIXED, _MOVED = "#ffb000", "#25b8ff"
_OUTLINED = ((2,), (4, 5, 14, 15))  # white matter; ventricles
_WIDTH_INCHES = 7.5
_DOTS_PER_INCH = 110


def picture(registered: Registered) -> str:
    """A JPEG as a data URI: a row a plane, the columns before, after and field."""
    slices = [middle_slice(registered, plane) for plane in PLANES]
    heights = [cut.fixed.shape[0] * cut.height_to_width / cut.fixed.shape[1] for cut in slices]
    figure = Figure(figsize=(_WIDTH_INCHES, _WIDTH_INCHES / 3 * sum(heights)), dpi=_DOTS_PER_INCH, facecolor="black")
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(slices), 3, height_ratios=heights, gridspec_kw={"hspace": 0.01, "wspace": 0.01})
    figure.subplots_adjust(left=0, bottom=0, right=1, top=1)
    for row, cut in zip(panels, slices, strict=True):
        _draw(row, cut)
    content = io.BytesIO()
    figure.savefig(content, format="jpeg", pil_kwargs={"quality": 80, "optimize": True})
    return f"data:image/jpeg;base64,{base64.b64encode(content.getvalue()).decode()}"


def _draw(row: NDArray[np.object_], cut: Slice) -> None:
    before, after, field = row
    for axes, image in ((before, cut.before), (after, cut.after), (field, cut.fixed)):
        axes.imshow(image, cmap="gray", vmin=0, vmax=_bright(image), aspect=cut.height_to_width, interpolation="bilinear")
        axes.set_axis_off()
    for axes, labels in ((before, cut.before_labels), (after, cut.after_labels)):
        _outline(axes, cut.fixed_labels, _FIXED)
        _outline(axes, labels, _MOVED)
    for places in (cut.across_mm, cut.down_mm):
        levels = np.arange(np.ceil(places.min() / _GRID_MM), places.max() / _GRID_MM) * _GRID_MM
        if levels.size:
            field.contour(places, levels=levels, colors=_MOVED, linewidths=0.6)


def _bright(image: NDArray[np.float32]) -> float:
    """What is white: above most tissue, so that lines are seen on it."""
    inside = image[image > 0]
    return 1.35 * float(np.percentile(inside, 90)) if inside.size else 1.0


def _outline(axes: Axes, labels: NDArray[np.int16], colour: str) -> None:
    for group in _OUTLINED:
        inside = np.isin(labels, group)
        if inside.any() and not inside.all():
            axes.contour(inside.astype(float), levels=[0.5], colors=colour, linewidths=1.0)
