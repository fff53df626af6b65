"""The command `bench`: train, register, score, table. `cli.py` has its entry."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

import cli_table
from console import Advance, configure_logging, log_file, progress, say
from srreg.errors import UsageError

if TYPE_CHECKING:
    from models.training_settings import Progress as TrainingProgress
    from srreg.backends.protocol import Backend

_LARGEST_SEED = 2**31 - 1  # what every generator takes

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)

Data = Annotated[Path, typer.Option(help="A data set that `srreg build` made.")]
Out = Annotated[Path, typer.Option(help="Folder of weights, fields and rows.")]
Device = Annotated[str, typer.Option(help="cpu, cuda, cuda:0; auto: a GPU where torch sees one.")]
Precision = Annotated[Literal["fp32", "bf16", "fp16"] | None, typer.Option(help="Of the training; the profile's if not given.")]
Epochs = Annotated[int | None, typer.Option(min=1, help="Of the training; the profile's if not given.")]
Surgery = Annotated[
    bool, typer.Option("--gradient-surgery", help="Cut from the contrastive gradient what works against registration.")
]
Profile = Annotated[str, typer.Option(help="How to train: demo, cpu, reduced, standard, paper.")]
ModalityName = Annotated[Literal["mr", "ct"] | None, typer.Option(help="As its numbers tell if not given.")]
Verbose = Annotated[bool, typer.Option("-v", "--verbose", help="Log more; errors keep their traceback.")]


@app.callback()
def _bench(verbose: Verbose = False) -> None:
    """Train, score and table MR-CT registration methods on SR-Reg."""
    configure_logging(verbose)


@app.command()
def run(
    methods: Annotated[str, typer.Option(help="all (of the paper), or names with commas and wildcards.")] = "all",
    data: Data = Path("sr-reg"),
    out: Out = Path("runs"),
    profile: Profile = "standard",
    pairs: Annotated[Literal["paper", "all"] | None, typer.Option(help="The paper's if there are 10, else all.")] = None,
    seeds: Annotated[str, typer.Option(help="One training each, comma-separated.")] = "0",
    device: Device = "auto",
    precision: Precision = None,
    epochs: Epochs = None,
    gradient_surgery: Surgery = False,
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
        gradient_surgery=gradient_surgery,
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
        say(f"{failure.method} {failure.pair}".rstrip() + f": failed: {failure.reason}")
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
    gradient_surgery: Surgery = False,
    resume: Annotated[bool, typer.Option(help="Go on with an interrupted training.")] = True,
) -> None:
    """Only the training; `bench run` then takes the weights it leaves."""
    from contextlib import nullcontext

    from benchmark.hold import is_first_process
    from benchmark.method import METHODS
    from benchmark.training import trainer
    from benchmark.training.record import alarm_of
    from srreg.dataset import Dataset

    if not resume and trainer.weights_file(out, METHODS.resolve(method), seed).parent.exists():
        raise UsageError(f"{out} has a training of {method} with seed {seed} already; give another --out or --seed")
    log = log_file(out / "log.txt") if is_first_process() else nullcontext()
    with log, progress("training") as (advance,):
        weights = trainer.train(
            METHODS.resolve(method),
            Dataset.open(data),
            out,
            profile,
            seed=seed,
            device=_chosen(device),
            precision=precision,
            epochs=epochs,
            gradient_surgery=gradient_surgery,
            progress=lambda p: _tell(advance, p),
        )
    if is_first_process():
        print(weights)
    raise typer.Exit(1 if alarm_of(weights) else 0)


app.command()(cli_table.table)
app.command()(cli_table.page)


@app.command()
def register(
    moving: Annotated[Path, typer.Argument(help="The image that is warped.")],
    fixed: Annotated[Path, typer.Argument(help="The image that stays; the result lies on its grid.")],
    method: Annotated[str, typer.Option(help="A name of `bench run`.")] = "syn",
    weights: Annotated[Path | None, typer.Option(help="Of a method that learns; the newest in --runs if not given.")] = None,
    out: Annotated[Path, typer.Option(help="Folder of the moved image and the displacement.")] = Path("registered"),
    preprocess: Annotated[
        Literal["auto", "none"], typer.Option(help="auto: whole heads; none: images as a data set holds them.")
    ] = "auto",
    labels: Annotated[Path | None, typer.Option(help="Regions of the moving image, to be moved with it.")] = None,
    runs: Annotated[Path, typer.Option(help="Where trained weights are looked for.")] = Path("runs"),
    device: Device = "auto",
    moving_modality: ModalityName = None,
    fixed_modality: ModalityName = None,
    skull_stripper: Annotated[
        str | None, typer.Option(help="The best that works here, or precomputed:DIR with DIR/{moving,fixed}/brain.nii.gz.")
    ] = None,
    size: Annotated[
        Literal["full", "half", "quarter"] | None, typer.Option(help="Voxels; as in training if not given.")
    ] = None,
    align: Annotated[Literal["affine", "rigid", "center", "none"], typer.Option(help="To the common frame.")] = "affine",
) -> None:
    """One pair of your own images, any grid and orientation: moved image, displacement, moved labels."""
    from benchmark.own_pair.own_images import OwnPair
    from benchmark.own_pair.registration import Registering
    from benchmark.own_pair.registration import register as register_pair

    device = _chosen(device)
    stripper = _skull_stripper(skull_stripper, device) if preprocess == "auto" else None
    settings = Registering(method, weights, runs, device, preprocess, stripper, size, align)
    pair = OwnPair(moving, fixed, labels, moving_modality, fixed_modality)
    with log_file(out / "log.txt"), progress("registering") as (advance,):
        written = register_pair(pair, out, settings, advance)
    for path in written:
        print(path)


def _skull_stripper(spec: str | None, device: str) -> "Backend":
    """The one that was named, or the best that works here, on all cores."""
    import os

    from srreg.backends.protocol import Resources
    from srreg.backends.registry import SKULL_STRIPPERS, make

    return make(SKULL_STRIPPERS, spec, Resources(device=device, threads=os.cpu_count() or 1))


@app.command()
def plan(
    methods: Annotated[str, typer.Option(help="all (of the paper), or names with commas and wildcards.")] = "all",
    data: Annotated[
        Path | None, typer.Option(help="A data set; if not given sr-reg, and where there is none the paper's size and split.")
    ] = None,
    out: Out = Path("runs"),
    profile: Profile = "standard",
    pairs: Annotated[Literal["paper", "all"] | None, typer.Option(help="The paper's if there are 10, else all.")] = None,
    seeds: Annotated[str, typer.Option(help="One training each, comma-separated.")] = "0",
    device: Device = "auto",
    precision: Precision = None,
    epochs: Epochs = None,
    json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Parameters, memory and time of each method on this machine, measured on a small piece; trains and writes nothing."""
    from benchmark.method import METHODS
    from benchmark.planning import forecast, forecast_table
    from benchmark.run_settings import RunSettings

    settings = RunSettings(
        methods=METHODS.select(methods),
        protocol=pairs,
        seeds=_numbers(seeds),
        device=_chosen(device),
        profile=profile,
        precision=precision,
        epochs=epochs,
    )
    task = forecast.task(data, out, settings, default=Path("sr-reg"))
    with progress("measuring") as (advance,):
        found = forecast.forecasts(task, advance)
    print((forecast_table.as_json if json else forecast_table.as_text)(task, found), end="")


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
