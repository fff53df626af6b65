"""Arguments that several commands of `srreg` share."""

from pathlib import Path
from typing import Annotated

import typer

Procs = Annotated[int, typer.Option(min=1, help="Subjects at a time.")]
DatasetDir = Annotated[Path, typer.Argument(help="A data set that `srreg build` made.")]


def names(text: str) -> tuple[str, ...]:
    """What a list with commas names."""
    return tuple(part.strip() for part in text.split(",") if part.strip())
