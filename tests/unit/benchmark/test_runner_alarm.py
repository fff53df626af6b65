"""A network that did not learn: its numbers are made, the run has a failure, and the table says so."""

import pytest
from made_up_methods import MadeUp, run

from benchmark.tables import kinds, render
from benchmark.training.record import RECORD
from srreg.files import write_json

STILL = "did not learn: no voxel moves by half its size (0.0003 voxels at most), so no label does"


@pytest.fixture(autouse=True)
def training(monkeypatch, tmp_path):
    """A training that leaves weights, and a record with an alarm for seed 0 alone."""
    from benchmark.training import trainer

    def train(method, dataset, out, profile, *, seed, **others):
        weights = tmp_path / f"seed{seed}" / "weights.safetensors"
        write_json(weights.parent / RECORD, {"alarm": "" if seed else STILL})
        weights.write_text(f"weights {seed}")
        return weights

    monkeypatch.setattr(trainer, "train", train)


def test_its_pairs_are_scored_and_the_run_has_a_failure(dataset, tmp_path):
    report = run(dataset, tmp_path, MadeUp("voxelmorph"), MadeUp("still"))
    assert report.scored == {"voxelmorph": 2, "still": 2}
    assert [(f.method, f.pair, f.reason) for f in report.record.failed] == [
        ("voxelmorph", "", f"training with seed 0: {STILL}")
    ]


def test_the_table_says_so_beside_its_numbers(dataset, tmp_path):
    run(dataset, tmp_path, MadeUp("voxelmorph"), MadeUp("initial"))
    initial, voxelmorph = kinds.build(tmp_path).rows
    assert (initial.notes, voxelmorph.notes) == ((), (f"training with seed 0: {STILL}",))
    assert None not in voxelmorph.cells[:3]
    assert STILL in render.markdown(kinds.build(tmp_path))


def test_a_second_run_says_it_again_and_writes_nothing(dataset, tmp_path):
    first = run(dataset, tmp_path, MadeUp("voxelmorph"))
    before = (tmp_path / "run.json").read_bytes()
    second = run(dataset, tmp_path, MadeUp("voxelmorph"))
    assert second.record.failed == first.record.failed
    assert second.scored == {}
    assert (tmp_path / "run.json").read_bytes() == before


def test_another_seed_that_learned_has_no_part_in_it(dataset, tmp_path):
    report = run(dataset, tmp_path, MadeUp("voxelmorph"), seeds=(0, 1))
    assert [f.reason for f in report.record.failed] == [f"training with seed 0: {STILL}"]


def test_a_pair_that_fails_is_said_beside_it(dataset, tmp_path):
    run(dataset, tmp_path, MadeUp("voxelmorph", breaks_at=1))
    (row,) = kinds.build(tmp_path).rows
    assert row.notes == ("1 of 2 registrations; failed: out of luck", f"training with seed 0: {STILL}")


def test_weights_that_are_given_are_not_asked_how_they_were_trained(dataset, tmp_path):
    (tmp_path / "mine").write_text("mine")
    assert run(dataset, tmp_path, MadeUp("voxelmorph"), weights={"voxelmorph": tmp_path / "mine"}).record.failed == ()
