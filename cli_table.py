"""The commands `bench table` and `bench page`: show what a run folder holds."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from console import progress
from srreg.errors import UsageError

Out = Annotated[Path, typer.Option(help="Folder of a run.")]


def table(
    out: Out = Path("runs"),
    number: Annotated[str, typer.Option("--table", help="1, 2 (as in the paper), metrics, structures or statistics.")] = "1",
    markdown: Annotated[bool, typer.Option("--markdown", help="The default.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="Numbers in full.")] = False,
    latex: Annotated[bool, typer.Option("--latex", help="For booktabs and graphicx.")] = False,
    html: Annotated[bool, typer.Option("--html", help="A small page.")] = False,
    compare: Annotated[Literal["paper"] | None, typer.Option(help="Of tables 1 and 2: printed numbers beside ours.")] = None,
    metric: Annotated[str | None, typer.Option(help="Of structures and statistics; dice if not given.")] = None,
    against: Annotated[str | None, typer.Option(help="Of statistics: compare with this method, not the last.")] = None,
) -> None:
    """A table from the rows on disk."""
    from benchmark.page.render_html import html as html_page
    from benchmark.tables import kinds, render
    from benchmark.tables.render_latex import latex as latex_text

    asked = {render.markdown: markdown, render.csv_text: csv, latex_text: latex, html_page: html}
    formats = [as_text for as_text, is_asked in asked.items() if is_asked] or [render.markdown]
    if len(formats) > 1:
        raise UsageError("choose one of --markdown, --csv, --latex and --html")
    print(formats[0](kinds.build(out, number, kinds.Wanted(compare, metric, against))), end="")


def page(
    out: Out = Path("runs"),
    data: Annotated[Path, typer.Option(help="The data set, for pictures.")] = Path("sr-reg"),
) -> None:
    """All tables, plots and pictures on one page, OUT/index.html."""
    from benchmark.page.page import write_page

    with progress("drawing") as (advance,):
        written = write_page(out, data, advance)
    print(f"open in a browser: {written.resolve()}")
