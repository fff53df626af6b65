import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hand_made_runs import RECORD, asking, row, run_folder
from made_up_methods import MadeUp, run

from benchmark import record
from benchmark.page.cases import cases_of
from benchmark.page.gallery import gallery
from benchmark.page.page import write_page
from benchmark.tables import measured
from srreg.errors import DataError
from srreg.files import read_json, write_json

HOSTILE = "<script>alert(1)</script>'\"></svg>"


class Page(HTMLParser):
    """A page as a browser would see it."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data

    def count(self, tag):
        return sum(found == tag for found, _ in self.tags)


@pytest.fixture
def runs(dataset, tmp_path):
    """Two methods on both pairs; all fields kept."""
    run(dataset, tmp_path, MadeUp("initial"), MadeUp("syn", shift=(2.0, 0.0, 0.0)), keep_fields=True)
    return tmp_path


class TestCases:
    def test_median_and_worst_are_of_the_pairs_whose_field_is_kept(self, runs):
        found = measured.read(runs)
        dice = found.scores.values("syn", "dice")
        cases = cases_of(found, "syn")
        assert [(case.place, case.dice) for case in cases] == [("median of 2", dice.max()), ("worst of 2", dice.min())]
        for path in cases[1].field.parent.glob(f"{cases[1].pair}*"):
            path.unlink()
        assert [case.place for case in cases_of(found, "syn")] == ["the only one"]

    def test_a_field_of_other_weights_is_none(self, runs):
        for path in (runs / "fields").rglob("*.json"):
            write_json(path, read_json(path) | {"weights": "others"})
        assert cases_of(measured.read(runs), "syn") == []

    def test_a_method_that_is_not_trained_yet_has_none(self, tmp_path):
        folder = run_folder(tmp_path, row(), records=[asking(("initial", 0, ""), ("voxelmorph", 0, None))])
        assert cases_of(measured.read(folder), "voxelmorph") == []


class TestGallery:
    def test_each_case_has_its_picture(self, runs, dataset):
        told = []
        drawn = gallery(measured.read(runs), dataset.root, lambda *step: told.append(step))
        assert [case.method for case in drawn.pictures] == ["initial", "initial", "syn", "syn"]
        assert drawn.missing == ()
        assert told == [(1, 4, "initial"), (2, 4, "initial"), (3, 4, "syn"), (4, 4, "syn")]

    def test_a_damaged_field_costs_its_own_picture(self, runs, dataset):
        worst = cases_of(measured.read(runs), "syn")[-1]
        worst.field.write_bytes(worst.field.read_bytes()[:100])
        drawn = gallery(measured.read(runs), dataset.root)
        assert len(drawn.pictures) == 3
        assert drawn.missing[0].startswith(f"syn {worst.pair}: ")

    def test_where_no_field_is_kept_it_says_so(self, runs, dataset):
        for path in (runs / "fields" / "syn").rglob("*.json"):
            path.unlink()
        drawn = gallery(measured.read(runs), dataset.root)
        assert {case.method for case in drawn.pictures} == {"initial"}
        assert drawn.missing[0].startswith("syn: no field is kept.")

    def test_another_data_set_gives_no_pictures(self, runs, dataset):
        (made,) = record.read(runs / "run.json")
        other = measured.Measured(
            runs, (replace(made, dataset=RECORD.dataset),), {}, *(getattr(measured.read(runs), n) for n in ("rows", "scores"))
        )
        assert "the numbers are of abc: no pictures of another data set" in gallery(other, dataset.root).missing[0]

    def test_without_a_data_set_there_are_none(self, runs, tmp_path):
        drawn = gallery(measured.read(runs), tmp_path / "nowhere")
        assert drawn.pictures == {}
        assert "nowhere is not a built data set" in drawn.missing[0]


@pytest.fixture(scope="module")
def page(shared_dataset, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs")
    run(shared_dataset, out, MadeUp("initial"), MadeUp("syn", shift=(2.0, 0.0, 0.0)), keep_fields=True)
    return Page(write_page(out, shared_dataset.root))


class TestPage:
    def test_it_has_tables_plots_and_pictures(self, page):
        names = [attributes["id"] for tag, attributes in page.tags if tag == "section"]
        assert names == [
            "table-1",
            "table-1-and-paper",
            "metrics",
            *("statistics-dice", "ranks-dice", "statistics-hd95", "ranks-hd95"),
            *("costs", "structures-dice", "structures-hd95", "trainings", "pictures", "runs"),
        ]
        assert [page.count(tag) for tag in ("table", "svg", "img")] == [8, 5, 4]
        assert "None: nothing was trained in this folder." in page.text

    def test_it_fetches_nothing_and_runs_nothing(self, page):
        addresses = [attributes.get("src") or attributes.get("href") or "" for _, attributes in page.tags]
        assert all(address.startswith(("data:image/", "#")) for address in addresses if address)
        assert page.count("script") == 0
        assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
        policy = next(attributes["content"] for tag, attributes in page.tags if "http-equiv" in attributes)
        assert policy.startswith("default-src 'none'; img-src data:; style-src 'unsafe-inline'")

    def test_text_from_data_is_never_markup(self, tmp_path):
        made = asking(("initial", 0, ""), skipped={}, device=HOSTILE, versions={HOSTILE: HOSTILE}, commit=HOSTILE)
        made = replace(made, dataset=replace(made.dataset, name=HOSTILE))
        rows = [row(region=HOSTILE, device=HOSTILE), row(device=HOSTILE), row(pair="b", device=HOSTILE)]
        page = Page(write_page(run_folder(tmp_path, *rows, records=[made]), tmp_path / HOSTILE.replace("/", "")))
        assert page.count("script") == 0
        assert page.text.count(HOSTILE) >= 7  # title, heading, device, notes, structure in table and plot, versions

    def test_a_note_stands_under_the_first_table_only(self, page):
        assert page.text.count("Dice: mean over 16 structures") == 1
        assert page.text.count("Here it would print") == 1

    def test_the_methods_of_the_second_table_bring_it(self, tmp_path):
        page = write_page(run_folder(tmp_path, row("voxelmorph")), tmp_path / "nowhere").read_text(encoding="utf-8")
        assert re.findall(r'<section id="(table[^"]*)">', page) == [
            "table-1",
            "table-2",
            "table-1-and-paper",
            "table-2-and-paper",
        ]

    def test_a_folder_without_results_is_refused(self, tmp_path):
        with pytest.raises(DataError, match="holds no results"):
            write_page(tmp_path, tmp_path)
        assert not (tmp_path / "index.html").exists()
