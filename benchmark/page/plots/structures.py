"""Box plots: how a metric spreads over the pairs, structure by structure."""

import math

from matplotlib.figure import Figure

from benchmark.page.plots.drawing import boxes, drawn
from benchmark.tables.layouts import column_of
from benchmark.tables.measured import Measured

_COLUMNS = 4


def structure_boxes(measured: Measured, metric: str) -> str | None:
    """A panel a structure, a box a method, as SVG; None where nothing was measured by structure."""
    scores = measured.scores
    regions, methods = scores.regions(metric), measured.with_numbers(metric)
    if not regions:
        return None
    rows = math.ceil(len(regions) / _COLUMNS)

    def draw(figure: Figure) -> None:
        panels = list(figure.subplots(rows, _COLUMNS, sharex=True, sharey=True, squeeze=False).flat)
        for axes, region in zip(panels, regions, strict=False):
            boxes(axes, {method: scores.values(method, metric, region) for method in methods})
            axes.set_title(region, loc="left")
        for axes in panels[len(regions) :]:
            axes.set_axis_off()
        figure.supxlabel(column_of(metric).title, fontsize="medium")

    return drawn(13.5, rows * (0.55 + 0.21 * len(methods)), draw)
