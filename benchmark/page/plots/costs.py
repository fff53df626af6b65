"""Bubbles: what a registration gains against the time and the memory it takes."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from benchmark.page.plots.drawing import INK, colour_of, drawn
from benchmark.tables.measured import Measured

_SMALLEST, _LARGEST = 40.0, 900.0  # areas, in square points


def cost_bubbles(measured: Measured) -> str | None:
    """Mean Dice over mean seconds (logarithmic), the area the largest memory, as SVG; None where nobody has both numbers."""
    found = {method: _numbers(measured, method) for method in measured.methods}
    bubbles = {method: numbers for method, numbers in found.items() if min(numbers[:2]) > 0}
    return drawn(9.0, 4.2, lambda figure: _draw(figure, bubbles)) if bubbles else None


def _numbers(measured: Measured, method: str) -> tuple[float, float, float]:
    """Seconds, Dice and GiB; 0 where there is no number."""
    seconds, dice = (measured.scores.summary(method, metric, "mean") for metric in ("seconds", "dice"))
    memory = measured.scores.summary(method, "memory", "largest")
    return tuple(0.0 if cell is None else cell.value for cell in (seconds, dice, memory))  # type: ignore[return-value]


def _draw(figure: Figure, bubbles: dict[str, tuple[float, float, float]]) -> None:
    axes: Axes = figure.subplots()
    most = max(memory for _, _, memory in bubbles.values()) or 1.0
    handles = []
    for method, (seconds, dice, memory) in sorted(bubbles.items(), key=lambda item: -item[1][1]):
        area = _SMALLEST + (_LARGEST - _SMALLEST) * memory / most
        colour = colour_of(method)
        axes.scatter(seconds, dice, s=area, color=colour, alpha=0.75, edgecolors=INK, linewidths=0.6)
        (handle,) = axes.plot([], [], "o", color=colour, markeredgecolor=INK, markeredgewidth=0.6)
        handles.append((handle, f"{method}: {memory:.2f} GiB"))
    axes.set(xscale="log", xlabel="Time (s)", ylabel="Dice (%)")
    axes.xaxis.set_major_formatter(lambda seconds, _: f"{seconds:g}")  # the usual one writes powers as formulas
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.margins(0.12)
    figure.legend(*zip(*handles, strict=True), loc="outside right upper", frameon=False, title="By Dice; area: memory")
