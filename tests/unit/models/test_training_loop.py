"""The training loop: it learns, repeats itself, goes on where it was, and does not swallow what is not finite."""

import csv
import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import small_training
import torch
from small_training import CONFIG, SETTINGS, VALIDATION, network, pair, train

from models import checkpoint
from models.training import HISTORY, LAST, WEIGHTS, fit
from models.training_loss import Terms, losses
from models.training_settings import Batch, Progress
from models.training_step import Stepper


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def test_training_raises_the_overlap(tmp_path: Path) -> None:
    settings = replace(SETTINGS, epochs=2, steps_per_epoch=15)
    _, result = train(tmp_path, settings, batches=lambda _: pair(0), validation=[pair(0)])
    first, last = result.history[0], result.history[-1]
    assert last.validation_dice > first.validation_dice + 0.1
    assert last.loss < result.history[1].loss
    assert result.alarm == ""


def test_the_same_seed_gives_the_same_weights_bit_for_bit(tmp_path: Path) -> None:
    _, first = train(tmp_path / "a")
    _, second = train(tmp_path / "b")
    assert first.digest == second.digest
    assert (tmp_path / "a" / WEIGHTS).read_bytes() == (tmp_path / "b" / WEIGHTS).read_bytes()


def test_an_interrupted_training_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    def stopping(number: int) -> Batch:
        if number == 4:  # in the second epoch
            raise KeyboardInterrupt
        return pair(number)

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "a", batches=stopping)
    _, gone_on = train(tmp_path / "a")
    _, at_once = train(tmp_path / "b")
    assert gone_on.digest == at_once.digest
    assert [row.loss for row in gone_on.history[1:]] == [row.loss for row in at_once.history[1:]]


@pytest.mark.parametrize("writes", [2, 4, 5])  # the first is of the untrained row, then three an epoch
def test_a_training_killed_between_two_writes_keeps_the_weights_its_history_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    """Even where it computes something else the second time, as on a GPU: here no step is taken any more."""
    write_whole = checkpoint.write_whole
    left, slow = iter(range(writes)), replace(SETTINGS, learning_rate=3e-4)  # so slow that each epoch is better

    def killed(path: Path, content: bytes) -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt
        write_whole(path, content)

    monkeypatch.setattr(checkpoint, "write_whole", killed)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, slow, batches=lambda _: pair(0), validation=[pair(0)])
    monkeypatch.setattr(checkpoint, "write_whole", write_whole)
    bad = replace(pair(0), moving=pair(0).moving * math.nan)
    trained, result = train(tmp_path, slow, batches=lambda _: bad, validation=[pair(0)])
    with torch.no_grad():
        kept = Terms(*losses(trained(pair(0).moving, pair(0).fixed), pair(0), SETTINGS).terms.tolist())
    assert kept.loss == pytest.approx(result.history[result.best_epoch].validation_loss, abs=1e-6)
    assert checkpoint.read(tmp_path / WEIGHTS)[1]["digest"] == result.digest


def test_a_finished_training_is_not_repeated(tmp_path: Path) -> None:
    _, first = train(tmp_path)

    def none_wanted(number: int) -> Batch:
        raise AssertionError(number)

    _, second = train(tmp_path, batches=none_wanted)
    assert second.digest == first.digest


def test_a_folder_with_another_training_is_refused(tmp_path: Path) -> None:
    train(tmp_path)
    with pytest.raises(ValueError, match="made with learning_rate 0.001, expected 0.01"):
        train(tmp_path, replace(SETTINGS, learning_rate=0.01))


def test_a_damaged_state_is_refused(tmp_path: Path) -> None:
    train(tmp_path)
    (tmp_path / LAST).write_bytes((tmp_path / LAST).read_bytes()[:-1])
    with pytest.raises(ValueError, match="cut off"):
        train(tmp_path)


def test_a_batch_that_is_not_finite_is_skipped_and_counted(tmp_path: Path) -> None:
    def one_bad(number: int) -> Batch:
        batch = pair(number)
        return replace(batch, moving=batch.moving * math.nan) if number == 1 else batch

    trained, result = train(tmp_path, batches=one_bad)
    assert [row.skipped for row in result.history] == [0, 1, 0]
    assert all(torch.isfinite(p).all() for p in trained.parameters())
    assert math.isfinite(result.history[1].loss)


