"""Training on a data set's own splits: what is drawn, what is kept, what is refused."""

import csv
import errno
import json
import math
import re
from contextlib import ExitStack
from pathlib import Path

import filelock
import numpy as np
import pytest
import torch
from phantom import write_dataset

from benchmark.hold import held, training_held
from benchmark.method import CannotTrain
from benchmark.network_input import min_max, padded
from benchmark.training import trainer
from benchmark.training.draw import TrainingPairs
from benchmark.training.pairs import SubjectArrays, ValidationPairs
from benchmark.training.profiles import PROFILES, Profile, profile_named
from benchmark.training.record import alarm_of
from models.training_settings import Progress
from srreg.dataset import Dataset
from srreg.errors import DataError, FolderBusy, NoRoom, SrregError, UnknownName, UsageError
from srreg.files import write_text
from srreg.subject import ImageRef


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Eight phantoms on a grid of which no axis is a multiple of 16."""
    return write_dataset(tmp_path_factory.mktemp("sr-reg"), subjects=8, shape=(12, 14, 10))


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two profiles of two epochs of two steps."""
    torch.set_num_threads(1)
    for name, weight in (("tiny", 0.0), ("tiny-contrast", 0.5)):
        recipe = Profile(name, 2, 2, 1e-3, "bf16", "validation-dice", contrastive_weight=weight)
        monkeypatch.setitem(PROFILES, name, recipe)  # type: ignore[arg-type]


