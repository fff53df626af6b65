"""A training that takes a second: balls in balls, and a network of a few channels."""

from pathlib import Path

import torch

from models.network import RegistrationNetwork
from models.training import TrainingResult, fit
from models.training_settings import Batch, TrainingSettings
from models.unet import UNetConfig
from models.variants import NetworkConfig, build, configure

SHAPE = (16, 16, 32)
CONFIG = configure("voxelmorph", module=UNetConfig(encoder=(8, 8), decoder=(8, 8, 8)))
WITH_READ_OUT = configure(
    "voxelmorph-features",
    module=UNetConfig(encoder=(4, 4), decoder=(4, 4, 4)),
    features=UNetConfig(encoder=(4,), decoder=(4, 4)),
)
SETTINGS = TrainingSettings(labels=(1, 2), epochs=2, steps_per_epoch=3, learning_rate=1e-3, seed=3)


def ball(number: int, contrast: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
    """A ball in a ball, its centre drawn by number: image [1, 1, D, H, W], labels [1, D, H, W]."""
    generator = torch.Generator().manual_seed(number)
    centre = torch.tensor([7.5, 7.5, 15.5]) + 3 * (torch.rand(3, generator=generator) - 0.5)
    grid = torch.stack(torch.meshgrid(*[torch.arange(n).float() for n in SHAPE], indexing="ij"))
    radius = ((grid - centre.view(3, 1, 1, 1)) ** 2).sum(0).sqrt()
    labels = (radius < 6).to(torch.int16) + (radius < 3).to(torch.int16)
    image = labels.float() / 2
    return (image if contrast > 0 else torch.where(labels > 0, 1.5 - image, 0))[None, None], labels[None]


def pair(number: int) -> Batch:
    moving, moving_labels = ball(2 * number)
    fixed, fixed_labels = ball(2 * number + 1, contrast=-1)
    return Batch(moving, fixed, moving_labels, fixed_labels)


VALIDATION = [pair(1000), pair(1001)]


def network(config: NetworkConfig = CONFIG, seed: int = 0) -> RegistrationNetwork:
    torch.manual_seed(seed)
    return build(config)


def train(
    folder: Path, settings: TrainingSettings = SETTINGS, batches=pair, validation=VALIDATION, config=CONFIG, **others
) -> tuple[RegistrationNetwork, TrainingResult]:
    trained = network(config)
    result = fit(trained, batches, settings, folder, config=config, validation=validation, device="cpu", **others)
    return trained, result
