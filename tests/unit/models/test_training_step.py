"""Steps in half precision: what overflows is skipped, and the loss scale falls until nothing does."""

import logging
import math
from dataclasses import replace
from itertools import count

import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from small_training import SETTINGS, WITH_READ_OUT, network, pair

from models import training_step
from models.network import Registration
from models.training_loss import Losses, losses
from models.training_settings import Batch, TrainingSettings
from models.training_step import Stepper

FIRST_SCALE = 2.0**19


@pytest.fixture
def half_precision(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """accelerate's fp16, which it refuses without a GPU, on a CPU, from a loss scale on: the loop's own part is the same."""

    def accelerator(precision: str, device: str) -> Accelerator:
        AcceleratorState._reset_state(reset_partial_state=True)
        made = Accelerator(cpu=True)
        made.native_amp, made.state._mixed_precision = True, "fp16"
        made.scaler = torch.amp.GradScaler("cpu", init_scale=request.param)
        return made

    torch.set_num_threads(1)
    monkeypatch.setattr(training_step, "_accelerator", accelerator)


@pytest.mark.parametrize("half_precision", [FIRST_SCALE], indirect=True)
@pytest.mark.parametrize("surgery", [False, True])
def test_the_loss_scale_falls_until_a_step_is_taken(
    half_precision: None, surgery: bool, caplog: pytest.LogCaptureFixture
) -> None:
    settings = replace(SETTINGS, contrastive_weight=0.5, gradient_surgery=surgery)
    trained = network(WITH_READ_OUT)
    stepper, first = Stepper(trained, settings, "cpu"), [p.detach().clone() for p in trained.parameters()]
    with caplog.at_level(logging.WARNING):
        skipped = next(number for number in count() if stepper.step(number, pair(0), done=0.0) is not None)
    assert skipped > 0
    assert stepper.accelerator.scaler.get_scale() == FIRST_SCALE / 2**skipped
    assert f"batch 0: the gradient is not finite, step skipped; fp16's loss scale is {FIRST_SCALE / 2:g} now" in caplog.text
    assert all(torch.isfinite(p).all() for p in trained.parameters())
    assert not all(torch.equal(p, q) for p, q in zip(trained.parameters(), first, strict=True))


@pytest.mark.parametrize("half_precision", [1.0], indirect=True)
def test_a_step_whose_loss_is_not_finite_is_not_taken_though_its_gradient_is(
    half_precision: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def endless(out: Registration, batch: Batch, settings: TrainingSettings) -> Losses:
        found = losses(out, batch, settings)
        return replace(found, registration=found.registration + math.inf)

    monkeypatch.setattr(training_step, "losses", endless)
    trained = network(WITH_READ_OUT)
    stepper, first = Stepper(trained, SETTINGS, "cpu"), [p.detach().clone() for p in trained.parameters()]
    with caplog.at_level(logging.WARNING):
        assert stepper.step(0, pair(0), done=0.0) is None
    assert all(torch.isfinite(p.grad).all() for p in trained.parameters() if p.grad is not None)
    assert "batch 0: the loss is not finite" in caplog.text
    assert all(torch.equal(p, q) for p, q in zip(trained.parameters(), first, strict=True))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_mixed_precision_on_a_gpu_learns_a_pair(precision: str) -> None:
    settings = replace(SETTINGS, precision=precision, contrastive_weight=1e-3, gradient_surgery=True)  # type: ignore[arg-type]
    stepper = Stepper(network(WITH_READ_OUT).cuda(), settings, "cuda")
    terms = [stepper.step(number, pair(0), done=0.0) for number in range(60)]
    dice = [float(found[1]) for found in terms if found is not None]
    assert dice[-1] > dice[0] + 0.05
