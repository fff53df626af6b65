"""Training with the contrastive loss, with and without gradient surgery."""

import math
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from small_training import SETTINGS, VALIDATION, WITH_READ_OUT, network, pair, train

from models.contrastive import contrast
from models.gradient_surgery import without_conflict
from models.losses import contrastive_loss, dice_loss, one_hot, smoothness_loss
from models.spatial import warp
from models.training_settings import Batch
from models.training_step import Stepper

CONTRASTED = replace(SETTINGS, contrastive_weight=0.5)
CUT = replace(CONTRASTED, gradient_surgery=True)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def few_points(monkeypatch: pytest.MonkeyPatch) -> None:
    """So few that it matters which are drawn."""
    monkeypatch.setattr("models.training_loss.contrast", partial(contrast, points=12))


def test_training_brings_features_of_one_class_together(tmp_path: Path) -> None:
    settings = replace(CONTRASTED, contrastive_weight=5.0, steps_per_epoch=8, learning_rate=1e-2)
    _, result = train(tmp_path, settings, batches=lambda _: pair(0), config=WITH_READ_OUT)
    assert result.history[2].contrastive < result.history[1].contrastive - 0.05
    assert result.notes == ()


@pytest.mark.usefixtures("few_points")
@pytest.mark.parametrize("settings", [CONTRASTED, CUT], ids=["plain", "surgery"])
def test_an_interrupted_training_goes_on_to_the_same_weights_bit_for_bit(tmp_path: Path, settings) -> None:  # type: ignore[no-untyped-def]
    def stopping(number: int) -> Batch:
        if number == 4:  # in the second epoch
            raise KeyboardInterrupt
        return pair(number)

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "a", settings, stopping, config=WITH_READ_OUT)
    _, gone_on = train(tmp_path / "a", settings, config=WITH_READ_OUT)
    _, at_once = train(tmp_path / "b", settings, config=WITH_READ_OUT)
    assert gone_on.digest == at_once.digest
    assert [row.contrastive for row in gone_on.history[1:]] == [row.contrastive for row in at_once.history[1:]]


@pytest.mark.usefixtures("few_points")
def test_points_are_drawn_anew_at_each_step(tmp_path: Path) -> None:
    """The same pair, a step too small to change anything: only the draw differs."""
    settings = replace(CONTRASTED, steps_per_epoch=1, learning_rate=1e-12)
    _, result = train(tmp_path, settings, batches=lambda _: pair(0), config=WITH_READ_OUT)
    assert result.history[1].contrastive != pytest.approx(result.history[2].contrastive, abs=1e-6)


def test_the_loss_that_selects_has_no_contrast_in_it(tmp_path: Path) -> None:
    settings = replace(CONTRASTED, contrastive_weight=10.0, selection="training-loss")
    _, result = train(tmp_path, settings, config=WITH_READ_OUT)
    for row in result.history[1:]:
        assert row.loss == pytest.approx(-row.dice + 0.1 * row.smoothness, abs=1e-6)
        assert row.contrastive > 0.5
    assert result.best_epoch == min(result.history[1:], key=lambda row: row.loss).epoch


def test_a_network_without_a_read_out_is_trained_without_contrast_and_a_note_says_so(tmp_path: Path) -> None:
    _, contrasted = train(tmp_path / "a", CUT)
    _, plain = train(tmp_path / "b")
    assert contrasted.digest == plain.digest
    assert contrasted.notes == ("no contrastive loss: this network has no read-out",)
    assert all(math.isnan(row.contrastive) for row in contrasted.history)


def test_a_class_that_one_image_lacks_is_counted_and_noted(tmp_path: Path) -> None:
    def lacking(number: int) -> Batch:
        batch = pair(number)
        return replace(batch, fixed_labels=batch.fixed_labels.clamp(max=1))

    _, result = train(tmp_path, CONTRASTED, lacking, config=WITH_READ_OUT)
    assert [row.left_out for row in result.history[1:]] == [1, 1]
    assert result.notes == ("contrastive loss: 1.00 classes a step were in one image only, and left out of it",)
    assert math.isfinite(result.history[2].contrastive)


def test_validation_has_no_contrast(tmp_path: Path) -> None:
    _, result = train(tmp_path, CONTRASTED, config=WITH_READ_OUT, validation=VALIDATION)
    assert math.isnan(result.history[0].contrastive)


@pytest.mark.parametrize("settings", [CONTRASTED, CUT], ids=["plain", "surgery"])
def test_a_step_takes_the_gradient_that_one_computes_term_by_term(settings) -> None:  # type: ignore[no-untyped-def]
    by_hand, batch = network(WITH_READ_OUT), pair(0)
    stepper = Stepper(stepped := network(WITH_READ_OUT), settings, "cpu")
    out = by_hand(batch.moving, batch.fixed, embed=True)
    moving, fixed = one_hot(batch.moving_labels, (1, 2)), one_hot(batch.fixed_labels, (1, 2))
    dice = dice_loss(warp(moving, out.displacement), fixed)
    registration = dice + 0.1 * smoothness_loss(out.velocity, 2)
    contrastive = 0.5 * contrastive_loss(*out.embedding, moving, fixed)
    parts = [
        torch.autograd.grad(loss, list(by_hand.parameters()), retain_graph=True, allow_unused=True, materialize_grads=True)
        for loss in (registration, contrastive)
    ]
    assert stepper.step(0, batch, done=0.0) is not None
    conflicts = 0
    for parameter, first, second in zip(stepped.parameters(), *parts, strict=True):
        conflicts += bool((first * second).sum() < 0)
        expected = first + (without_conflict(second, first) if settings is CUT else second)
        torch.testing.assert_close(parameter.grad, expected, rtol=1e-3, atol=1e-9)
    assert conflicts > 0
