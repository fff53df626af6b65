"""Whose weights a run takes, and whose numbers a table then shows."""

import pytest
from made_up_methods import MadeUp, run, whole

from benchmark import record, results
from benchmark.method import CannotTrain
from benchmark.metrics import WHOLE
from benchmark.tables import kinds
from srreg.errors import DataError, UsageError


class TestTraining:
    """A method that learns is trained where no weights are given."""

    @pytest.fixture
    def train(self, monkeypatch, tmp_path):
        """A training that writes a file, and remembers its seeds."""
        from benchmark.training import trainer

        def write(method, dataset, out, profile, *, seed, **others):
            seeds.append(seed)
            (tmp_path / f"{seed}.safetensors").write_text(f"weights {seed}")
            return tmp_path / f"{seed}.safetensors"

        seeds = []
        monkeypatch.setattr(trainer, "train", write)
        return seeds

    def test_each_seed_is_trained_and_has_its_rows(self, dataset, tmp_path, train):
        run(dataset, tmp_path, MadeUp("voxelmorph"), MadeUp("still"), seeds=(0, 5))
        rows = results.read(tmp_path / "results.csv")
        assert train == [0, 5]
        assert {(row.method, row.seed) for row in rows} == {("voxelmorph", 0), ("voxelmorph", 5), ("still", 0)}
        assert len({row.weights for row in rows}) == 3

    def test_weights_that_are_given_are_taken(self, dataset, tmp_path, train):
        (tmp_path / "mine").write_text("mine")
        run(dataset, tmp_path, MadeUp("voxelmorph"), weights={"voxelmorph": tmp_path / "mine"}, seeds=(0, 5))
        assert train == []
        assert len(whole(tmp_path)) == 2

    def test_other_weights_are_scored_anew(self, dataset, tmp_path, train):
        for name in ("first", "second"):
            (tmp_path / name).write_text(name)
            run(dataset, tmp_path, MadeUp("voxelmorph"), weights={"voxelmorph": tmp_path / name})
        assert len({row.weights for row in results.read(tmp_path / "results.csv")}) == 2

    def test_what_cannot_be_trained_here_is_skipped(self, dataset, tmp_path, monkeypatch):
        def refuse(*arguments, **others):
            raise CannotTrain("the training split is empty")

        from benchmark.training import trainer

        monkeypatch.setattr(trainer, "train", refuse)
        report = run(dataset, tmp_path, MadeUp("voxelmorph"), MadeUp("still"))
        assert report.record.skipped == {"voxelmorph": "the training split is empty"}
        assert report.scored == {"still": 2}

    def test_a_training_that_breaks_costs_its_method_only(self, dataset, tmp_path, monkeypatch):
        from benchmark.training import trainer

        monkeypatch.setattr(trainer, "train", lambda *arguments, **others: 1 / 0)
        report = run(dataset, tmp_path, MadeUp("voxelmorph"), MadeUp("still"))
        assert [(f.method, f.reason) for f in report.record.failed] == [("voxelmorph", "division by zero")]
        assert report.scored == {"still": 2}

    def test_settings_that_cannot_be_are_refused_before_anything_runs(self, dataset, tmp_path):
        method = MadeUp("still")
        with pytest.raises(UsageError, match="fp16 needs a GPU"):
            run(dataset, tmp_path, method, MadeUp("voxelmorph"), precision="fp16")
        assert method.calls == []

    def test_damaged_weights_are_a_failure(self, dataset, tmp_path, monkeypatch):
        def refuse(*arguments, **others):
            raise DataError("weights.safetensors: cut off")

        from benchmark.training import trainer

        monkeypatch.setattr(trainer, "train", refuse)
        report = run(dataset, tmp_path, MadeUp("voxelmorph"))
        assert [f.reason for f in report.record.failed] == ["weights.safetensors: cut off"]
        assert report.record.skipped == {}


class TestTheTable:
    """It shows what the last run that was asked for a method was asked for."""

    @pytest.fixture
    def weights(self, tmp_path):
        for name in ("first", "second"):
            (tmp_path / name).write_text(name)
        return {name: {"voxelmorph": tmp_path / name} for name in ("first", "second")}

    def dice(self, out):
        return [shown.cells[0].value for shown in kinds.build(out).rows]

    def test_shows_the_weights_of_the_last_run_though_their_rows_are_old(self, dataset, tmp_path, weights):
        shifts, shown = {"first": (0, 0, 0), "second": (4, 4, 4)}, []
        for name in ("first", "second", "first"):
            run(dataset, tmp_path, MadeUp("voxelmorph", shift=shifts[name]), weights=weights[name])
            shown += self.dice(tmp_path)
        assert shown[0] == shown[2] != shown[1]
        assert len(record.read(tmp_path / "run.json")) == 3

    def test_never_averages_given_weights_with_a_training(self, dataset, tmp_path, weights, monkeypatch):
        from benchmark.training import trainer

        monkeypatch.setattr(trainer, "train", lambda *_, **__: tmp_path / "second")
        run(dataset, tmp_path, MadeUp("voxelmorph", shift=(4, 4, 4)), seeds=(1,))
        run(dataset, tmp_path, MadeUp("voxelmorph"), weights=weights["first"])
        assert self.dice(tmp_path) == [pytest.approx(sum(whole_of(tmp_path, 0)) / 2)]
        assert kinds.build(tmp_path).rows[0].notes == ()

    def test_shows_each_method_of_two_runs(self, dataset, tmp_path):
        run(dataset, tmp_path, MadeUp("initial"))
        run(dataset, tmp_path, MadeUp("syn", shift=(4, 4, 4)))
        assert len(self.dice(tmp_path)) == 2


def whole_of(out, seed):
    rows = results.read(out / "results.csv")
    return [row.value for row in rows if (row.metric, row.region, row.seed) == ("dice", WHOLE, seed)]
