"""The commands `srreg weights`: what back ends need beyond their packages."""

from typing import Annotated

import typer

from srreg.errors import BackendUnavailable

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="What back ends need beyond their packages.")


@app.command("list")
def list_(name: Annotated[str | None, typer.Argument(help="Only this one.")] = None) -> None:
    """Each back end, its licence and whether it can run."""
    from srreg.backends.registry import SEGMENTERS, SKULL_STRIPPERS
    from srreg.doctor import examine

    for f in examine():
        if f.area in (SKULL_STRIPPERS.kind, SEGMENTERS.kind) and name in (None, f.name):
            print(f"{f.name}\t{f.state}\t{f.detail}")


@app.command("fetch")
def fetch(name: str) -> None:
    """Get what a back end needs: the only command that uses the network."""
    from srreg.backends.registry import FETCHERS

    FETCHERS.load(name)()
    print(f"{name} is ready")


@app.command("verify")
def verify(name: Annotated[str | None, typer.Argument(help="Only this one.")] = None) -> None:
    """Prove weights against the digests they were published with; uses no network."""
    from srreg.backends.registry import prove, with_weights

    lacking: list[str] = []
    for one in with_weights() if name is None else [name]:
        try:
            print(f"{one}\tok\t{prove(one)}")
        except BackendUnavailable as error:
            lacking.append(one)
            print(f"{one}\tmissing\t{error}")
    raise typer.Exit(BackendUnavailable.exit_code if lacking else 0)
