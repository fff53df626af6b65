"""Ranks: how often each method is which, pair by pair."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from benchmark.metrics import METRICS
from benchmark.page.plots.drawing import INK, SOFT, colour_of, drawn, rows_of
from benchmark.tables.measured import Measured
from benchmark.tables.statistics import ranks
from benchmark.tables.statistics_table import values_of

_LARGEST = 320.0  # area of a dot that stands for all pairs, in square points


def rank_dots(measured: Measured, metric: str) -> str | None:
    """A row a method, the best mean rank at the top, as SVG; None for fewer than two methods or no pair that all have."""
    ranked = ranks(values_of(measured, metric), METRICS[metric].better)
    if ranked.shape[1] < 2 or ranked.empty:
        return None
    means = ranked.mean().sort_values()

    def draw(figure: Figure) -> None:
        axes: Axes = figure.subplots()
        rows_of(axes, [str(method) for method in means.index])
        for place, (method, mean) in enumerate(means.items(), start=1):
            often, colour = ranked[method].value_counts(normalize=True), colour_of(str(method))
            axes.scatter(often.index, [place] * len(often), s=_LARGEST * often, color=colour, edgecolors=SOFT, linewidths=0.6)
            axes.plot(mean, place, "|", color=INK, markersize=16, markeredgewidth=1.6)
            axes.annotate(f"{mean:.2f}", (len(means) + 0.7, place), va="center", annotation_clip=False)
        axes.set(xlim=(0.5, len(means) + 0.5), xlabel="Rank (1 the best)")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))

    return drawn(9.0, 1.0 + 0.3 * len(means), draw)
