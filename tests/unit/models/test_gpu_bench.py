"""The benchmark for GPUs runs in slices, loses nothing between them and needs no package of the data set's."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import models
from perf.gpu import bench, scoring, training
from perf.gpu.heads import Heads
from perf.gpu.trainings import drawn
from srreg.labels import SCORED

SHAPE = (16, 32, 48)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def heads_file(tmp_path: Path) -> Path:
    """Ten subjects, two of each person: six to train on, two to validate on, two people twice to test."""
    rng, blocks = np.random.default_rng(0), np.array(SCORED, np.uint8)
    labels = np.zeros((14, *SHAPE), np.uint8)
    for head in labels:
        d, h, w = rng.integers(1, 4, 3)
        blocked = blocks.reshape(2, 2, 4).repeat(4, 0).repeat(8, 1).repeat(8, 2)
        head[d : d + 8, h : h + 16, w : w + 32] = blocked
    people = [f"p{k // 2}" for k in range(14)]
    splits = ["train"] * 6 + ["val"] * 4 + ["test"] * 4
    path = tmp_path / "heads.npz"
    np.savez_compressed(
        path, labels=labels, subjects=[f"s{k:02d}" for k in range(14)], people=people, splits=splits, spacing_mm=2.0
    )
    return path


def run(monkeypatch: pytest.MonkeyPatch, heads: Path, out: Path, *more: str) -> None:
    given = ["bench", "--device", "cpu", "--epochs", "2", "--heads", heads, "--out", out / "runs", "--results", out, *more]
    monkeypatch.setattr(sys, "argv", [str(word) for word in given])
    monkeypatch.setattr(models, "names", lambda: ("voxelmorph",))
    monkeypatch.setattr(bench, "_STEPS_PER_EPOCH", 2)
    monkeypatch.setattr("perf.gpu.trainings._MOST_VALIDATED", 1)
    bench.main()


def test_slices_end_where_time_is_up_and_the_next_goes_on(
    monkeypatch: pytest.MonkeyPatch, heads_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(monkeypatch, heads_file, tmp_path, "--seconds", "0")
    assert "run it again" in capsys.readouterr().out
    assert not list(tmp_path.glob("gpu-bench-*.md"))
    run(monkeypatch, heads_file, tmp_path)
    (table,) = tmp_path.glob("gpu-bench-*.md")
    lines = [line.split("|") for line in table.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    assert [line[1].strip() for line in lines[2:]] == ["initial", "voxelmorph"]
    found = json.loads((tmp_path / "runs" / "voxelmorph.json").read_text(encoding="utf-8"))
    assert len(found["rows"]) == 8  # of four test subjects those of different people
    assert all(set(row["dice"]) == {str(label) for label in SCORED} for row in found["rows"])


def test_numbers_of_two_sizes_of_training_do_not_meet(
    monkeypatch: pytest.MonkeyPatch, heads_file: Path, tmp_path: Path
) -> None:
    run(monkeypatch, heads_file, tmp_path, "--seconds", "0")
    with pytest.raises(SystemExit, match="another steps"):
        run(monkeypatch, heads_file, tmp_path, "--epochs", "3")


def test_heads_are_painted_alike_each_time_and_look_like_their_labels(heads_file: Path) -> None:
    heads, again = (Heads.load(heads_file, torch.device("cpu")) for _ in range(2))
    assert torch.equal(heads.mr, again.mr)
    assert torch.equal(heads.ct, again.ct)
    for images in (heads.mr, heads.ct):
        assert (images[heads.labels == 0] == 0).all()
        assert float(images.min()) >= 0
        assert float(images.max()) <= 1
    white, grey = (heads.labels == label for label in (2, 3))
    assert heads.mr[white].float().mean() > heads.mr[grey].float().mean() + 0.1
    assert heads.ct[white].float().mean() < heads.ct[grey].float().mean() - 0.05


def test_training_draws_training_people_alone(heads_file: Path) -> None:
    heads = Heads.load(heads_file, torch.device("cpu"))
    batches = drawn(heads, seed=0, known=1)
    assert batches(0).displacement is not None
    assert batches(1).displacement is None
    assert batches(1).moving.shape == (1, 1, *SHAPE)  # one pair a step, as the recipe has it
    assert torch.equal(batches(1).moving, batches(1).moving)
    assert {heads.people[k] for k in heads.of("train")}.isdisjoint(
        heads.people[k] for pair in heads.pairs("test") for k in pair
    )


def test_scores_are_those_of_the_data_sets_own_metrics(heads_file: Path) -> None:
    from srreg import measure

    heads = Heads.load(heads_file, torch.device("cpu"))
    batch = heads.batch(*heads.pairs("test")[0])
    field = 3 * torch.randn(1, 3, 4, 4, 6, generator=torch.Generator().manual_seed(0))
    field = torch.nn.functional.interpolate(field, SHAPE, mode="trilinear", align_corners=True)
    ours = scoring.dice(torch.zeros_like(field), batch)
    theirs = measure.dice(batch.moving_labels[0].numpy(), batch.fixed_labels[0].numpy(), SCORED)
    assert ours == pytest.approx({str(label): value for label, value in theirs.items()}, nan_ok=True)
    assert scoring.folding_percent(field) == pytest.approx(measure.folding_percent(field[0].permute(1, 2, 3, 0).numpy()))
    assert scoring.folding_percent(field) > 0


def test_the_short_trainings_say_what_they_found(monkeypatch: pytest.MonkeyPatch, heads_file: Path) -> None:
    monkeypatch.setattr(models, "names", lambda: ("voxelmorph",))
    (row,) = training.rows(torch.device("cpu"), 0.1, heads_file)
    assert (row["network"], row["steps"]) == ("voxelmorph", 4)
    assert 0 < row["Dice before"] < 1


def test_nothing_but_what_a_bare_gpu_image_has_is_imported() -> None:
    code = (
        "import sys\n"
        "for name in ('nibabel', 'SimpleITK', 'ants', 'numba', 'matplotlib'): sys.modules[name] = None\n"
        "import perf.gpu.__main__, perf.gpu.bench\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[3])
