import csv
import io
import json
import math
import subprocess
import sys
from dataclasses import replace

import pytest
from hand_made_runs import RECORD, asking, row, run_folder

from benchmark import record
from benchmark.record import Failure
from benchmark.tables import kinds, render
from srreg.errors import DataError, UsageError


def table(out, *rows, name="1", records=None):
    """A table of rows and records; without records, of a run that was asked for just these rows."""
    return kinds.build(run_folder(out, *rows, records=records), name)


def cells(built):
    """First name -> the cells of Dice, by row."""
    return {shown.names[0]: shown.cells[0] for shown in built.rows}


def test_a_cell_is_the_mean_and_the_populations_deviation_over_pairs(tmp_path):
    summary = cells(table(tmp_path, row(pair="a", value=50.0), row(pair="b", value=60.0)))["Affine initialization"]
    assert (summary.value, summary.spread) == (55, 5)


def test_pairs_of_another_protocol_are_left_out(tmp_path):
    summary = cells(table(tmp_path, row(pair="a"), row(pair="b"), row(pair="other", value=0.0)))["Affine initialization"]
    assert summary.value == 50


def test_times_and_load_are_told_below(tmp_path):
    seconds = [row(pair=pair, metric="seconds", value=value) for pair, value in zip("ab", (1.0, 3.0), strict=True)]
    loads = [row(pair=pair, metric="load", value=value) for pair, value in zip("ab", (0.25, 2.75), strict=True)]
    notes = " ".join(table(tmp_path, *seconds, *loads).notes)
    assert "Time, median [quartiles]: Affine initialization 2 [1.5, 2.5]." in notes
    assert "Load of the machine meanwhile (processes at work, these included; mean of a minute): 0.2 to 2.8." in notes
    assert "Load" not in " ".join(table(tmp_path / "before", *seconds).notes)


def test_structures_are_not_averaged_again(tmp_path):
    summary = cells(table(tmp_path, row(), row(region="Thalamus", value=0.0)))["Affine initialization"]
    assert summary.value == 50


def test_seeds_are_averaged_pair_by_pair(tmp_path):
    rows = [row("voxelmorph", pair, seed=seed, value=value) for pair, seed, value in _TWO_SEEDS]
    built = table(tmp_path, *rows)
    summary = cells(built)["VoxelMorph"]
    assert (summary.value, summary.spread) == (60, 10)
    assert built.rows[-1].notes == ("each pair is the mean of 2 trainings, whose Dice is 55.00 (seed 0), 65.00 (seed 1)",)


_TWO_SEEDS = [("a", 0, 40.0), ("a", 1, 60.0), ("b", 0, 70.0), ("b", 1, 70.0)]


def voxelmorph(seed=0, weights="new", value=70.0):
    """Its rows for both pairs."""
    return [row("voxelmorph", pair, seed=seed, weights=weights, value=value) for pair in "ab"]


OLDER = "20250101T000000.000000Z"


def test_the_weights_of_the_last_run_count_whichever_rows_came_last(tmp_path):
    records = [asking(("voxelmorph", 0, "new"), id=OLDER), asking(("voxelmorph", 0, "old"))]
    built = table(tmp_path, *voxelmorph(weights="old", value=1.0), *voxelmorph(), records=records)
    assert cells(built)["VoxelMorph"].value == 1


def test_seeds_of_an_earlier_run_are_not_averaged_in(tmp_path):
    records = [asking(("voxelmorph", 0, "first"), id=OLDER), asking(("voxelmorph", 1, "second"))]
    built = table(tmp_path, *voxelmorph(0, "first", 10.0), *voxelmorph(1, "second", 30.0), records=records)
    assert cells(built)["VoxelMorph"].value == 30
    assert built.rows[0].notes == ()


def test_a_method_that_only_an_earlier_run_was_asked_for_keeps_its_row(tmp_path):
    records = [asking(("initial", 0, ""), id=OLDER), asking(("syn", 0, ""))]
    built = table(tmp_path, row(), row(pair="b"), row("syn"), row("syn", "b"), records=records)
    assert list(cells(built)) == ["Affine initialization", "ANTs SyN"]
    assert [shown.notes for shown in built.rows] == [(), ()]


