import base64
import io
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import numpy as np
import phantom
import pytest
from hand_made_runs import compared, row, run_folder
from PIL import Image

from benchmark.page.plots.costs import cost_bubbles
from benchmark.page.plots.drawing import drawn
from benchmark.page.plots.pictures import picture
from benchmark.page.plots.ranks import rank_dots
from benchmark.page.plots.slices import Registered
from benchmark.page.plots.structures import structure_boxes
from benchmark.page.plots.trainings import training_curves
from benchmark.tables import measured
from srreg.displacement import Displacement
from srreg.volume import LabelMap

DICE = {"initial": [60.0, 61.0, 62.0], "syn": [70.0, 60.0, 75.0]}


def texts(svg):
    """What one reads in a plot; that it is XML is proved on the way."""
    return ["".join(element.itertext()) for element in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


def test_a_plot_is_drawn_in_the_inks_of_the_page_and_is_the_same_each_time():
    first, second = (drawn(2, 2, lambda figure: figure.subplots().set(xlabel="<b> & $x^2$")) for _ in range(2))
    assert first == second
    assert first.startswith("<svg")
    assert "var(--ink)" in first
    assert not re.search("#0[0-9]0[0-9]0[0-9]", first)
    assert "<b> & $x^2$" in texts(first)


def test_plots_leave_matplotlib_as_it_was():
    import matplotlib

    before = dict(matplotlib.rcParams)
    drawn(2, 2, lambda figure: None)
    assert dict(matplotlib.rcParams) == before


def test_plots_need_neither_pyplot_nor_torch():
    code = "import sys, benchmark.page.page; from benchmark.page.plots.drawing import drawn; drawn(2, 2, lambda figure: None); "
    code += "assert not {'matplotlib.pyplot', 'torch'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_structures_have_a_panel_each_and_methods_a_box(tmp_path):
    regions = ["Thalamus", "Caudate", "Putamen", "Pallidum", "Amygdala"]
    rows = [row(method, pair, region=r) for method in ("initial", "syn") for pair in "ab" for r in [*regions, ""]]
    read = texts(structure_boxes(measured.read(run_folder(tmp_path, *rows)), "dice"))
    assert [text for text in read if text in regions] == ["Thalamus", "Caudate", "Putamen", "Pallidum", "Amygdala"]
    assert read.count("initial") == 2  # once a row of panels
    assert "Dice (%)" in read


def test_a_structure_that_a_method_has_not_leaves_its_place_empty(tmp_path):
    rows = [row(region="Thalamus"), row(), row("syn", region="Caudate"), row("syn")]
    assert {"Thalamus", "Caudate"} <= set(texts(structure_boxes(measured.read(run_folder(tmp_path, *rows)), "dice")))


def test_what_was_not_measured_by_structure_has_no_panels(tmp_path):
    assert structure_boxes(measured.read(run_folder(tmp_path, row())), "dice") is None


def test_costs_name_each_method_with_its_memory(tmp_path):
    numbers = {"seconds": 0.5, "dice": 60.0, "memory": 2.5}
    rows = [row(metric=metric, value=value) for metric, value in numbers.items()] + [row("syn")]
    read = texts(cost_bubbles(measured.read(run_folder(tmp_path, *rows))))
    assert "initial: 2.50 GiB" in read
    assert not any("syn" in text for text in read)  # it has no time
    assert not any("$" in text for text in read)


def test_without_times_there_are_no_costs(tmp_path):
    assert cost_bubbles(measured.read(run_folder(tmp_path, row()))) is None


def test_ranks_begin_with_the_best(tmp_path):
    read = texts(rank_dots(measured.read(compared(tmp_path, DICE)), "dice"))
    assert [text for text in read if text in DICE] == ["syn", "initial"]
    assert [text for text in read if text in ("1.33", "1.67")] == ["1.33", "1.67"]


@pytest.mark.parametrize("numbers", [{"initial": [60.0]}, {"initial": [60.0, None], "syn": [None, 70.0]}])
def test_of_one_method_or_no_common_pair_there_are_no_ranks(tmp_path, numbers):
    assert rank_dots(measured.read(compared(tmp_path, numbers)), "dice") is None


class TestTrainings:
    def write(self, out, method, seed, text):
        folder = out / "weights" / method / f"seed{seed}"
        folder.mkdir(parents=True)
        (folder / "training.csv").write_text(text)

    def test_each_has_a_line_and_each_method_a_name(self, tmp_path):
        for seed in (0, 1):
            self.write(tmp_path, "voxelmorph", seed, "epoch,loss,validation_dice\n0,nan,0.5\n1,-0.5,0.6\n2,-0.6,0.7\n")
        self.write(tmp_path, "mambamorph", 0, "epoch,loss,more,validation_dice\n1,-0.5,x,0.6\n")
        svg = training_curves(tmp_path)
        assert [text for text in texts(svg) if "morph" in text] == ["mambamorph", "voxelmorph"]
        lines = re.findall(r'<path [^>]*style="[^"]*stroke: #2f74b8', svg)
        assert len(lines) == 2 * 2 + 1  # two trainings in two panels, and the name

    @pytest.mark.parametrize("text", ["", "epoch,loss\n1,2\n", "epoch,loss,validation_dice\n1,high,0.5\n", "\udcff"])
    def test_a_damaged_history_is_left_out_and_said(self, tmp_path, text, caplog):
        self.write(tmp_path, "syn", 0, "")
        (tmp_path / "weights" / "syn" / "seed0" / "training.csv").write_bytes(text.encode(errors="surrogateescape"))
        assert training_curves(tmp_path) is None
        assert "is no history of a training and is not drawn" in caplog.text


def test_a_picture_is_an_image_with_outlines_in_colour():
    head = phantom.head(shape=(20, 24, 28))
    uri = picture(Registered(head.mr, head.labels, head.ct, head.labels, Displacement.zero(head.mr.grid)))
    kind, _, content = uri.partition("base64,")
    image = np.asarray(Image.open(io.BytesIO(base64.b64decode(content))), dtype=int)
    assert kind == "data:image/jpeg;"
    assert image.shape[1] == pytest.approx(825, abs=1)
    blue = (image[..., 2] - image[..., 0] > 60).mean(axis=(0, 1))
    assert 0.005 < blue < 0.5


def test_an_image_of_nothing_is_drawn_too():
    head = phantom.head(shape=(20, 24, 28))
    nothing = LabelMap(np.zeros((20, 24, 28), int), head.mr.affine)
    assert picture(Registered(head.mr, nothing, head.ct, nothing, Displacement.zero(head.mr.grid))).startswith("data:")
