"""Any text comes out as text, in each format."""

import csv
import io
import math
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from benchmark.page.render_html import html
from benchmark.tables import render
from benchmark.tables.render_latex import latex
from benchmark.tables.table import Cell, Column, Table, TableRow

NASTY = "<script>alert('x')</script> & 100 % of $x^2$ #1 a_b {c} \\input{y} ~ \"q\" `` -- ''|"
TABLE = Table(
    caption=f"Table 1: {NASTY}",
    headings=("Method", NASTY),
    columns=(Column("Dice (%) ↑", "dice", ("mean", "std", "n")), Column(f"{NASTY} ≤ 0", "nasty")),
    rows=(
        TableRow((NASTY, NASTY), (Cell(61.234, 1.5, counted=(9, 10)), Cell(-0.5)), (f"why: {NASTY}",)),
        TableRow(("Müller 东京 ∂", ""), (None, Cell(math.nan)), ()),
    ),
    notes=("**Bold** and `code_1`, " + NASTY, "det(I + ∇u) ≤ 0 × 1 – 2 — 3"),
)
WIDE = replace(TABLE, columns=TABLE.columns * 8, rows=tuple(replace(row, cells=row.cells * 8) for row in TABLE.rows))
PLAIN = replace(TABLE, caption="Table 1: heads", rows=(), notes=())


def cell_of(cell, **column):
    table = replace(PLAIN, headings=(), columns=(Column("x", "x", **column),), rows=(TableRow(("name",), (cell,)),))
    return render.markdown(table).splitlines()[4].split("|")[2].strip()


@pytest.mark.parametrize(
    ("cell", "column", "text"),
    [
        (None, {}, "—"),
        (Cell(math.nan), {}, "n/a"),
        (Cell(61.239, 1.5), {}, "61.24 ± 1.50"),
        (Cell(61.0, 1.0, (60.004, 62.5), (9, 10)), {}, "61.00 ± 1.00 [60.00, 62.50] (9/10)"),
        (Cell(61.0, counted=(10, 10)), {}, "61.00"),
        (Cell(1.5, interval=(-1.0, 2.0)), {"is_signed": True}, "+1.50 [-1.00, +2.00]"),
        (Cell(-0.001), {"is_signed": True}, "+0.00"),
        (Cell(10), {"digits": 0}, "10"),
        (Cell(0.0312), {"digits": 3, "is_probability": True}, "0.031"),
        (Cell(0.0004), {"digits": 3, "is_probability": True}, "< 0.001"),
    ],
)
def test_a_cell_for_people(cell, column, text):
    assert cell_of(cell, **column) == text


def test_csv_has_the_parts_of_each_cell():
    header, first, second = csv.reader(io.StringIO(render.csv_text(TABLE)))
    assert header[2:] == ["dice_mean", "dice_std", "dice_n", "nasty"]
    assert first == [NASTY, NASTY, "61.234", "1.5", "9", "-0.5"]
    assert second[2:] == ["", "", "", ""]


def test_after_z_come_aa_and_bb():
    marks = render.marks_of([TableRow(("x",), (), tuple(map(str, range(28))))])
    assert [marks[note] for note in ("0", "25", "26", "27")] == ["a", "z", "aa", "bb"]


class _Texts(HTMLParser):
    """The elements of a page, and the text in it."""

    def __init__(self):
        super().__init__()
        self.tags, self.text, self.attributes = [], "", []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]

    def handle_data(self, data):
        self.text += data


def parsed(page):
    texts = _Texts()
    texts.feed(page)
    return texts


def test_html_shows_text_and_runs_nothing():
    page = parsed(html(TABLE))
    assert "script" not in page.tags
    assert page.text.count(NASTY) == 9  # title, heading, caption, two headings of columns, two names, two notes
    assert not {name for _, name, _ in page.attributes if name.startswith("on") or name in ("src", "href")}


def test_html_fetches_nothing_and_says_so_to_the_browser():
    policy = next(value for tag, name, value in parsed(html(PLAIN)).attributes if tag == "meta" and "default-src" in str(value))
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert "script-src" not in policy  # so what default-src says holds: none


def test_html_knows_the_markup_of_notes():
    assert "<strong>Bold</strong> and <code>code_1</code>, &lt;script&gt;" in html(TABLE)


def test_latex_escapes_each_special_character():
    text = latex(TABLE)
    assert r"\$x\textasciicircum{}2\$ \#1 a\_b \{c\} \textbackslash{}input\{y\}" in text
    assert r"$<$script$>$alert('x')$<$/script$>$ \& 100 \% of" in text
    assert r"-{}- '{}'$|$" in text
    assert r"61.23 $\pm$ 1.50 (9/10) & $-$0.50 \\" in text
    assert r"\textbf{Bold} and \texttt{code\_1}, " in text
    assert "Muller ?? ?" in text


def test_latex_numbers_the_table_itself():
    assert r"\caption{Heads}" in latex(PLAIN)


def test_a_table_of_many_columns_lies_on_its_side():
    assert latex(WIDE).startswith("% In the preamble: \\usepackage{booktabs,graphicx,rotating}\n\\begin{sidewaystable}")
    assert latex(TABLE).startswith("% In the preamble: \\usepackage{booktabs,graphicx}\n\\begin{table}")


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex here")
@pytest.mark.parametrize("table", [TABLE, WIDE], ids=["table", "wide"])
def test_latex_compiles(tmp_path, table):
    comment, text = latex(table).split("\n", maxsplit=1)
    preamble = rf"\documentclass{{article}}{comment.removeprefix('% In the preamble: ')}\begin{{document}}"
    (tmp_path / "t.tex").write_text(f"{preamble}\n{text}\n\\end{{document}}\n", encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "t.tex"]
    told = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout[-1500:]
    assert "Overfull" not in told.stdout
