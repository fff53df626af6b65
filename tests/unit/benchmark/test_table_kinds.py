"""The tables beyond the paper's two, and what is put beside these."""

import csv
import io
from dataclasses import replace

import pytest
from hand_made_runs import RECORD, asking, row, run_folder

from benchmark.metrics import METRICS
from benchmark.tables import kinds, render
from benchmark.tables.kinds import Wanted
from srreg.errors import DataError, UsageError


def table(out, *rows, name="1", records=None, wanted=None):
    return kinds.build(run_folder(out, *rows, records=records), name, wanted)


class TestStructures:
    def test_each_has_its_column_in_the_order_of_the_label_table(self, tmp_path):
        rows = [
            row(region=region, value=value) for region, value in [("Thalamus", 40.0), ("Cerebral cortex", 60.0), ("", 50.0)]
        ]
        built = table(tmp_path, *rows, name="structures")
        assert [column.title for column in built.columns] == ["Cerebral cortex ↑", "Thalamus ↑"]
        assert [cell.value for cell in built.rows[0].cells] == [60, 40]
        assert render.csv_text(built).startswith(
            "method,dice_cerebral_cortex_mean,dice_cerebral_cortex_std,dice_cerebral_cortex_n"
        )

    def test_of_another_metric(self, tmp_path):
        rows = [row(region="Thalamus"), row(metric="hd95", region="Thalamus", value=2.5)]
        (column,) = table(tmp_path, *rows, name="structures", wanted=Wanted(metric="hd95")).columns
        assert column.title == "Thalamus ↓"

    def test_a_folder_without_any_is_no_use_to_them_as_to_statistics(self, tmp_path):
        for name in ("structures", "statistics"):
            with pytest.raises(DataError, match="has no numbers.*Make some: bench run"):
                table(tmp_path / name, name=name, records=[asking(("initial", 0, ""))])

    def test_a_metric_of_the_whole_image_has_none(self, tmp_path):
        with pytest.raises(UsageError, match=r"no numbers of seconds by structure\. There are: dice\."):
            table(tmp_path, row(region="Thalamus"), row(metric="seconds"), name="structures", wanted=Wanted(metric="seconds"))


def test_every_metric_has_a_column(tmp_path):
    built = table(tmp_path, row(metric="folding_published", value=0.25), name="metrics")
    assert [column.name for column in built.columns] == list(METRICS)
    assert built.rows[0].cells[list(METRICS).index("folding_published")].value == 0.25


class TestBesideThePaper:
    def test_printed_numbers_and_differences_stand_beside_ours(self, tmp_path):
        built = table(tmp_path, row("voxelmorph", value=72.0), wanted=Wanted(compare="paper"))
        numbers = next(csv.DictReader(io.StringIO(render.csv_text(built))))
        assert (numbers["dice_mean"], numbers["dice_paper_mean"], numbers["dice_paper_std"]) == ("72", "70.88", "2.99")
        assert float(numbers["dice_difference"]) == pytest.approx(1.12)
        assert (numbers["memory_paper"], numbers["parameters_difference"]) == ("2.58", "")

    def test_folding_is_the_authors_script_and_costs_have_no_difference(self, tmp_path):
        names = {column.name for column in table(tmp_path, row(), wanted=Wanted(compare="paper")).columns}
        assert "folding_published" in names
        assert names.isdisjoint({"folding", "seconds_difference", "memory_difference"})

    def test_what_the_paper_has_not_is_a_dash(self, tmp_path):
        text = render.markdown(table(tmp_path, row("syn"), wanted=Wanted(compare="paper")))
        assert "| ANTs SyN (a) | 50.00 ± 0.00 (1/2) | — | — |" in text

    @pytest.mark.parametrize(
        ("changed", "words"),
        [
            ({"pairs": tuple(f"{n}-mr_{n}x-ct" for n in range(10))}, "same protocol, other labels and split: a difference"),
            ({"protocol": "all"}, "the paper's protocol has 10 pairs of 20 people, other labels and split: a difference"),
            ({"dataset": replace(RECORD.dataset, is_simulated=True)}, "other labels and split, simulated heads: a difference"),
        ],
    )
    def test_the_note_says_how_far_they_compare(self, tmp_path, changed, words):
        built = table(tmp_path, row(), records=[replace(RECORD, **changed)], wanted=Wanted(compare="paper"))
        assert words in built.notes[-1]


@pytest.mark.parametrize(
    ("name", "wanted", "words"),
    [
        ("structures", Wanted(compare="paper"), r"table structures takes no --compare\. These do: 1, 2\."),
        ("1", Wanted(metric="dice"), r"table 1 takes no --metric\. These do: structures, statistics\."),
        ("structures", Wanted(against="syn"), r"table structures takes no --against\. These do: statistics\."),
        ("statistics", Wanted(metric="dcie"), r"no metric is called 'dcie'\. There are: dice, hd95"),
    ],
)
def test_what_a_table_does_not_take_is_refused(tmp_path, name, wanted, words):
    with pytest.raises(UsageError, match=words):
        kinds.build(tmp_path, name, wanted)


PEOPLE = ("p1", "p2", "p3", "p4", "p5", "p6")
ALL_PAIRS = tuple(f"{a}-mr_{b}-ct" for a in PEOPLE for b in PEOPLE if a != b)


def all_pairs(out, **settings):
    """A table of all ordered pairs of six subjects."""
    made = replace(RECORD, protocol="all", pairs=ALL_PAIRS, paper_pairs=3, settings=settings)
    rows = [replace(row(value=float(50 + number % 7)), pair=pair) for number, pair in enumerate(ALL_PAIRS)]
    return table(out, *rows, records=[made])


def test_all_pairs_have_an_interval_drawn_by_person(tmp_path):
    built = all_pairs(tmp_path)
    low, high = built.rows[0].cells[0].interval
    assert low < built.rows[0].cells[0].value < high
    assert any("draws of 6 people out of the 6, with replacement: people are drawn, not pairs" in note for note in built.notes)
    assert "dice_mean,dice_std,dice_low,dice_high,dice_n" in render.csv_text(built)


def test_intervals_of_few_people_come_with_a_warning(tmp_path):
    assert any("Of few people it is too narrow" in note for note in all_pairs(tmp_path).notes)


def test_two_subjects_of_one_person_are_one_person(tmp_path):
    built = all_pairs(tmp_path, people=dict.fromkeys(PEOPLE[:5], "same"))
    assert built.rows[0].cells[0].interval is None
    assert "No intervals of confidence: 2 test people, and drawing people takes at least 3." in built.notes


def test_the_notes_say_how_each_method_was_trained(tmp_path):
    first = asking(
        ("initial", 0, ""), ("voxelmorph", 0, "aa"), id="20250101T000000.000000Z", settings={"profile": "demo", "epochs": None}
    )
    second = asking(
        ("mambamorph", 0, "bb"),
        ("transmorph", 0, "cc"),
        settings={"profile": "reduced", "epochs": 5, "weights": {"transmorph": "given.pt"}},
    )
    rows = [
        replace(row(*known), run=made.id, weights=weights)
        for made, known, weights in (
            (first, ("initial",), ""),
            (first, ("voxelmorph",), "aa"),
            (second, ("mambamorph",), "bb"),
            (second, ("transmorph",), "cc"),
        )
    ]
    built = table(tmp_path, *rows, records=[first, second])
    assert "Trained with profile `demo` (voxelmorph) and profile `reduced` for 5 epochs (mambamorph)." in built.notes


def test_nothing_is_said_of_training_where_nothing_learns(tmp_path):
    assert not any("Trained" in note for note in table(tmp_path, row()).notes)
