from dataclasses import replace

import pytest
from hand_made_runs import RECORD, asking, compared, row, run_folder
from scipy import stats

from benchmark.tables import kinds, render
from benchmark.tables.kinds import Wanted
from srreg.errors import DataError, UsageError

DICE = {
    "initial": [60.0, 60.7, 58.0, 57.5, 63.0, 59.0, 55.0],
    "voxelmorph": [70.1, 70.3, 69.0, 66.0, 64.0, 70.0, 72.0],
    "mambamorph": [71.0, 72.0, 71.5, 70.0, 70.0, 71.1, 73.8],
}


def statistics(out, **wanted):
    """First name -> column -> its number."""
    built = kinds.build(out, "statistics", Wanted(**wanted))
    names = [column.name for column in built.columns]
    return built, {shown.names[0]: dict(zip(names, shown.cells, strict=True)) for shown in built.rows}


def notes_of(built, name):
    return next(shown.notes for shown in built.rows if shown.names[0] == name)


def test_each_method_is_held_against_the_last(tmp_path):
    built, found = statistics(compared(tmp_path, DICE))
    shown = found["VoxelMorph"]
    differences = [a - b for a, b in zip(DICE["voxelmorph"], DICE["mambamorph"], strict=True)]
    assert built.caption == "Statistics of Dice (%): each method less MambaMorph, complete"
    assert shown["pairs"].value == shown["tested"].value == 7
    assert shown["difference"].value == pytest.approx(sum(differences) / 7)
    assert shown["difference_median"].value == pytest.approx(-1.8)
    assert shown["rank_biserial"].value == -1
    assert shown["p"].value == stats.wilcoxon(differences, method="exact").pvalue == 2 / 2**7
    assert shown["p_holm"].value == 2 * 2 / 2**7  # of two tests
    assert [found[name]["rank"].value for name in found] == [3, 2, 1]
    assert "With so many pairs and 2 tests no p (Holm) can be below 0.031." in built.notes


def test_the_reference_is_not_held_against_itself(tmp_path):
    built, found = statistics(compared(tmp_path, DICE))
    assert [cell for name, cell in found["MambaMorph, complete"].items() if name != "rank"] == [None] * 7
    assert notes_of(built, "MambaMorph, complete") == ("the others are compared with it",)


def test_another_reference_is_named_by_any_of_its_names(tmp_path):
    built, found = statistics(compared(tmp_path, DICE), against="vm")
    assert built.caption.endswith("each method less VoxelMorph")
    assert found["MambaMorph, complete"]["rank_biserial"].value == 1


def test_a_reference_without_numbers_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"syn has no numbers of dice to compare with\. These have: initial, voxelmorph, mamb"):
        statistics(compared(tmp_path, DICE), against="syn")


def test_where_low_is_better_the_effect_turns_round(tmp_path):
    numbers = {"initial": [4.0, 4.5, 4.25, 4.75, 5.0, 3.0, 3.9], "syn": [3.0] * 7}
    _, found = statistics(compared(tmp_path, numbers, "hd95"), metric="hd95")
    assert found["Affine initialization"]["rank_biserial"].value == -1
    assert found["Affine initialization"]["difference"].value > 0
    assert [shown["rank"].value for shown in found.values()] == pytest.approx([2 - 0.5 / 7, 1 + 0.5 / 7])


def test_only_pairs_that_both_have_are_compared(tmp_path):
    numbers = DICE | {"voxelmorph": [None, *DICE["voxelmorph"][1:]], "syn": [65.0 + n for n in range(6)] + [None]}
    built, found = statistics(compared(tmp_path, numbers))
    assert [shown["pairs"] and shown["pairs"].value for shown in found.values()] == [7, 6, 6, None]
    assert found["VoxelMorph"]["difference_median"].value == pytest.approx(-2.15)
    assert "Rank: mean over the 5 pairs that every method with numbers has, 1 the best." in built.notes


