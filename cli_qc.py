"""The commands `srreg qc`: look at a built data set, and judge it."""

from pathlib import Path
from typing import Annotated

import typer

from cli_options import DatasetDir, Procs, names
from console import progress, say

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Look at a built data set, and judge it.")


@app.command()
def report(
    dataset: DatasetDir,
    out: Annotated[Path | None, typer.Option(help="The index page; DATASET/qc/index.html if not given.")] = None,
    n_procs: Procs = 1,
) -> None:
    """One page to look at everything, and one for each subject."""
    from srreg.build.hold import held
    from srreg.dataset import Dataset
    from srreg.qc.report import write_report

    built = Dataset.open(dataset)
    with held(dataset), progress("drawing") as (advance,):
        written = write_report(built, out, n_procs, lambda name, done, total: advance(done, total, name))
    for subject_id, reason in written.failed.items():
        print(f"{subject_id}: {reason}")
    print(f"open in a browser: {written.index.resolve()}")
    raise typer.Exit(1 if written.failed else 0)


@app.command()
def serve(
    dataset: DatasetDir,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Of this machine; 0: any that is free.")] = 0,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Print the address only.")] = False,
) -> None:
    """The last report for this machine's browser: ratings go to disk, volumes are shown in 3-D; Ctrl-C ends it."""
    import webbrowser
    from threading import Thread

    from srreg.dataset import Dataset
    from srreg.qc.serve.run import serve as run
    from srreg.qc.serve.site import Site

    def tell(address: str) -> None:
        print(f"open in a browser: {address}", flush=True)
        say(f"ratings: {site.store.path}   when done: Ctrl-C, then srreg qc import {dataset} {site.store.path}")
        if not no_browser:
            Thread(target=webbrowser.open, args=(address,), daemon=True).start()  # a browser in the terminal would not return

    site = Site.open(Dataset.open(dataset))
    for subject_id in site.store.outdated():
        say(f"{subject_id}: was rated as it was built before; the next rating leaves that out of {site.store.path}")
    run(site, port, tell)


@app.command()
def figure(
    dataset: DatasetDir,
    out: Annotated[Path | None, typer.Option(help="The PNG; DATASET/qc/figure.png if not given.")] = None,
    subjects: Annotated[str, typer.Option(help="Only these ids, comma-separated; the first four if not given.")] = "",
) -> None:
    """A picture for a paper: a row a subject, MR, CT and labels in three planes."""
    from srreg.dataset import Dataset
    from srreg.qc.montage import write_montage

    target = out or dataset / "qc" / "figure.png"
    write_montage(Dataset.open(dataset), target, names(subjects))
    print(target)


@app.command("import")
def import_(dataset: DatasetDir, ratings: Annotated[Path, typer.Argument(help="TSV or JSON saved from the report.")]) -> None:
    """Take ratings saved from the report: who is rejected leaves splits and pairs, until a newer rating accepts."""
    from srreg.qc.take import import_ratings

    taken = import_ratings(dataset, ratings)
    print(f"{taken.new} new ratings")
    for told, ids in (("left splits and pairs", taken.left), ("came back", taken.returned)):
        if ids:
            print(f"{told}: {', '.join(ids)}")
    for name in taken.empty:
        say(f"nobody is left in {name}")
