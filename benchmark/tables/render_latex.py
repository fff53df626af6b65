"""Tables as LaTeX, for booktabs, graphicx and rotating: any text comes out as text, whatever is in it."""

import re
import unicodedata

from benchmark.tables.render import cell_texts, marks_of
from benchmark.tables.table import Table, TableRow

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "`": r"\textasciigrave{}",
    '"': r"\char34{}",
    "—": r"\textemdash{}",
    "–": r"\textendash{}",
    **{character: f"\\{character}" for character in "{}$&#%_"},
    **{character: f"${character}$" for character in "<>|"},
    **{"±": r"$\pm$", "≤": r"$\leq$", "≥": r"$\geq$", "×": r"$\times$"},
    **{"↑": r"$\uparrow$", "↓": r"$\downarrow$", "∇": r"$\nabla$"},
}
_JOINED = re.compile(r"([-'])(?=\1)")  # two in a row would become one dash or quotation mark
_MARKUP = re.compile(r"\*\*(.+?)\*\*|`([^`]+)`")
_SPACE = re.compile(r"\s+")
_NUMBERED = re.compile(r"Table \d+: ")
# The middle is no wider than the text: shrunk where it would be, never stretched.
_PAGE = r"""% In the preamble: \usepackage{@packages}
\begin{@environment}
\centering
\caption{@caption}
\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%
\begin{tabular}{@alignment}
\toprule
@header
\midrule
@body
\bottomrule
\end{tabular}}

\medskip
\begin{minipage}{\linewidth}
\footnotesize
@notes
\end{minipage}
\end{@environment}
"""
_WIDE = 8  # columns of numbers; one with more lies on its side


def latex(table: Table) -> str:
    """A floating table with its notes below; LaTeX numbers it."""
    marks = marks_of(table.rows)
    notes = [rf"\textsuperscript{{{mark}}} {_rich(note)}" for note, mark in marks.items()]
    is_wide = len(table.columns) > _WIDE
    parts = {
        "packages": "booktabs,graphicx,rotating" if is_wide else "booktabs,graphicx",
        "environment": "sidewaystable" if is_wide else "table",
        "caption": _caption(table),
        "alignment": "l" * len(table.headings) + "r" * len(table.columns),
        "header": _line([_plain(text) for text in (*table.headings, *(column.title for column in table.columns))]),
        "body": "\n".join(_row(row, table, marks) for row in table.rows),
        "notes": "\n\n".join([*notes, *map(_rich, table.notes)]),
    }
    return re.sub(r"@(\w+)", lambda match: parts[match[1]], _PAGE)


def _row(row: TableRow, table: Table, marks: dict[str, str]) -> str:
    raised = ",".join(marks[note] for note in row.notes)
    name = _plain(row.names[0]) + (rf"\textsuperscript{{{raised}}}" if raised else "")
    numbers = [_plain(text).replace("-", "$-$") for text in cell_texts(row, table.columns)]
    return _line([name, *map(_plain, row.names[1:]), *numbers])


def _caption(table: Table) -> str:
    caption = _NUMBERED.sub("", table.caption, count=1)
    return _plain(caption[:1].upper() + caption[1:])


def _line(cells: list[str]) -> str:
    return f"{' & '.join(cells)} \\\\"


def _rich(text: str) -> str:
    """Text with the markup of notes."""
    parts, end = [], 0
    for match in _MARKUP.finditer(text):
        bold, code = match.groups()
        marked = rf"\textbf{{{_plain(bold)}}}" if bold else rf"\texttt{{{_plain(code)}}}"
        parts += [_plain(text[end : match.start()]), marked]
        end = match.end()
    return "".join([*parts, _plain(text[end:])])


def _plain(text: str) -> str:
    escaped = "".join(_SPECIAL.get(character) or _ascii(character) for character in _SPACE.sub(" ", text))
    return _JOINED.sub(r"\1{}", escaped)


def _ascii(character: str) -> str:
    """A character that any LaTeX knows: without its accent, or a question mark."""
    if " " <= character <= "~":
        return character
    bare = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return "".join(_SPECIAL.get(part, part) for part in bare) or "?"