def test_a_pair_that_one_training_lacks_is_not_compared(tmp_path):
    numbers = compared(tmp_path, DICE)
    entries = [("initial", 0, ""), ("voxelmorph", 0, ""), ("voxelmorph", 1, "more")]
    pairs = tuple(f"{letter}1-mr_{letter}2-ct" for letter in "abcdefg")
    more = [row("voxelmorph", letter, seed=1, weights="more", value=70.0) for letter in "abcdef"]
    run_folder(numbers, *more, records=[asking(*entries, pairs=pairs, id="20270101T000000.000000Z")])
    _, found = statistics(numbers, against="initial")
    assert found["VoxelMorph"]["pairs"].value == 6


@pytest.mark.parametrize(
    ("initial", "reason"),
    [
        ([70.0] * 7, "p n/a: all differences are zero"),
        ([69.0, 68.0, 67.0, 66.0, 65.0, 70.0, 70.0], "p n/a: tested pairs that differ: 5, fewer than 6"),
        ([69.0, 69.0, 67.0, 66.0, 65.0, 64.0, 63.0], "p n/a: ties: differences of one size, for which the test is not exact"),
        ([None] * 6 + [69.0], "p n/a: tested pairs that differ: 1, fewer than 6"),
    ],
)
def test_where_there_is_no_p_the_row_says_why(tmp_path, initial, reason):
    built, _ = statistics(compared(tmp_path, {"initial": initial, "syn": [70.0] * 7}))
    assert reason in notes_of(built, "Affine initialization")
    line = next(line for line in render.markdown(built).splitlines() if line.startswith("| Affine"))
    assert line.endswith("| n/a | n/a |")
    assert "no p (Holm) can be below" not in render.markdown(built)


def test_what_is_not_tested_is_not_in_the_family(tmp_path):
    numbers = {"initial": DICE["initial"], "syn": DICE["mambamorph"], "mambamorph": DICE["mambamorph"]}
    _, found = statistics(compared(tmp_path, numbers))
    assert found["Affine initialization"]["p_holm"].value == found["Affine initialization"]["p"].value


def test_one_method_alone_is_compared_with_nothing(tmp_path):
    built, _ = statistics(compared(tmp_path, {"initial": DICE["initial"]}))
    assert notes_of(built, "Affine initialization") == ("n/a: only one method has numbers",)
    assert "| Affine initialization (a) | n/a | — |" in render.markdown(built)


def test_a_method_that_was_skipped_keeps_its_row_and_its_reason(tmp_path):
    built, _ = statistics(compared(tmp_path, DICE | {"syn": []}, skipped={"syn": "antspyx is missing"}))
    assert notes_of(built, "ANTs SyN") == ("skipped: antspyx is missing",)
    assert "| ANTs SyN (a) | — | — |" in render.markdown(built)


def test_a_metric_that_nobody_has_is_said(tmp_path):
    with pytest.raises(DataError, match="has no numbers of hd95"):
        statistics(compared(tmp_path, DICE), metric="hd95")


def test_of_all_pairs_only_those_that_share_nobody_are_tested(tmp_path):
    people = [f"p{number:02d}" for number in range(12)]
    pairs = tuple(f"{a}-mr_{b}-ct" for a in people for b in people if a != b)
    made = asking(("initial", 0, ""), ("syn", 0, ""), protocol="all", pairs=pairs)
    values = {"initial": lambda number: 60 + number**0.5 / 2, "syn": lambda number: 70.0}
    rows = [
        replace(row(method, value=float(of(number))), pair=pair)
        for method, of in values.items()
        for number, pair in enumerate(pairs)
    ]
    built, found = statistics(run_folder(tmp_path, *rows, records=[made]))
    shown = found["Affine initialization"]
    assert (shown["pairs"].value, shown["tested"].value) == (132, 6)
    assert shown["p"].value == 2 / 2**6
    low, high = shown["difference"].interval
    assert low < shown["difference"].value < high < 0
    assert "difference_mean,difference_low,difference_high" in render.csv_text(built)


def test_the_run_that_is_shown_has_its_note(tmp_path):
    built, _ = statistics(compared(tmp_path, DICE))
    assert built.notes[0].startswith("Statistics over 7 pairs of the test split, protocol `paper`")
    assert f"Device: {RECORD.device}." in built.notes
