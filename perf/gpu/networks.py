"""Every row at one size: forward in float32, training step in bf16, as the profile `standard` has them."""

from collections.abc import Iterator

import torch

import models
from models.training_settings import Batch, TrainingSettings
from models.training_step import Stepper
from perf.gpu.measuring import Row, timed

CLASSES = tuple(range(1, 17))


def rows(device: torch.device, shape: tuple[int, int, int]) -> Iterator[Row]:
    """A row a network; where memory ends, what was measured before stays."""
    for name in models.names():
        row: Row = {"network": name}
        try:
            _measure(row, name, shape, device)
        except torch.OutOfMemoryError as error:
            row["out of memory"] = str(error).splitlines()[0]
        yield row


def _measure(row: Row, name: str, shape: tuple[int, int, int], device: torch.device) -> None:
    torch.manual_seed(0)
    network = models.create(name).to(device).eval()
    network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    batch = Batch(
        torch.rand(1, 1, *shape), torch.rand(1, 1, *shape), *torch.randint(0, 17, (2, 1, *shape), dtype=torch.uint8).unbind()
    ).to(device)
    row["parameters"] = sum(p.numel() for p in network.parameters())
    with torch.inference_mode():
        row["forward s"], row["forward GiB"] = timed(lambda: network(batch.moving, batch.fixed), device)
    settings = TrainingSettings(labels=CLASSES, epochs=1, steps_per_epoch=1, precision="bf16", contrastive_weight=1e-3)
    stepper = Stepper(network, settings, str(device))
    row["step s"], row["step GiB"] = timed(lambda: stepper.step(0, batch, done=0.0), device, repeats=3)
