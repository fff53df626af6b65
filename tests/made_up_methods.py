"""Methods that a test can predict: one that shifts, and some that go wrong."""

from dataclasses import dataclass, field

import numpy as np

from benchmark import results, runner
from benchmark.method import Factory, MethodContext
from benchmark.metrics import WHOLE
from benchmark.run_settings import RunSettings
from srreg.displacement import Displacement
from srreg.registry import Registry


@dataclass
class MadeUp:
    name: str
    shift: tuple[float, float, float] = (0.0, 0.0, 0.0)
    parameters: int | None = None
    lacks: tuple[str, ...] = ()
    breaks_at: int | None = None  # the number of the call, from 1
    breaks_with: type[BaseException] = RuntimeError
    shape: tuple[int, int, int] | None = None
    calls: list[str] = field(default_factory=list)

    def __call__(self, context: MethodContext) -> "MadeUp":
        return self

    def check(self):
        return self.lacks

    def prepare(self, device):
        self.calls.append("prepare")

    def register(self, moving, fixed):
        self.calls.append("register")
        if self.breaks_at == self.calls.count("register"):
            raise self.breaks_with("out of luck")
        shape = self.shape or fixed.grid.shape
        return Displacement(np.broadcast_to(np.float32(self.shift), (*shape, 3)), fixed.affine)


class Methods(Registry[Factory]):
    """A table of methods that are there already."""

    def __init__(self, *methods: MadeUp) -> None:
        super().__init__("method", {method.name: "" for method in methods})
        self._methods = {method.name: method for method in methods}

    def load(self, name):
        return self._methods[self.resolve(name)]


def run(dataset, out, *methods, **settings):
    """Run methods that are there already."""
    names = [method.name for method in methods]
    return runner.run(dataset, out, RunSettings(names, **settings), methods=Methods(*methods))


def whole(out, metric="dice"):
    """(method, pair) -> value for the whole image."""
    rows = results.read(out / "results.csv")
    return {(row.method, row.pair): row.value for row in rows if row.metric == metric and row.region == WHOLE}