def record_of(weights: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((weights.parent / "training.json").read_text())
    return found


def test_training_leaves_weights_history_and_record(dataset: Dataset, tmp_path: Path) -> None:
    weights = trainer.train("voxelmorph", dataset, tmp_path, "tiny", seed=2)
    assert weights == tmp_path / "weights" / "voxelmorph" / "seed2" / "weights.safetensors"
    assert len((weights.parent / "training.csv").read_text().splitlines()) == 4
    record = record_of(weights)
    assert record["status"] == "finished"
    assert record["dataset"] == {"digest": dataset.digest}
    assert record["settings"]["seed"] == 2  # type: ignore[index]
    assert record["config"]["module.encoder"] == [16, 16, 16, 16]  # type: ignore[index]


def test_a_network_with_a_read_out_is_trained_with_contrast(dataset: Dataset, tmp_path: Path) -> None:
    weights = trainer.train("voxelmorph-features", dataset, tmp_path, "tiny-contrast", gradient_surgery=True)
    rows = list(csv.DictReader((weights.parent / "training.csv").read_text().splitlines()))
    assert all(float(row["contrastive"]) > math.log(2) for row in rows[1:])
    settings = record_of(weights)["settings"]
    assert (settings["contrastive_weight"], settings["gradient_surgery"]) == (0.5, True)  # type: ignore[index]


def test_the_record_says_where_there_was_no_contrast(dataset: Dataset, tmp_path: Path) -> None:
    weights = trainer.train("voxelmorph", dataset, tmp_path, "tiny-contrast")
    assert record_of(weights)["notes"] == ["no contrastive loss: this network has no read-out"]


def test_a_network_that_did_not_learn_has_its_alarm_in_the_record(dataset: Dataset, tmp_path: Path) -> None:
    weights = trainer.train("voxelmorph", dataset, tmp_path, "tiny", epochs=1)
    assert alarm_of(weights).startswith("did not learn: no voxel moves by half its size")
    assert record_of(weights)["alarm"] == alarm_of(weights)


def test_weights_that_no_training_left_have_no_alarm(tmp_path: Path) -> None:
    assert alarm_of(tmp_path / "weights.safetensors") == ""


def test_a_training_without_surgery_does_not_go_on_with_it(dataset: Dataset, tmp_path: Path) -> None:
    trainer.train("voxelmorph-features", dataset, tmp_path, "tiny-contrast")
    with pytest.raises(UsageError, match="made with gradient_surgery False, expected True"):
        trainer.train("voxelmorph-features", dataset, tmp_path, "tiny-contrast", gradient_surgery=True)


def test_a_finished_training_is_reused(dataset: Dataset, tmp_path: Path) -> None:
    told: list[Progress] = []
    weights = trainer.train("voxelmorph", dataset, tmp_path, "tiny", progress=told.append)
    before = weights.stat().st_mtime_ns
    assert len(told) == 4
    assert trainer.train("vm", dataset, tmp_path, "tiny", progress=told.append) == weights
    assert len(told) == 4
    assert weights.stat().st_mtime_ns == before


def test_an_interrupted_training_goes_on_to_the_same_weights(dataset: Dataset, tmp_path: Path) -> None:
    def stop(now: Progress) -> None:
        if now.epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trainer.train("voxelmorph", dataset, tmp_path / "a", "tiny", progress=stop)
    told: list[Progress] = []
    gone_on = trainer.train("voxelmorph", dataset, tmp_path / "a", "tiny", progress=told.append)
    at_once = trainer.train("voxelmorph", dataset, tmp_path / "b", "tiny")
    assert [now.epoch for now in told] == [2, 2]
    assert record_of(gone_on)["weights_digest"] == record_of(at_once)["weights_digest"]


def test_another_training_is_never_overwritten(dataset: Dataset, tmp_path: Path) -> None:
    trainer.train("voxelmorph", dataset, tmp_path, "tiny")
    with pytest.raises(UsageError, match=r"made with epochs 2, expected 3\. Another training lies there: choose"):
        trainer.train("voxelmorph", dataset, tmp_path, "tiny", epochs=3)


def test_damaged_weights_are_refused(dataset: Dataset, tmp_path: Path) -> None:
    weights = trainer.train("voxelmorph", dataset, tmp_path, "tiny")
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(DataError, match="cut off.*to train again"):
        trainer.train("voxelmorph", dataset, tmp_path, "tiny")


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
def test_settings_that_cannot_be_are_refused(dataset: Dataset, tmp_path: Path, change: dict[str, object], message: str) -> None:
    asked = {"profile": "tiny", **change}
    with pytest.raises(UsageError, match=message):
        trainer.train("voxelmorph", dataset, tmp_path, **asked)  # type: ignore[arg-type]
    assert not any(tmp_path.iterdir())


def test_a_method_that_learns_nothing_is_refused(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="syn cannot be trained"):
        trainer.train("syn", dataset, tmp_path, "tiny")


def test_a_training_that_breaks_off_says_so(dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise FloatingPointError("20 steps in a row")

    monkeypatch.setattr(trainer, "fit", broken)
    with pytest.raises(SrregError, match="voxelmorph: 20 steps in a row"):
        trainer.train("voxelmorph", dataset, tmp_path, "tiny")


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.EFBIG, "File too large"),
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
    ],
)
def test_too_little_room_is_said(dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def full(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(trainer, "fit", full)
    with pytest.raises(NoRoom, match="the training of voxelmorph") as caught:
        trainer.train("voxelmorph", dataset, tmp_path, "tiny")
    if not isinstance(error, OSError):
        wanted = str(error) or "out of memory"
        assert re.search(f"{re.escape(wanted)}; [0-9.]+ GiB .* free.*--size half.*--precision.*bench plan", str(caught.value))


@pytest.mark.parametrize("error", [OSError(errno.EACCES, "Permission denied"), RuntimeError("shapes differ")])
def test_other_trouble_stays_what_it_is(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(trainer, "fit", broken)
    with pytest.raises(type(error)):
        trainer.train("voxelmorph", dataset, tmp_path, "tiny")


def test_a_training_that_another_process_is_at_is_left_to_it(dataset: Dataset, tmp_path: Path) -> None:
    lock = trainer.weights_file(tmp_path, "voxelmorph", 0).with_name(".lock")
    lock.parent.mkdir(parents=True)
    with filelock.FileLock(lock), pytest.raises(FolderBusy, match="another bench run or train"):
        trainer.train("voxelmorph", dataset, tmp_path, "tiny")


def test_trainings_of_one_run_may_go_on_at_once(dataset: Dataset, tmp_path: Path) -> None:
    busy = [trainer.weights_file(tmp_path, *other).with_name(".lock") for other in (("transmorph", 0), ("voxelmorph", 1))]
    with ExitStack() as others:
        for lock in (tmp_path / ".lock", *busy):
            lock.parent.mkdir(parents=True, exist_ok=True)
            others.enter_context(filelock.FileLock(lock))
        assert trainer.train("voxelmorph", dataset, tmp_path, "tiny").is_file()


def test_a_run_trains_in_the_folder_it_holds(dataset: Dataset, tmp_path: Path) -> None:
    with held(tmp_path):
        assert trainer.train("voxelmorph", dataset, tmp_path, "tiny").is_file()


def test_who_takes_a_folder_clears_what_a_killed_process_left_half_written(tmp_path: Path) -> None:
    seed0, aside = tmp_path / "weights" / "voxelmorph" / "seed0", f".part.9.{'0' * 32}.part"
    seed0.mkdir(parents=True)
    names = (seed0 / aside, tmp_path / f".run.json.9.{'0' * 32}.part", seed0 / "last.safetensors", tmp_path / "my.part")
    for path in names:
        path.touch()
    with held(tmp_path):  # somebody else may be at the training
        assert [path.exists() for path in names] == [True, False, True, True]
    with training_held(seed0):
        assert [path.exists() for path in names] == [False, False, True, True]


def test_of_the_processes_of_one_training_the_first_holds_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    with filelock.FileLock(tmp_path / ".lock"), held(tmp_path), training_held(tmp_path):
        pass


def test_the_papers_recipe_is_the_papers() -> None:
    assert profile_named("paper") == Profile("paper", 100, 150, 1e-4, "fp16", "training-loss", contrastive_weight=1e-3)


def test_the_recipes_of_all_rows_have_the_papers_contrast() -> None:
    weights = {name: recipe.contrastive_weight for name, recipe in PROFILES.items() if not name.startswith("tiny")}
    assert weights == {"demo": 0.0, "cpu": 0.0, "reduced": 1e-3, "standard": 1e-3, "paper": 1e-3}


def test_an_unknown_profile_is_refused() -> None:
    with pytest.raises(UnknownName, match="standard"):
        profile_named("papers")


def test_the_mr_moves_and_the_ct_stays(dataset: Dataset) -> None:
    batch = SubjectArrays(dataset).batch("1BA001", "1BA003")
    inside = (0, 0, slice(12), slice(14), slice(10))
    assert batch.moving.shape == batch.fixed.shape == (1, 1, 16, 16, 16)
    mr, ct = dataset.image(ImageRef("1BA001", "mr")).data, dataset.image(ImageRef("1BA003", "ct")).data
    np.testing.assert_allclose(batch.moving[inside].float(), mr / mr.max(), atol=1e-3)
    np.testing.assert_allclose(batch.fixed[inside].float(), ct / ct.max(), atol=1e-3)
    assert np.array_equal(batch.moving_labels[0, :12, :14, :10], dataset.labels("1BA001").data)
    assert np.array_equal(batch.fixed_labels[0, :12, :14, :10], dataset.labels("1BA003").data)


def test_a_batch_is_named_by_all_its_pairs(dataset: Dataset) -> None:
    pairs = TrainingPairs(SubjectArrays(dataset), ("1BA001",), seed=0, both_ways=True, bend_voxels=1.0)
    assert pairs(0).name == "1BA001-mr_1BA001-ct 1BA001-mr_1BA001-ct"


def test_a_training_does_not_go_on_with_other_data(dataset: Dataset, tmp_path: Path) -> None:
    def stop(now: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trainer.train("voxelmorph", dataset, tmp_path / "runs", "tiny", progress=stop)
    others = write_dataset(tmp_path / "sr-reg", subjects=7, shape=(12, 14, 10))
    with pytest.raises(UsageError, match=r"made with digest \w+, expected \w+\. Another training lies there"):
        trainer.train("voxelmorph", others, tmp_path / "runs", "tiny")


def test_two_subjects_are_drawn_independently(dataset: Dataset) -> None:
    drawn = set()

    class Recorder(SubjectArrays):
        def batch(self, moving: str, fixed: str):  # type: ignore[no-untyped-def]
            drawn.add((moving, fixed))

    pairs = TrainingPairs(Recorder(dataset), ("a", "b"), seed=0)
    for number in range(40):
        pairs(number)
    assert drawn == {("a", "a"), ("a", "b"), ("b", "a"), ("b", "b")}


def test_a_number_always_gives_the_same_pair(dataset: Dataset) -> None:
    arrays = SubjectArrays(dataset)
    first, second = (TrainingPairs(arrays, dataset.split("train"), seed=1)(5) for _ in range(2))
    assert torch.equal(first.moving, second.moving)
    assert torch.equal(first.fixed, second.fixed)


def test_validation_takes_the_pairs_of_the_data_set(dataset: Dataset) -> None:
    validation = ValidationPairs.of(SubjectArrays(dataset), dataset)
    assert [pair.id for pair in validation.pairs] == ["1BA005-mr_1BA006-ct", "1BA006-mr_1BA005-ct"]
    assert len(list(validation)) == 2
    assert len(validation[:1]) == 1


def test_many_validation_pairs_are_thinned_to_ten(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    every = dataset.pairs("val", "all") * 45
    monkeypatch.setattr(Dataset, "pairs", lambda *_: every)
    assert len(ValidationPairs.of(SubjectArrays(dataset), dataset)) == 10


def test_images_are_scaled_by_their_own_extremes() -> None:
    image = np.array([[[-2.0, 0.0, 6.0]]], np.float32)
    assert min_max(image).tolist() == [[[0.0, 0.25, 1.0]]]


def test_a_constant_image_becomes_zero() -> None:
    assert not min_max(np.full((2, 3, 4), 7.0, np.float32)).any()


def test_padding_is_zeros_at_the_end() -> None:
    image = padded(np.ones((16, 17, 5), np.float32))
    assert image.shape == (16, 32, 16)
    assert image[:, :17, :5].all()
    assert not image[:, 17:].any()
    assert not image[..., 5:].any()
