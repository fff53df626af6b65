"""Training on a data set's own splits: what is kept, what is refused."""

import csv
import errno
import json
import math
import re
from pathlib import Path

import pytest
import torch
from phantom import write_dataset

from benchmark.method import CannotTrain
from benchmark.training import trainer
from benchmark.training.profiles import PROFILES, Profile, profile_named
from benchmark.training.record import alarm_of
from models.training_settings import Progress
from srreg.dataset import Dataset
from srreg.errors import DataError, NoRoom, SrregError, UnknownName, UsageError
from srreg.files import write_text

pytestmark = pytest.mark.usefixtures("tiny")


def record_of(weights: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((weights.parent / "training.json").read_text())
    return found


def test_training_leaves_weights_history_and_record(eight: Dataset, tmp_path: Path) -> None:
    weights = trainer.train("voxelmorph", eight, tmp_path, "tiny", seed=2)
    assert weights == tmp_path / "weights" / "voxelmorph" / "seed2" / "weights.safetensors"
    assert len((weights.parent / "training.csv").read_text().splitlines()) == 4
    record = record_of(weights)
    assert record["status"] == "finished"
    assert record["dataset"] == {"digest": eight.digest}
    assert record["settings"]["seed"] == 2  # type: ignore[index]
    assert record["config"]["module.encoder"] == [16, 16, 16, 16]  # type: ignore[index]


def test_a_network_with_a_read_out_is_trained_with_contrast(eight: Dataset, tmp_path: Path) -> None:
    weights = trainer.train("voxelmorph-features", eight, tmp_path, "tiny-contrast", gradient_surgery=True)
    rows = list(csv.DictReader((weights.parent / "training.csv").read_text().splitlines()))
    assert all(float(row["contrastive"]) > math.log(2) for row in rows[1:])
    settings = record_of(weights)["settings"]
    assert (settings["contrastive_weight"], settings["gradient_surgery"]) == (0.5, True)  # type: ignore[index]


def test_the_record_says_where_there_was_no_contrast(eight: Dataset, tmp_path: Path) -> None:
    weights = trainer.train("voxelmorph", eight, tmp_path, "tiny-contrast")
    assert record_of(weights)["notes"] == ["no contrastive loss: this network has no read-out"]


def test_a_network_that_did_not_learn_has_its_alarm_in_the_record(eight: Dataset, tmp_path: Path) -> None:
    weights = trainer.train("voxelmorph", eight, tmp_path, "tiny", epochs=1)
    assert alarm_of(weights).startswith("did not learn: no voxel moves by half its size")
    assert record_of(weights)["alarm"] == alarm_of(weights)


def test_weights_that_no_training_left_have_no_alarm(tmp_path: Path) -> None:
    assert alarm_of(tmp_path / "weights.safetensors") == ""


def test_a_training_without_surgery_does_not_go_on_with_it(eight: Dataset, tmp_path: Path) -> None:
    trainer.train("voxelmorph-features", eight, tmp_path, "tiny-contrast")
    with pytest.raises(UsageError, match="made with gradient_surgery False, expected True"):
        trainer.train("voxelmorph-features", eight, tmp_path, "tiny-contrast", gradient_surgery=True)


def test_a_finished_training_is_reused(eight: Dataset, tmp_path: Path) -> None:
    told: list[Progress] = []
    weights = trainer.train("voxelmorph", eight, tmp_path, "tiny", progress=told.append)
    before = weights.stat().st_mtime_ns
    assert len(told) == 4
    assert trainer.train("vm", eight, tmp_path, "tiny", progress=told.append) == weights
    assert len(told) == 4
    assert weights.stat().st_mtime_ns == before


def test_an_interrupted_training_goes_on_to_the_same_weights(eight: Dataset, tmp_path: Path) -> None:
    def stop(now: Progress) -> None:
        if now.epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trainer.train("voxelmorph", eight, tmp_path / "a", "tiny", progress=stop)
    told: list[Progress] = []
    gone_on = trainer.train("voxelmorph", eight, tmp_path / "a", "tiny", progress=told.append)
    at_once = trainer.train("voxelmorph", eight, tmp_path / "b", "tiny")
    assert [now.epoch for now in told] == [2, 2]
    assert record_of(gone_on)["weights_digest"] == record_of(at_once)["weights_digest"]


def test_another_training_is_never_overwritten(eight: Dataset, tmp_path: Path) -> None:
    trainer.train("voxelmorph", eight, tmp_path, "tiny")
    with pytest.raises(UsageError, match=r"made with epochs 2, expected 3\. Another training lies there: choose"):
        trainer.train("voxelmorph", eight, tmp_path, "tiny", epochs=3)


def test_damaged_weights_are_refused(eight: Dataset, tmp_path: Path) -> None:
    weights = trainer.train("voxelmorph", eight, tmp_path, "tiny")
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(DataError, match="cut off.*to train again"):
        trainer.train("voxelmorph", eight, tmp_path, "tiny")


def test_an_empty_training_split_is_refused(tmp_path: Path) -> None:
    few = write_dataset(tmp_path / "sr-reg", subjects=5)
    write_text(few.root / "splits" / "train.txt", "# none\n")
    with pytest.raises(CannotTrain, match="5 people are built, and with fewer than 6 all are test"):
        trainer.train("voxelmorph", Dataset.open(few.root), tmp_path, "tiny")


@pytest.mark.parametrize(("member", "message"), [("1BA007", "both in train and in test: 1BA007"), ("1BZ999", "1BZ999")])
def test_a_person_in_two_splits_or_not_built_is_refused(tmp_path: Path, member: str, message: str) -> None:
    edited = write_dataset(tmp_path / "sr-reg", subjects=8, shape=(12, 14, 10))
    write_text(edited.root / "splits" / "train.txt", f"1BA001\n{member}\n")
    with pytest.raises(DataError, match=message):
        trainer.train("voxelmorph", Dataset.open(edited.root), tmp_path / "runs", "tiny")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"precision": "fp16"}, "fp16 needs a GPU"),
        ({"precision": "float32"}, "expected precision fp32, bf16, fp16"),
        ({"epochs": 0}, "epochs above 0"),
        ({"gradient_surgery": True}, "surgery needs a contrastive loss"),
        ({"profile": "quick"}, "no profile is called 'quick'. There are: demo, cpu, reduced, standard, paper"),
    ],
)
def test_settings_that_cannot_be_are_refused(eight: Dataset, tmp_path: Path, change: dict[str, object], message: str) -> None:
    asked = {"profile": "tiny", **change}
    with pytest.raises(UsageError, match=message):
        trainer.train("voxelmorph", eight, tmp_path, **asked)  # type: ignore[arg-type]
    assert not any(tmp_path.iterdir())


