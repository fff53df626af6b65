import json
import logging

import pytest
from made_up_methods import MadeUp, Methods, run, whole

from benchmark import fields, record, results, runner
from benchmark.metrics import METRICS, WHOLE, Metric
from benchmark.run_settings import Progress, RunSettings
from srreg import io

PAIRS = ("1BA005-mr_1BA006-ct", "1BA006-mr_1BA005-ct")


def test_the_initial_alignment_is_scored_end_to_end(dataset, tmp_path):
    report = runner.run(dataset, tmp_path, RunSettings(["initial"]))
    assert report.scored == {"initial": 2}
    dice = whole(tmp_path)
    assert set(dice) == {("initial", pair) for pair in PAIRS}
    assert all(50 < value < 100 for value in dice.values())
    assert set(whole(tmp_path, "folding").values()) == {0.0}


def test_a_second_run_does_nothing(dataset, tmp_path):
    method = MadeUp("still")
    run(dataset, tmp_path, method)
    files = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    report = run(dataset, tmp_path, method)
    assert report.scored == {}
    assert method.calls == ["prepare", "register", "register"]
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == files


@pytest.mark.parametrize("breaks_with", [KeyboardInterrupt, SystemExit])
def test_an_interrupted_run_goes_on_where_it_was(dataset, tmp_path, breaks_with):
    with pytest.raises(breaks_with):
        run(dataset, tmp_path, MadeUp("still", breaks_at=2, breaks_with=breaks_with))
    assert len(whole(tmp_path)) == 1
    again = MadeUp("still")
    report = run(dataset, tmp_path, again)
    assert again.calls == ["prepare", "register"]
    assert report.scored == {"still": 1}
    assert len(whole(tmp_path)) == 2


def test_a_row_that_was_cut_off_is_measured_again(dataset, tmp_path):
    method = MadeUp("still")
    run(dataset, tmp_path, method)
    path = tmp_path / "results.csv"
    expected = whole(tmp_path, "parameters").keys()
    path.write_bytes(path.read_bytes()[:-9])
    run(dataset, tmp_path, method)
    assert whole(tmp_path, "parameters").keys() == expected


def test_a_pair_that_fails_is_named_and_the_others_go_on(dataset, tmp_path):
    report = run(dataset, tmp_path, MadeUp("frail", breaks_at=1), MadeUp("still"))
    assert [(f.method, f.pair, f.reason) for f in report.record.failed] == [("frail", PAIRS[0], "out of luck")]
    assert set(whole(tmp_path)) == {("frail", PAIRS[1]), ("still", PAIRS[0]), ("still", PAIRS[1])}
    assert record.read(tmp_path / "run.json")[-1] == report.record


def test_a_field_on_another_grid_fails(dataset, tmp_path):
    report = run(dataset, tmp_path, MadeUp("small", shape=(8, 8, 8)))
    assert report.record.failed[0].reason.startswith("expected a field on the fixed grid (16x32x48")
    assert whole(tmp_path) == {}


def test_a_method_that_lacks_something_is_skipped_with_its_reason(dataset, tmp_path, caplog):
    lacking = MadeUp("lacking", lacks=("ants is missing: pip install antspyx",))
    with caplog.at_level(logging.INFO):
        report = run(dataset, tmp_path, lacking, MadeUp("still"))
    assert report.record.skipped == {"lacking": "ants is missing: pip install antspyx"}
    assert "lacking: skipped: ants is missing" in caplog.text
    assert lacking.calls == []
    assert report.scored == {"still": 2}


def test_a_method_that_cannot_be_prepared_costs_itself_only(dataset, tmp_path, monkeypatch):
    broken = MadeUp("broken")
    monkeypatch.setattr(broken, "prepare", lambda device: 1 / 0)
    report = run(dataset, tmp_path, broken, MadeUp("still"))
    assert [(f.method, f.pair) for f in report.record.failed] == [("broken", "")]
    assert report.scored == {"still": 2}


def test_a_new_metric_scores_the_fields_that_are_there(dataset, tmp_path, monkeypatch):
    run(dataset, tmp_path, MadeUp("shift", shift=(1, 0, 0)), keep_fields=True)
    shift = Metric("shift", "voxel", "lower", lambda case: {WHOLE: float(case.displacement.data[..., 0].mean())})
    monkeypatch.setattr("benchmark.scoring.METRICS", {**METRICS, "shift": shift})
    again = MadeUp("shift", shift=(9, 9, 9))
    run(dataset, tmp_path, again)
    assert again.calls == []
    assert list(whole(tmp_path, "shift").values()) == pytest.approx([1, 1])