def test_an_interrupted_seed_is_said(tmp_path):
    record_ = asking(("voxelmorph", 0, "new"), ("voxelmorph", 3, "three"))
    built = table(tmp_path, *voxelmorph(), row("voxelmorph", "a", seed=3, weights="three"), records=[record_])
    assert built.rows[0].notes == ("3 of 4 registrations", "each pair is the mean of up to 2 trainings")


def test_a_seed_that_was_not_trained_yet_is_missing(tmp_path):
    record_ = asking(("voxelmorph", 0, "new"), ("voxelmorph", 1, None))
    assert table(tmp_path, *voxelmorph(), records=[record_]).rows[0].notes[0] == "2 of 4 registrations"


def test_a_pair_without_a_number_is_counted_out(tmp_path):
    built = table(tmp_path, row(), row(pair="b"), row(metric="hd95"), row(pair="b", metric="hd95", value=math.nan))
    assert built.rows[0].notes == ("HD95 (mm): 1 of 2 registrations have a number",)


def test_numbers_of_two_versions_are_said(tmp_path):
    records = [
        asking(("initial", 0, ""), id=OLDER, versions={"torch": "2.11", "numpy": "2.3"}, commit="a" * 40),
        asking(("syn", 0, ""), versions={"torch": "2.12", "numpy": "2.3"}, commit="b" * 40),
    ]
    note = f"The numbers were not all measured with the same versions: torch 2.11 and 2.12; commit {'a' * 12} and {'b' * 12}."
    assert note in table(tmp_path, row(run=OLDER), row("syn"), records=records).notes


def test_versions_of_rows_that_are_not_shown_are_not_said(tmp_path):
    records = [asking(("initial", 0, ""), id=OLDER, commit="a"), asking(("initial", 0, ""), ("syn", 0, ""), commit="b")]
    assert "versions" not in render.markdown(table(tmp_path, row(), row("syn"), records=records))


def test_memory_is_the_largest_of_any_pair(tmp_path):
    built = table(tmp_path, row(metric="memory", pair="a", value=1.0), row(metric="memory", pair="b", value=3.0))
    assert (built.rows[0].cells[4].value, built.rows[0].cells[4].spread) == (3, None)


def test_a_skipped_method_has_dashes_and_its_reason(tmp_path):
    skipped = asking(("initial", 0, ""), ("syn", 0, ""), skipped={"syn": "antspyx is missing:\npip install antspyx"})
    built = table(tmp_path, row(pair="a"), row(pair="b"), records=[skipped])
    assert built.rows[1].cells == (None,) * 6
    assert built.rows[1].notes == ("skipped: antspyx is missing: pip install antspyx",)
    assert "| ANTs SyN (a) | — | — | — | — | — | — |" in render.markdown(built)


def test_a_method_with_a_failed_pair_says_how_many_it_has(tmp_path):
    failed = replace(RECORD, failed=(Failure("initial", "b", "out of luck"),))
    built = table(tmp_path, row(pair="a"), records=[failed])
    assert built.rows[0].notes == ("1 of 2 registrations; failed: out of luck",)


def test_a_cell_counts_what_is_missing_of_it(tmp_path):
    rows = [row(), row(pair="b"), row(metric="hd95"), row("syn")]
    text = render.markdown(table(tmp_path, *rows))
    assert "| Affine initialization (a) | 50.00 ± 0.00 | 50.00 ± 0.00 (1/2) | — |" in text
    assert "| ANTs SyN (b) | 50.00 ± 0.00 (1/2) | — |" in text


def test_structures_that_are_missing_are_counted(tmp_path):
    counts = [("a", "structures_lost", 2.0), ("b", "structures_lost", 1.0), ("a", "structures_absent", 1.0)]
    rows = [row(pair=pair, metric=metric, value=value) for pair, metric, value in counts]
    built = table(tmp_path, row(), row(pair="b"), *rows, row(pair="b", metric="structures_absent", value=0.0))
    said = "Structures of all registrations that are in one label map only, and in neither: Affine initialization 3 and 1."
    assert said in built.notes


