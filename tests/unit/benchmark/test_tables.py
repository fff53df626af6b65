import csv
import io
import json
import math
from dataclasses import replace

import pytest

from benchmark import record, render, results, tables
from benchmark.record import DatasetRecord, Entry, Failure, RunRecord
from benchmark.results import Row
from srreg.errors import DataError, UsageError

RECORD = RunRecord(
    id="20260101T000000.000000Z",
    methods=("initial",),
    seeds=(0,),
    entries=(Entry("initial", 0, ""),),
    protocol="paper",
    pairs=("a", "b"),
    paper_pairs=2,
    device="cpu",
    settings={},
    dataset=DatasetRecord("abc", "SR-Reg", False, 4, 2, "12x14x16 at 1 x 1 x 1 mm"),
    versions={},
    commit=None,
)


def row(method="initial", pair="a", metric="dice", value=50.0, **others):
    return replace(Row(RECORD.id, method, 0, "", pair, metric, "", value, "cpu", "abc"), **others)


def asking(*entries, **others):
    """The record of a run that was asked for these."""
    entries = tuple(Entry(*entry) for entry in entries)
    return replace(RECORD, methods=tuple(dict.fromkeys(e.method for e in entries)), entries=entries, **others)


def table(out, *rows, name="1", records=None):
    """A table of rows and records; without records, of a run that was asked for just these rows."""
    for made in records or [asking(*dict.fromkeys((row.method, row.seed, row.weights) for row in rows))]:
        record.write(out / "run.json", made)
    results.append(out / "results.csv", rows)
    return tables.build(out, name)


def cells(built):
    """First name -> the cells of Dice, by row."""
    return {shown.names[0]: shown.cells[0] for shown in built.rows}


def test_a_cell_is_the_mean_and_the_populations_deviation_over_pairs(tmp_path):
    summary = cells(table(tmp_path, row(pair="a", value=50.0), row(pair="b", value=60.0)))["Affine initialization"]
    assert (summary.value, summary.spread) == (55, 5)


def test_pairs_of_another_protocol_are_left_out(tmp_path):
    summary = cells(table(tmp_path, row(pair="a"), row(pair="b"), row(pair="other", value=0.0)))["Affine initialization"]
    assert summary.value == 50


def test_structures_are_not_averaged_again(tmp_path):
    summary = cells(table(tmp_path, row(), row(region="Thalamus", value=0.0)))["Affine initialization"]
    assert summary.value == 50


def test_seeds_are_averaged_pair_by_pair(tmp_path):
    rows = [row("voxelmorph", pair, seed=seed, value=value) for pair, seed, value in _TWO_SEEDS]
    built = table(tmp_path, *rows)
    summary = cells(built)["VoxelMorph"]
    assert (summary.value, summary.spread) == (60, 10)
    assert built.rows[-1].notes == ("each pair is the mean of 2 trainings",)


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


def test_what_was_skipped_before_and_ran_since_has_no_note(tmp_path):
    before = replace(RECORD, id="20250101T000000.000000Z", skipped={"initial": "not yet"})
    assert table(tmp_path, row(pair="a"), row(pair="b"), records=[before, RECORD]).rows[0].notes == ()


def test_rows_are_in_the_order_of_the_methods(tmp_path):
    built = table(tmp_path, row("voxelmorph"), row("syn"), row("initial"))
    assert list(cells(built)) == ["Affine initialization", "ANTs SyN", "VoxelMorph"]


def test_the_second_table_has_the_networks_of_the_ablation(tmp_path):
    built = table(tmp_path, row("voxelmorph"), row("initial"), name="2")
    assert [shown.names for shown in built.rows] == [("VoxelMorph", "w/o")]
    assert [column.metric for column in built.layout.columns] == ["dice", "seconds", "memory", "parameters"]


@pytest.mark.parametrize(("changed", "kind"), [({"device": "NVIDIA X"}, "devices"), ({"dataset": "xyz"}, "data sets")])
def test_numbers_of_two_devices_or_data_sets_do_not_share_a_table(tmp_path, changed, kind):
    with pytest.raises(UsageError, match=f"has numbers of 2 {kind} .*which do not share a table"):
        table(tmp_path, row(), row(**changed))


def test_an_unknown_table_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"no table is called '7'\. There are: 1, 2"):
        tables.build(tmp_path, "7")


def test_a_folder_without_results_says_how_to_make_some(tmp_path):
    with pytest.raises(DataError, match="bench run --methods all --out"):
        tables.build(tmp_path)


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
    assert (line["hd95_mean"], line["hd95_std"], line["parameters"]) == ("", "", "")


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
        tables.build(tmp_path)
