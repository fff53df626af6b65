"""The commands `srreg weights`: what back ends need beyond their packages."""

from collections.abc import Callable
from typing import Annotated

import typer

from console import Advance, progress
from srreg.errors import BackendUnavailable

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="What back ends need beyond their packages.")


@app.command("list")
def list_(name: Annotated[str | None, typer.Argument(help="Only this one.")] = None) -> None:
    """Each back end, its licence and whether it can run; what is downloaded, from where, and the digest it must have."""
    from srreg.backends.registry import ARCHIVES, SEGMENTERS, SKULL_STRIPPERS
    from srreg.doctor import examine

    for f in examine():
        if f.area in (SKULL_STRIPPERS.kind, SEGMENTERS.kind) and name in (None, f.name):
            origin = f"\t{ARCHIVES.load(f.name).origin}" if f.name in ARCHIVES else ""
            print(f"{f.name}\t{f.state}\t{f.detail}{origin}")


@app.command("fetch")
def fetch(name: str) -> None:
    """Get what a back end needs: the only command that uses the network."""
    from srreg.backends.registry import FETCHERS

    fetch_it = FETCHERS.load(name)
    with progress(f"fetching {name}") as (advance,):
        fetch_it(_in_megabytes(advance))
    print(f"{name} is ready")


def _in_megabytes(advance: Advance) -> Callable[[int, int], None]:
    """Tells a bar every piece, and plain lines each tenth part."""
    tenths = -1

    def tell(done: int, total: int) -> None:
        nonlocal tenths
        if advance.is_bar or (total and done * 10 // total > tenths):
            tenths = done * 10 // total if total else 0
            advance(done // 10**6, total // 10**6, "MB")

    return tell


@app.command("verify")
def verify(name: Annotated[str | None, typer.Argument(help="Only this one.")] = None) -> None:
    """Prove weights against the digests they were published with, or first seen with; uses no network.

    A tool that is not here counts only if it is named; one that is damaged always does.
    """
    from srreg.backends.registry import prove, with_weights

    lacking: list[str] = []
    for one in with_weights() if name is None else [name]:
        try:
            print(f"{one}\tok\t{prove(one)}")
        except BackendUnavailable as error:
            is_damaged = "damaged" in str(error)  # the word each back end has for weights that are not what they were
            if is_damaged or name is not None:
                lacking.append(one)
            print(f"{one}\t{'damaged' if is_damaged else 'missing'}\t{error}")
    raise typer.Exit(BackendUnavailable.exit_code if lacking else 0)
