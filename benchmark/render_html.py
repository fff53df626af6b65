"""Tables as HTML."""

from benchmark.html import rendered
from benchmark.table import Table


def html(table: Table) -> str:
    """A small page with the table and its notes; opens from disk."""
    return rendered("single.html", {"table": table})
