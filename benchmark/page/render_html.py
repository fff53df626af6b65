"""Tables as HTML."""

from benchmark.page.html import rendered
from benchmark.tables.table import Table


def html(table: Table) -> str:
    """A small page with the table and its notes; opens from disk."""
    return rendered("single.html", {"table": table})
