"""When a network that stays still is told."""

import logging
import math
from dataclasses import replace
from pathlib import Path

import pytest
from small_training import SETTINGS, train

from models.training_alarm import alarm, early_warning
from models.training_settings import TrainingSettings
from models.training_state import EpochRow

PAPER = TrainingSettings(labels=(1,), epochs=100, steps_per_epoch=150)
UNTRAINED = EpochRow(0, 0, *[math.nan] * 5, -0.6, 0.6, 0.0, 0.0, 0, 0.0)
STILL = replace(UNTRAINED, epoch=3, step=450, furthest=0.4)


def test_a_field_that_is_still_after_three_epochs_of_the_papers_is_told_once() -> None:
    rows = [replace(STILL, epoch=epoch, step=150 * epoch) for epoch in range(1, 101)]
    told = {row.epoch: text for row in rows if (text := early_warning(row, PAPER))}
    assert list(told) == [3]
    assert told[3] == (
        "the field hardly grows: after 450 steps no voxel moves by half its size (0.4000 voxels at most), so no label does; "
        "if it stays so, try fp32 or a higher learning rate"
    )


def test_a_short_training_is_told_after_a_fifth_of_it() -> None:
    short = replace(PAPER, epochs=18, steps_per_epoch=50)
    assert [n for n in range(1, 19) if early_warning(replace(STILL, epoch=n, step=50 * n), short)] == [4]


def test_a_field_that_grows_is_not_told() -> None:
    assert early_warning(replace(STILL, furthest=0.5), PAPER) == ""


def test_a_network_that_moves_labels_and_validates_better_has_learned() -> None:
    assert alarm(replace(STILL, furthest=2.0, validation_dice=0.61), UNTRAINED) == ""


def test_a_field_too_small_to_move_a_label_is_an_alarm_whatever_the_soft_dice_says() -> None:
    assert "did not learn: no voxel moves by half its size" in alarm(replace(STILL, validation_dice=0.61), UNTRAINED)


@pytest.mark.parametrize("dice", [0.6, 0.5, math.nan])
def test_validation_that_gets_no_better_is_an_alarm(dice: float) -> None:
    assert "0.6000 untrained" in alarm(replace(STILL, furthest=2.0, validation_dice=dice), UNTRAINED)


def test_a_training_without_validation_is_judged_by_its_field_alone() -> None:
    untrained = replace(UNTRAINED, validation_dice=math.nan)
    assert alarm(replace(STILL, furthest=2.0, validation_dice=math.nan), untrained) == ""
    assert alarm(replace(STILL, furthest=math.nan), untrained) != ""


def test_a_training_that_stays_still_is_told_on_the_way(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        train(tmp_path, replace(SETTINGS, learning_rate=1e-9))
    assert caplog.text.count("epoch 1 of 2: the field hardly grows") == 1