def test_what_was_skipped_before_and_ran_since_has_no_note(tmp_path):
    before = replace(RECORD, id="20250101T000000.000000Z", skipped={"initial": "not yet"})
    assert table(tmp_path, row(pair="a"), row(pair="b"), records=[before, RECORD]).rows[0].notes == ()


def test_rows_are_in_the_order_of_the_methods(tmp_path):
    built = table(tmp_path, row("voxelmorph"), row("syn"), row("initial"))
    assert list(cells(built)) == ["Affine initialization", "ANTs SyN", "VoxelMorph"]


def test_the_second_table_has_the_networks_of_the_ablation(tmp_path):
    built = table(tmp_path, row("voxelmorph"), row("initial"), name="2")
    assert [shown.names for shown in built.rows] == [("VoxelMorph", "w/o")]
    assert [column.name for column in built.columns] == ["dice", "seconds", "memory", "parameters"]


@pytest.mark.parametrize(("changed", "kind"), [({"device": "NVIDIA X"}, "devices"), ({"dataset": "xyz"}, "data sets")])
def test_numbers_of_two_devices_or_data_sets_do_not_share_a_table(tmp_path, changed, kind):
    with pytest.raises(UsageError, match=f"has numbers of 2 {kind} .*which do not share a table"):
        table(tmp_path, row(), row(**changed))


def test_numbers_of_two_versions_of_the_protocol_do_not_share_a_table(tmp_path):
    records = [asking(("initial", 0, ""), id=OLDER), asking(("syn", 0, ""), settings={"protocol_version": 2})]
    with pytest.raises(UsageError, match=r"has numbers of 2 versions of the protocol \(1; 2\), which do not share a table"):
        table(tmp_path, row(run=OLDER), row("syn"), records=records)


def test_an_unknown_table_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"no table is called '7'\. There are: 1, 2, metrics, structures, statistics"):
        kinds.build(tmp_path, "7")


def test_a_folder_without_results_says_how_to_make_some(tmp_path):
    with pytest.raises(DataError, match="bench run --methods all --out"):
        kinds.build(tmp_path)


def test_simulated_heads_are_said_to_be_simulated(tmp_path):
    simulated = replace(RECORD, dataset=replace(RECORD.dataset, is_simulated=True))
    assert "Simulated heads, not patients." in render.markdown(table(tmp_path, row(), records=[simulated]))


def test_all_pairs_in_place_of_few_are_explained(tmp_path):
    few = replace(RECORD, protocol="all", paper_pairs=1)
    text = render.markdown(table(tmp_path, row(), records=[few]))
    assert "protocol `all`" in text
    assert "The protocol `paper` gives 1 here, fewer than the paper's 10." in text


def test_csv_has_numbers_in_full_and_nothing_where_there_is_none(tmp_path):
    built = table(tmp_path, row(pair="a", value=50.0), row(pair="b", value=50.0 + 1 / 3))
    (line,) = csv.DictReader(io.StringIO(render.csv_text(built)))
    assert line["method"] == "Affine initialization"
    assert float(line["dice_mean"]) == pytest.approx(50 + 1 / 6, abs=1e-6)
    assert (line["hd95_mean"], line["hd95_std"], line["hd95_n"], line["parameters"]) == ("", "", "", "")
    assert line["dice_n"] == "2"


@pytest.mark.parametrize(
    "damage",
    [{"skipped": None}, {"entries": 7}, {"failed": [{}]}, {"paper_pairs": "many"}, {"versions": []}, {"seeds": ["x"]}],
)
def test_a_damaged_record_is_named(tmp_path, damage):
    record.write(tmp_path / "run.json", RECORD)
    content = json.loads((tmp_path / "run.json").read_text())
    content["runs"][RECORD.id] |= damage
    (tmp_path / "run.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match=r"run\.json: is not a record of runs"):
        kinds.build(tmp_path)


def test_a_table_needs_no_torch(tmp_path):
    run_folder(tmp_path, row())
    code = "import sys; from pathlib import Path; from benchmark.page import render_html; "
    code += "from benchmark.tables import kinds, render, render_latex; "
    code += f"print(render_html.html(kinds.build(Path({str(tmp_path)!r})))); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
