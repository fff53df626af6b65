"""What a network is validated by: the Dice that tables show."""

import math
from dataclasses import replace

import pytest
import torch
from small_training import SETTINGS, network, pair

from models.training_loss import hard_dice
from models.training_settings import Batch
from models.training_step import Stepper


def test_validation_dice_is_the_hard_one_which_blur_does_not_lower() -> None:
    labels = torch.zeros(1, 8, 10, 12, dtype=torch.int16)
    labels[0, 2:5, 3:7, 4:9] = 2
    batch = Batch(torch.zeros(1, 1, 8, 10, 12), torch.zeros(1, 1, 8, 10, 12), labels, labels.roll(-1, dims=2))
    shift = torch.zeros(1, 3, 8, 10, 12)
    assert float(hard_dice(shift, batch, (2,))) == pytest.approx(3 / 4)  # 3 of 4 planes
    shift[:, 1] = 0.6
    assert float(hard_dice(shift, batch, (2,))) == 1
    assert float(hard_dice(shift, batch, (2, 3))) == 0.5  # no 3 in either: counts as 0, as in the loss


def test_a_pair_without_a_finite_field_has_no_validation_dice() -> None:
    stepper = Stepper(network(), SETTINGS, "cpu")
    good, bad = pair(0), replace(pair(0), moving=pair(0).moving * math.nan)
    assert math.isnan(stepper.mean([stepper.validate(good), stepper.validate(bad)]).dice)
    assert stepper.mean([stepper.validate(good)]).dice > 0