def test_too_many_bad_batches_in_a_row_stop_it(tmp_path: Path) -> None:
    def all_bad(number: int) -> Batch:
        batch = pair(number)
        return replace(batch, fixed=batch.fixed * math.inf, name=f"ball {number}")

    with pytest.raises(
        FloatingPointError, match=r"3 steps in a row .* batches 0 \(ball 0\), 1 \(ball 1\), 2 \(ball 2\); train"
    ):
        train(tmp_path, replace(SETTINGS, most_skipped_in_a_row=3), batches=all_bad)


def test_a_long_gradient_is_shortened_and_keeps_its_direction() -> None:
    def gradient(limit: float) -> torch.Tensor:
        torch.manual_seed(0)
        stepper = Stepper(network(), replace(SETTINGS, gradient_norm_limit=limit), "cpu")
        stepper.step(0, pair(0), done=0.0)
        return torch.cat([p.grad.flatten() for p in stepper._network.parameters() if p.grad is not None])

    whole = gradient(0.0)
    torch.testing.assert_close(gradient(0.1 * float(whole.norm())), 0.1 * whole, rtol=1e-4, atol=1e-9)
    torch.testing.assert_close(gradient(10 * float(whole.norm())), whole)


def test_the_kept_weights_are_the_best_epochs(tmp_path: Path) -> None:
    trained, result = train(tmp_path, replace(SETTINGS, epochs=3, learning_rate=0.05))
    trained_rows = result.history[1:]
    best = max(trained_rows, key=lambda row: row.validation_dice)
    assert result.best_epoch == best.epoch
    assert checkpoint.digest_of(trained.state_dict()) == result.digest


def test_selection_by_training_loss_needs_no_validation(tmp_path: Path) -> None:
    _, result = train(tmp_path, replace(SETTINGS, selection="training-loss"), validation=())
    assert result.best_epoch == min(result.history[1:], key=lambda row: row.loss).epoch
    assert math.isnan(result.history[1].validation_dice)


def test_a_network_that_moves_nothing_raises_the_alarm(tmp_path: Path) -> None:
    _, result = train(tmp_path, replace(SETTINGS, epochs=1, learning_rate=1e-9))
    assert result.alarm.startswith("did not learn: no voxel moves by half its size (0.000")


def test_a_network_that_gets_no_better_raises_the_alarm(tmp_path: Path) -> None:
    _, result = train(tmp_path, replace(SETTINGS, epochs=1, steps_per_epoch=4, learning_rate=0.5))
    assert "validation Dice" in result.alarm


def test_the_history_is_a_table(tmp_path: Path) -> None:
    _, result = train(tmp_path)
    rows = list(csv.DictReader((tmp_path / HISTORY).read_text().splitlines()))
    assert [row["epoch"] for row in rows] == ["0", "1", "2"]
    assert float(rows[2]["validation_loss"]) == result.history[2].validation_loss


def test_progress_is_told_of_every_step(tmp_path: Path) -> None:
    told: list[Progress] = []
    train(tmp_path, progress=told.append)
    assert [(now.epoch, now.step) for now in told] == [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (2, 3)]
    assert all(now.epochs == 2 and now.steps == 3 and now.loss < 0 for now in told)


def test_mixed_precision_trains_in_the_same_process(tmp_path: Path) -> None:
    _, single = train(tmp_path / "a")
    _, mixed = train(tmp_path / "b", replace(SETTINGS, precision="bf16"))
    assert mixed.digest != single.digest
    assert mixed.history[2].loss == pytest.approx(single.history[2].loss, abs=0.05)


