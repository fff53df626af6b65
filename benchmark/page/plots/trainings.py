"""Curves: how the trainings went, from the histories they left."""

import csv
import logging
from pathlib import Path

from matplotlib.figure import Figure

from benchmark.page.plots.drawing import SOFT, colour_of, drawn

log = logging.getLogger(__name__)

_PANELS = {"validation_dice": "Validation: Dice", "loss": "Training: loss"}  # column of the history -> title
_Curves = dict[str, list[float]]


def training_curves(out: Path) -> str | None:
    """A line a training, the seeds of a method in one colour, as SVG; None where nothing was trained."""
    found = {path: _history(path) for path in sorted(out.glob("weights/*/seed*/training.csv"))}
    trainings = [(path.parent.parent.name, curves) for path, curves in found.items() if curves is not None]
    return drawn(12.0, 3.6, lambda figure: _draw(figure, trainings)) if trainings else None


def _history(path: Path) -> _Curves | None:
    """Epochs and the columns that are shown; None for a file that is none of a training."""
    try:
        lines = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
        if not lines:
            raise ValueError("it has no epoch")
        return {name: [float(line[name]) for line in lines] for name in ("epoch", *_PANELS)}
    except (OSError, ValueError, KeyError, TypeError) as error:  # TypeError: a line with too few cells
        log.warning("%s: is no history of a training and is not drawn (%s)", path, error)
        return None


def _draw(figure: Figure, trainings: list[tuple[str, _Curves]]) -> None:
    for axes, (name, title) in zip(figure.subplots(1, len(_PANELS)), _PANELS.items(), strict=True):
        for method, curves in trainings:
            axes.plot(curves["epoch"], curves[name], color=colour_of(method), linewidth=1.4, label=method)
        axes.set_title(title, loc="left")
        axes.set_xlabel("Epoch", color=SOFT)
    handles = {str(line.get_label()): line for line in figure.axes[0].get_lines()}
    figure.legend(list(handles.values()), list(handles), loc="outside right upper", frameon=False)
