"""Every network of the paper learns to bring one analytic head onto another, with the project's own training."""

from collections.abc import Iterator
from functools import cache

import numpy as np
import pytest
import torch

import models
from benchmark.network_input import min_max
from models.training_settings import Batch, TrainingSettings
from models.training_step import Stepper
from models.unet import UNetConfig
from models.variants import configure
from srreg.labels import SCORED
from srreg.simulate.centres import centre_of
from srreg.simulate.draw import draw, draw_person, field_of_view
from srreg.simulate.paint import body_mask, labels_of, paint_ct, paint_mr

RATES = {"unet": (1e-3, 30), "hybrid": (5e-4, 20)}  # learning rate and steps: what each kind needs to get going
GAIN = 0.02  # of the Dice over the scored labels, on the pair that is trained on


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """Arrays are so small that threads wait for each other most of the time."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@cache
def head(number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """MR, CT and labels of a person's brain, [32, 32, 32] at 8 mm, its middle in the middle."""
    whose, mr_seed, ct_seed = np.random.SeedSequence([7, number]).spawn(3)
    person = draw_person(whose, None)
    drawing = draw(person, field_of_view(person), "quarter")
    labels, mask = labels_of(drawing), body_mask(drawing)
    mr, ct = paint_mr(drawing, centre_of(number), mask, mr_seed), paint_ct(drawing, centre_of(number), mask, ct_seed)
    brain = labels > 0
    images = (np.where(brain, min_max(np.where(brain, image, image[brain].min())), 0) for image in (mr, ct))
    middle = np.round(np.argwhere(brain).mean(axis=0)).astype(int)
    around = tuple(slice(m, m + 64, 2) for m in middle)  # of an array with 32 voxels of nothing on every side
    mr, ct, labels = (np.pad(array, 32)[around] for array in (*images, labels))
    return mr.astype(np.float32), ct.astype(np.float32), labels.astype(np.int64)


@cache
def pair() -> Batch:
    (mr, _, moving), (_, ct, fixed) = head(0), head(1)
    images = (torch.from_numpy(image)[None, None] for image in (mr, ct))
    return Batch(*images, *(torch.from_numpy(labels)[None] for labels in (moving, fixed)))


@pytest.mark.parametrize("name", models.names())
def test_a_network_raises_the_overlap_of_two_heads(name: str) -> None:
    config = configure(name)
    rate, steps = RATES["unet" if isinstance(config.module, UNetConfig) else "hybrid"]
    settings = TrainingSettings(
        labels=SCORED,
        epochs=1,
        steps_per_epoch=steps,
        learning_rate=rate,
        second_moment_decay=0.98,
        contrastive_weight=1e-3 if config.has_read_out else 0.0,
    )
    torch.manual_seed(0)
    stepper = Stepper(models.create(name), settings, "cpu")
    before = stepper.mean([stepper.validate(pair())])
    terms = [stepper.step(number, pair(), done=0.0) for number in range(steps)]
    after = stepper.mean([stepper.validate(pair())])
    assert all(found is not None for found in terms)
    assert after.dice > before.dice + GAIN
    assert after.furthest > 0.5