def test_rows_from_before_the_load_was_measured_are_not_registered_again(dataset, tmp_path):
    run(dataset, tmp_path, MadeUp("still"))
    rows = tmp_path / "results.csv"
    rows.write_text("".join(line for line in rows.read_text().splitlines(keepends=True) if ",load," not in line))
    again = MadeUp("still")
    run(dataset, tmp_path, again)
    assert again.calls == []
    assert ",load," not in rows.read_text()


def test_only_the_papers_pairs_keep_their_fields_unless_asked(dataset, tmp_path):
    run(dataset, tmp_path, MadeUp("still"))
    kept = [pair for pair in PAIRS if fields.field_file(tmp_path, "still", 0, pair).is_file()]
    assert kept == [PAIRS[0]]


def test_a_kept_field_is_the_methods_own(dataset, tmp_path):
    run(dataset, tmp_path, MadeUp("shift", shift=(0, 1, -2)), keep_fields=True)
    field = io.read_displacement(fields.field_file(tmp_path, "shift", 0, PAIRS[1]))
    assert field.grid.matches(dataset.grid)
    assert field.data[3, 4, 5] == pytest.approx([0, 1, -2], abs=1e-5)


def test_the_papers_protocol_can_be_asked_for(dataset, tmp_path):
    report = run(dataset, tmp_path, MadeUp("still"), protocol="paper")
    assert report.record.protocol == "paper"
    assert set(whole(tmp_path)) == {("still", PAIRS[0])}


def test_fewer_than_ten_pairs_of_the_paper_are_all_pairs(dataset, tmp_path):
    report = run(dataset, tmp_path, MadeUp("still"))
    assert (report.record.protocol, report.record.pairs, report.record.paper_pairs) == ("all", PAIRS, 1)


def test_the_record_says_with_what_the_numbers_were_made(dataset, tmp_path):
    run(dataset, tmp_path, MadeUp("still"), seeds=(3,))
    (found,) = json.loads((tmp_path / "run.json").read_text())["runs"].values()
    assert found["seeds"] == [3]
    assert found["dataset"]["digest"] == dataset.digest[:12]
    assert found["device"].startswith("CPU: ")
    assert {"python", "torch", "antspyx"} <= set(found["versions"])


def test_progress_is_told_before_and_after_each_pair(dataset, tmp_path):
    told = []
    settings, progress = RunSettings(["still"]), Progress(pairs=lambda *step: told.append(step))
    runner.run(dataset, tmp_path, settings, progress, Methods(MadeUp("still")))
    assert told == [("still", 0, 2), ("still", 1, 2), ("still", 2, 2)]


def test_a_method_that_learns_nothing_is_the_same_with_every_seed(dataset, tmp_path):
    run(dataset, tmp_path, MadeUp("still"))
    assert run(dataset, tmp_path, MadeUp("still"), seeds=(3, 4)).scored == {}


def test_no_row_is_without_the_record_of_its_run(dataset, tmp_path):
    """A process that is killed writes nothing at its end."""
    there = []

    class Watching(MadeUp):
        def register(self, moving, fixed):
            there.extend(record.read(tmp_path / "run.json"))
            return super().register(moving, fixed)

    report = run(dataset, tmp_path, Watching("still"))
    assert [found.id for found in there] == [report.record.id] * 2


def test_every_field_is_kept_when_that_is_asked_for_later(dataset, tmp_path):
    run(dataset, tmp_path, MadeUp("still"))
    assert run(dataset, tmp_path, MadeUp("still"), keep_fields=True).scored == {"still": 1}
    assert all(fields.field_file(tmp_path, "still", 0, pair).is_file() for pair in PAIRS)
    assert run(dataset, tmp_path, MadeUp("still"), keep_fields=True).scored == {}
    assert len(results.read(tmp_path / "results.csv")) == 2 * len(whole_rows(tmp_path, PAIRS[0]))


def whole_rows(out, pair):
    return [row for row in results.read(out / "results.csv") if row.pair == pair]


def test_a_failure_and_its_traceback_are_for_the_log_since_the_command_names_it_at_the_end(dataset, tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        run(dataset, tmp_path, MadeUp("frail", breaks_at=1))
    (told,) = [found for found in caplog.records if "out of luck" in found.message]
    assert told.levelno == logging.INFO
    assert told.exc_info[0] is RuntimeError