TWO_PROCESSES = """
import json, os, pathlib, sys
from dataclasses import replace
from models import checkpoint
from models.training import fit
from small_training import SETTINGS, VALIDATION, WITH_READ_OUT, network, pair

folder, surgery = pathlib.Path(sys.argv[1]), sys.argv[2] == "with surgery"
settings = replace(SETTINGS, contrastive_weight=0.5 * surgery, gradient_surgery=surgery)
written, write_whole = [], checkpoint.write_whole

def noted(path, content):
    written.append(path.name)
    write_whole(path, content)

checkpoint.write_whole = noted

def batches(number):
    batch = pair(number)
    return replace(batch, moving=batch.moving * float("nan")) if number == 3 else batch  # the second process's second

def stopping(number):
    if number >= 6:  # in the second epoch
        raise InterruptedError
    return batches(number)

def trained(name, batches=batches):
    mine, seen = network(WITH_READ_OUT), []

    class Watched(list):
        def __iter__(self):  # before each validation
            seen.append(checkpoint.digest_of(mine.state_dict()))
            return super().__iter__()

    return fit(mine, batches, settings, folder / name, config=WITH_READ_OUT, validation=Watched(VALIDATION), device="cpu"), seen

result, seen = trained("at once")
try:
    trained("stopped", stopping)
except InterruptedError:
    gone_on, _ = trained("stopped")
row = result.history[1]
report = {"main": result.is_main_process, "writes": len(written), "digest": result.digest, "weights after each epoch": seen}
report |= {"gone on": gone_on.digest, "loss": row.loss, "skipped": row.skipped, "contrastive": str(row.contrastive)}
(folder / f"{os.environ['RANK']}.json").write_text(json.dumps(report))
"""


@pytest.mark.parametrize("surgery", ["without surgery", "with surgery"])
def test_two_processes_train_as_one(tmp_path: Path, surgery: str) -> None:
    """Without the contrastive loss, too, though then no gradient reaches the read-out."""
    script = tmp_path / "two.py"
    script.write_text(TWO_PROCESSES)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    tests = Path(small_training.__file__).parent
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tests), str(tests.parent)])}
    subprocess.run([*launch, script, tmp_path, surgery], check=True, capture_output=True, timeout=120, env=environment)
    first, second = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1))
    assert (first.pop("main"), second.pop("main")) == (True, False)
    assert first.pop("writes") > 0
    assert second.pop("writes") == 0
    assert first == second
    assert len(set(first["weights after each epoch"])) == 3
    assert first["gone on"] == first["digest"]
    assert first["skipped"] == 1
    assert math.isnan(float(first["contrastive"])) == (surgery == "without surgery")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": 0}, "epochs above 0"),
        ({"labels": ()}, "at least one label"),
        ({"learning_rate": -1.0}, "learning_rate"),
        ({"contrastive_weight": -0.1}, "contrastive_weight of 0 or more"),
        ({"gradient_surgery": True}, "surgery needs a contrastive loss"),
    ],
)
def test_settings_that_cannot_be_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(SETTINGS, **change)  # type: ignore[arg-type]


def test_selection_by_validation_without_pairs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="without validation pairs"):
        train(tmp_path, validation=())


def test_half_precision_on_a_cpu_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="fp16 needs a GPU"):
        train(tmp_path, replace(SETTINGS, precision="fp16"))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="torch sees no GPU"):
        fit(network(), pair, SETTINGS, tmp_path, config=CONFIG, validation=VALIDATION, device="cuda")


def test_a_field_that_is_known_is_what_is_learned(tmp_path: Path) -> None:
    """All of an image is shifted by one voxel along one axis; the labels say nothing."""
    image, shift = (
        torch.rand(1, 1, *pair(0).moving.shape[2:], generator=torch.Generator().manual_seed(0)),
        torch.zeros(1, 3, 1, 1, 1),
    )
    shift[:, 1] = 1.0
    known = shift.expand(1, 3, *image.shape[2:])
    inside = torch.ones_like(pair(0).fixed_labels)
    batch = Batch(image, torch.roll(image, -1, 3), inside, inside, displacement=known)
    trained, _ = train(tmp_path, replace(SETTINGS, epochs=1, steps_per_epoch=40), batches=lambda _: batch, validation=[pair(0)])
    with torch.no_grad():
        found = trained(batch.moving, batch.fixed).displacement
    assert float((found - known).square().sum(dim=1).mean()) < 0.3  # 1 untrained