def test_a_method_that_learns_nothing_is_refused(eight: Dataset, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="syn cannot be trained"):
        trainer.train("syn", eight, tmp_path, "tiny")


def test_a_training_that_breaks_off_says_so(eight: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise FloatingPointError("20 steps in a row")

    monkeypatch.setattr(trainer, "fit", broken)
    with pytest.raises(SrregError, match="voxelmorph: 20 steps in a row"):
        trainer.train("voxelmorph", eight, tmp_path, "tiny")


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.EFBIG, "File too large"),
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
    ],
)
def test_too_little_room_is_said(eight: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def full(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(trainer, "fit", full)
    with pytest.raises(NoRoom, match="the training of voxelmorph") as caught:
        trainer.train("voxelmorph", eight, tmp_path, "tiny")
    if not isinstance(error, OSError):
        wanted = str(error) or "out of memory"
        assert re.search(f"{re.escape(wanted)}; [0-9.]+ GiB .* free.*--size half.*--precision.*bench plan", str(caught.value))


@pytest.mark.parametrize("error", [OSError(errno.EACCES, "Permission denied"), RuntimeError("shapes differ")])
def test_other_trouble_stays_what_it_is(
    eight: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(trainer, "fit", broken)
    with pytest.raises(type(error)):
        trainer.train("voxelmorph", eight, tmp_path, "tiny")


def test_the_papers_recipe_is_the_papers() -> None:
    assert profile_named("paper") == Profile("paper", 100, 150, 1e-4, "fp16", "training-loss", contrastive_weight=1e-3)


def test_the_recipes_of_all_rows_have_the_papers_contrast() -> None:
    weights = {name: recipe.contrastive_weight for name, recipe in PROFILES.items() if not name.startswith("tiny")}
    assert weights == {"demo": 0.0, "cpu": 0.0, "reduced": 1e-3, "standard": 1e-3, "paper": 1e-3}


def test_an_unknown_profile_is_refused() -> None:
    with pytest.raises(UnknownName, match="standard"):
        profile_named("papers")


def test_a_training_does_not_go_on_with_other_data(eight: Dataset, tmp_path: Path) -> None:
    def stop(now: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trainer.train("voxelmorph", eight, tmp_path / "runs", "tiny", progress=stop)
    others = write_dataset(tmp_path / "sr-reg", subjects=7, shape=(12, 14, 10))
    with pytest.raises(UsageError, match=r"made with digest \w+, expected \w+\. Another training lies there"):
        trainer.train("voxelmorph", others, tmp_path / "runs", "tiny")
