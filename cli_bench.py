"""The command `bench`: train, register, score, table. `cli.py` has its entry."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from console import Advance, configure_logging, log_file, not_yet, progress, say
from srreg.errors import UsageError

if TYPE_CHECKING:
    from models.training_settings import Progress as TrainingProgress

_LARGEST_SEED = 2**31 - 1  # what every generator takes

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)

Data = Annotated[Path, typer.Option(help="A data set that `srreg build` made.")]
Out = Annotated[Path, typer.Option(help="Folder of weights, fields and rows.")]
Device = Annotated[str, typer.Option(help="cpu, cuda, cuda:0; auto: a GPU where torch sees one.")]
Precision = Annotated[Literal["fp32", "bf16", "fp16"] | None, typer.Option(help="Of the training; the profile's if not given.")]
Epochs = Annotated[int | None, typer.Option(min=1, help="Of the training; the profile's if not given.")]
Profile = Annotated[str, typer.Option(help="How to train: demo, cpu, standard, paper.")]
Verbose = Annotated[bool, typer.Option("-v", "--verbose", help="Log more; errors keep their traceback.")]


@app.callback()
def _bench(verbose: Verbose = False) -> None:
    """Train, score and table MR-CT registration methods on SR-Reg."""
    configure_logging(verbose)


@app.command()
def run(
    methods: Annotated[str, typer.Option(help="all, or names with commas and wildcards.")] = "all",
    data: Data = Path("sr-reg"),
    out: Out = Path("runs"),
    profile: Profile = "standard",
    pairs: Annotated[Literal["paper", "all"] | None, typer.Option(help="The paper's if there are 10, else all.")] = None,
    seeds: Annotated[str, typer.Option(help="One training each, comma-separated.")] = "0",
    device: Device = "auto",
    precision: Precision = None,
    epochs: Epochs = None,
    weights: Annotated[list[str] | None, typer.Option(help="NAME=FILE, instead of training; may be repeated.")] = None,
    keep_fields: Annotated[bool, typer.Option(help="Keep every displacement, not only the paper's pairs'.")] = False,
) -> None:
    """Train what has no weights, register every test pair, score; goes on where it was stopped."""
    from benchmark import runner
    from benchmark.method import METHODS
    from benchmark.run_settings import Progress, RunSettings
    from srreg.dataset import Dataset

    settings = RunSettings(
        methods=METHODS.select(methods),
        protocol=pairs,
        seeds=_numbers(seeds),
        device=_chosen(device),
        profile=profile,
        precision=precision,
        epochs=epochs,
        weights=_weights(weights or []),
        keep_fields=keep_fields,
    )
    dataset = Dataset.open(data)
    with log_file(out / "log.txt"), progress("training", "registering") as (training, advance):
        telling = Progress(lambda name, done, total: advance(done, total, name), lambda p: _tell(training, p))
        report = runner.run(dataset, out, settings, telling)
    for name, reason in report.record.skipped.items():
        say(f"{name}: skipped: {reason}")
    for failure in report.record.failed:
        say(f"{failure.method} {failure.pair}: failed: {failure.reason}")
    print(f"{sum(report.scored.values())} registrations scored; table: bench table --markdown --out {out}")
    raise typer.Exit(1 if report.record.failed else 0)


@app.command()
def train(
    method: Annotated[str, typer.Option(help="A method that learns.")],
    data: Data = Path("sr-reg"),
    out: Out = Path("runs"),
    profile: Profile = "standard",
    seed: Annotated[int, typer.Option(min=0, max=_LARGEST_SEED, help="Of the first weights and the pairs drawn.")] = 0,
    device: Device = "auto",
    precision: Precision = None,
    epochs: Epochs = None,
    resume: Annotated[bool, typer.Option(help="Go on with an interrupted training.")] = True,
) -> None:
    """Only the training; `bench run` then takes the weights it leaves."""
    from benchmark import training
    from benchmark.method import METHODS
    from srreg.dataset import Dataset

    if not resume and training.weights_file(out, METHODS.resolve(method), seed).parent.exists():
        raise UsageError(f"{out} has a training of {method} with seed {seed} already; give another --out or --seed")
    with log_file(out / "log.txt"), progress("training") as (advance,):
        weights = training.train(
            METHODS.resolve(method),
            Dataset.open(data),
            out,
            profile,
            seed=seed,
            device=_chosen(device),
            precision=precision,
            epochs=epochs,
            progress=lambda p: _tell(advance, p),
        )
    print(weights)


@app.command()
def table(
    out: Out = Path("runs"),
    number: Annotated[str, typer.Option("--table", help="1 (methods) or 2 (feature extractor).")] = "1",
    markdown: Annotated[bool, typer.Option("--markdown", help="The default.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="Numbers in full.")] = False,
    latex: Annotated[bool, typer.Option("--latex", help="Not in this version.")] = False,
    html: Annotated[bool, typer.Option("--html", help="Not in this version.")] = False,
    compare: Annotated[str | None, typer.Option(help="Not in this version.")] = None,
) -> None:
    """A table from the rows on disk."""
    from benchmark import render, tables

    if latex or html or compare or number in ("structures", "statistics"):
        not_yet("table --latex, --html, --compare, --table structures and --table statistics")
    if markdown and csv:
        raise UsageError("choose one of --markdown and --csv")
    made = tables.build(out, number)
    print(render.csv_text(made) if csv else render.markdown(made), end="")


@app.command()
def register(moving: Path, fixed: Path, method: str = "syn", out: Path = Path("registered")) -> None:
    """One pair of your own images (not in this version)."""
    not_yet("register")


@app.command()
def plan(methods: str = "all") -> None:
    """Parameters, memory and time before anything runs (not in this version)."""
    not_yet("plan")


def _chosen(device: str) -> str:
    """What `auto` stands for here."""
    if device != "auto":
        return device
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _tell(advance: Advance, p: "TrainingProgress") -> None:
    """A line an epoch where there is no bar; a bar moves with each step."""
    if advance.is_bar or p.step == p.steps:
        advance((p.epoch - 1) * p.steps + p.step, p.epochs * p.steps, f"epoch {p.epoch} loss {p.loss:.4f}")


def _numbers(text: str) -> tuple[int, ...]:
    try:
        seeds = tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise UsageError(f"--seeds expects whole numbers with commas, got {text!r}") from error
    if not all(0 <= seed <= _LARGEST_SEED for seed in seeds):
        raise UsageError(f"--seeds expects whole numbers from 0 to {_LARGEST_SEED}, got {text!r}")
    return seeds


def _weights(given: list[str]) -> dict[str, Path]:
    pairs = [item.partition("=") for item in given]
    for name, equals, path in pairs:
        if not (name and equals and path):
            raise UsageError(f"--weights expects NAME=FILE, got {name}{equals}{path}")
    names = [name for name, _, _ in pairs]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UsageError(f"--weights was given more than once for {', '.join(twice)}")
    return {name: Path(path) for name, _, path in pairs}
