"""The commands `srreg` and, with the other `cli_*.py`, `bench`: parse, call one function, print, exit code.

Results go to stdout, all else to stderr. Heavy packages are imported inside the commands, so that
`--help` answers at once.
"""

import json
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

import typer

import cli_bench
import cli_qc
import cli_weights
from cli_options import DatasetDir, Procs, names
from console import configure_logging, log_file, progress, run, say
from srreg.errors import FolderBusy, SrregError

srreg_app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
srreg_app.add_typer(cli_qc.app, name="qc")
srreg_app.add_typer(cli_weights.app, name="weights")

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
SizeName = Literal["full", "half", "quarter"]
Size = Annotated[SizeName, typer.Option(help="176x208x192 at 1 mm, 96x112x96 at 2 mm, 48x64x48 at 4 mm.")]
LabelMaps = Annotated[Path | None, typer.Option(help="Whole-head label maps; an analytic head if not given.")]
Verbose = Annotated[bool, typer.Option("-v", "--verbose", help="Log more; errors keep their traceback.")]
SynthradDir = Annotated[Path, typer.Option(help="SynthRAD 2023: .../Task1/brain, .../Task1 or their parent.")]


# --- srreg -------------------------------------------------------------------------------------------------------


@srreg_app.callback()
def _srreg(verbose: Verbose = False) -> None:
    """Rebuild SR-Reg, the brain MR-CT registration data set, from SynthRAD 2023."""
    configure_logging(verbose)


@srreg_app.command()
def build(
    synthrad_dir: SynthradDir,
    out: Annotated[Path, typer.Option(help="Folder of the data set.")] = Path("sr-reg"),
    size: Size = "full",
    subjects: Annotated[str, typer.Option(help="Only these ids, comma-separated.")] = "",
    exclude: Annotated[str, typer.Option(help="Leave these ids out, comma-separated.")] = "",
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many subjects.")] = None,
    skull_stripper: Annotated[str | None, typer.Option(help="NAME[:DIR], command:LINE; the best here if not given.")] = None,
    segmenter: Annotated[str | None, typer.Option(help="NAME[:DIR], command:LINE; the best here if not given.")] = None,
    align: Annotated[Literal["affine", "rigid", "center", "none"], typer.Option(help="To the common frame.")] = "affine",
    splits: Annotated[Path | None, typer.Option(help="A table of person and split; drawn if not given.")] = None,
    allow_missing: Annotated[bool, typer.Option(help="--splits may name people who are not here.")] = False,
    resplit: Annotated[bool, typer.Option(help="Draw the splits anew, as a new version.")] = False,
    n_procs: Procs = 1,
    threads_per_proc: Annotated[int, typer.Option(min=1, help="Threads of each subject's tools.")] = 1,
    scheduler: Annotated[str | None, typer.Option(help="tcp://HOST:PORT of a Dask cluster that builds instead.")] = None,
    shard: Annotated[str | None, typer.Option(help="i/N: this process's part, beside the others' (job arrays).")] = None,
    device: Annotated[str, typer.Option(help="Where networks run: cpu, cuda, cuda:0.")] = "cpu",
    deep: Annotated[bool, typer.Option(help="Hash every file again instead of trusting size and time.")] = False,
    dry_run: Annotated[bool, typer.Option(help="Say what would be done, and do nothing.")] = False,
    seed: Annotated[int, typer.Option(help="Of the splits.")] = 0,
    as_json: Json = False,
) -> None:
    """Rebuild SR-Reg from a SynthRAD 2023 Task 1 brain folder; goes on where it was stopped."""
    from srreg.backends.protocol import Resources
    from srreg.backends.registry import SEGMENTERS, SKULL_STRIPPERS, make
    from srreg.build import runner
    from srreg.build.settings import BuildSettings, Shard
    from srreg.build.worker import scratch_folder

    resources = Resources(device=device, threads=threads_per_proc, work=scratch_folder(out))
    settings = BuildSettings(
        source=synthrad_dir if scheduler is None else synthrad_dir.resolve(),  # workers run in folders of their own
        out=out if scheduler is None else out.resolve(),
        skull_stripper=make(SKULL_STRIPPERS, skull_stripper, resources),
        segmenter=make(SEGMENTERS, segmenter, resources),
        size=size,
        align=align,
        subjects=names(subjects),
        exclude=names(exclude),
        limit=limit,
        n_procs=n_procs,
        threads=threads_per_proc,
        scheduler=scheduler,
        seed=seed,
        splits=splits,
        allow_missing=allow_missing,
        resplit=resplit,
        shard=None if shard is None else Shard.of(shard),
        deep=deep,
    )
    say(f"skull stripper: {settings.skull_stripper.name}; segmenter: {settings.segmenter.name}")
    if dry_run:
        _print_preview(runner.preview(settings), settings, as_json)
        return
    with log_file(out / ".build" / "log.txt"), progress("building") as (advance,):
        report = runner.build(settings, lambda outcome, done, total: advance(done, total, f"{outcome.id} {outcome.status}"))
    _print_build(report, out, as_json)
    if report.busy:
        raise FolderBusy(f"{len(report.busy)} subjects, {report.busy[0]} for one, were left to another process that is at them")
    raise typer.Exit(1 if report.failed else 0)


def _print_preview(preview: Any, settings: Any, as_json: bool) -> None:
    from srreg.build.hours import hours_of
    from srreg.build.plan import free_bytes
    from srreg.build.reasons import why

    todo, hours = preview.todo, hours_of(preview.todo, settings)
    found = {
        "build": [job.case.id for job in todo.jobs],
        "ready": list(todo.ready),
        "excluded": list(todo.excluded),
        "unreadable": {o.id: o.reason for o in todo.failed},
        "needed_gb": round(todo.needed_bytes(settings.size) / 1e9, 2),
        "free_gb": round(free_bytes(settings.out) / 1e9, 2),
        "hours": round(hours.total, 2),
        "people": preview.people,
        "why": {job.case.id: why(job) for job in todo.jobs},
    }
    if as_json:
        print(json.dumps(found, indent=2))
        return
    print(f"to build: {len(found['build'])}   ready: {len(found['ready'])}   excluded: {len(found['excluded'])}")
    print(f"disk: at most {found['needed_gb']} GB are needed, {found['free_gb']} GB are free")
    print(f"time: {hours}")
    print(f"people: {', '.join(f'{count} {name}' for name, count in found['people'].items())}")
    for subject_id, reason in found["why"].items():
        print(f"{subject_id}: {reason}")
    for subject_id, reason in found["unreadable"].items():
        print(f"{subject_id}: {reason}")


def _print_build(report: Any, out: Path, as_json: bool) -> None:
    failed = {o.id: o.reason for o in report.failed}
    if as_json:
        codes = {o.id: o.code for o in report.failed}
        print(
            json.dumps(
                {"built": [o.id for o in report.built], "ready": report.ready, "failed": failed, "codes": codes}, indent=2
            )
        )
        return
    counts = {"built": report.built, "ready before": report.ready, "failed": failed, "excluded": report.excluded}
    print(", ".join(f"{len(ids)} {word}" for word, ids in counts.items()))
    for subject_id, reason in failed.items():
        print(f"{subject_id}: {reason}")
    print(f"data set: {out}   look at it: srreg qc report {out}")


@srreg_app.command()
def check(synthrad_dir: SynthradDir, as_json: Json = False) -> None:
    """Read everything, change nothing: what is missing, corrupt or odd."""
    from srreg.sources.synthrad import find_cases, read_case

    cases, problems, codes = find_cases(synthrad_dir), {}, {}
    with progress("reading") as (advance,):
        for number, case in enumerate(cases, start=1):
            try:
                read_case(case)
            except SrregError as error:
                problems[case.id], codes[case.id] = str(error), error.code
            advance(number, len(cases), case.id)
    if as_json:
        print(json.dumps({"subjects": [c.id for c in cases], "problems": problems, "codes": codes}, indent=2))
    else:
        for subject_id, problem in problems.items():
            print(f"{subject_id}: {problem}")
        print(f"{len(cases)} subjects, {len(problems)} with problems")
    raise typer.Exit(1 if problems else 0)


@srreg_app.command()
def status(
    dataset: DatasetDir, deep: Annotated[bool, typer.Option(help="Hash every file again.")] = False, as_json: Json = False
) -> None:
    """Which subjects are built, failed or excluded, and why."""
    from dataclasses import asdict

    from srreg.build.status import examine

    found = examine(dataset, deep)
    if as_json:
        print(json.dumps(asdict(found), indent=2))
    else:
        for p in found.participants:
            print(f"{p.id}\t{found.state(p)}\t{p.reason or (f'brain {p.brain_ml:.0f} ml' if p.brain_ml else '')}\tqc {p.qc}")
        print(", ".join(f"{count} {state}" for state, count in found.counts.items()))
    if found.damaged:
        say(f"{len(found.damaged)} damaged; `srreg build` makes them again")
    raise typer.Exit(1 if found.damaged or "failed" in found.counts else 0)


@srreg_app.command()
def simulate(
    out: Annotated[Path, typer.Option(help="Folder of the simulated tree.")],
    subjects: Annotated[int, typer.Option(min=1, help="How many heads.")],
    label_maps: LabelMaps = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same heads.")] = 0,
    size: Annotated[SizeName, typer.Option(help="Voxels of 1, 2 or 4 mm.")] = "full",
    n_procs: Procs = 1,
) -> None:
    """A SynthRAD-shaped tree of simulated heads with exact truth."""
    from srreg.simulate.tree import Simulation
    from srreg.simulate.tree import simulate as make_tree

    settings = Simulation(subjects=subjects, seed=seed, size=size, label_maps=label_maps)
    with progress("simulating") as (advance,):
        ids = make_tree(out, settings, n_procs, lambda done, total: advance(done, total, ""))
    print(f"{len(ids)} subjects: {out}")


@srreg_app.command()
def doctor(as_json: Json = False) -> None:
    """What works here, and the line to type for what does not."""
    from dataclasses import asdict

    from benchmark import kernels
    from srreg.doctor import examine

    findings = [*examine(), *kernels.examine()]
    if as_json:
        print(json.dumps([asdict(f) for f in findings], indent=2))
        return
    area = ""
    for f in findings:
        if f.area != area:
            area = f.area
            print(f"\n{area}")
        print(f"  {f.state:8} {f.name:22} {f.detail}")
        if f.remedy:
            print(f"  {'':8} {'':22} -> {f.remedy}")


@srreg_app.command("import")
def import_(
    directory: Annotated[Path, typer.Argument(help="The release's folder, with its volumes and labels.")],
    source: Annotated[Literal["mambamorph"], typer.Option("--from", help="Whose layout it is.")] = "mambamorph",
    out: Annotated[Path, typer.Option(help="Folder of the data set.")] = Path("sr-reg"),
    splits: Annotated[Path | None, typer.Option(help="Table of person and split; drawn if not given.")] = None,
    seed: Annotated[int, typer.Option(help="Of the splits, where they are drawn.")] = 0,
) -> None:
    """Take an SR-Reg as its authors released it as a data set; goes on where it was stopped."""
    from srreg.build.import_release import Importing, import_release

    settings = Importing(directory, out, splits, seed)
    with log_file(out / ".build" / "log.txt"), progress("checking", "importing") as (checking, importing):
        done = import_release(
            settings,
            lambda name, number, total: checking(number, total, name),
            lambda name, number, total: importing(number, total, name),
        )
    print(f"{len(done.imported)} imported, {len(done.ready)} ready before")
    print(f"data set: {out}   use it: bench run --data {out}")


@srreg_app.command()
def export(
    dataset: DatasetDir,
    to: Annotated[Literal["mambamorph", "learn2reg"], typer.Option(help="Whose layout.")],
    out: Annotated[Path, typer.Option(help="A folder of its own.")],
) -> None:
    """Write other tools' layouts; goes on where it was stopped."""
    from srreg.dataset import Dataset
    from srreg.export.registry import LAYOUTS

    with progress("exporting") as (advance,):
        LAYOUTS.load(to)(Dataset.open(dataset), out, lambda name, number, total: advance(number, total, name))
    print(out)


# --- entries ----------------------------------------------------------------------------------------------------


def main_srreg() -> NoReturn:
    """Entry of the command `srreg`."""
    run(srreg_app)


def main_bench() -> NoReturn:
    """Entry of the command `bench`."""
    run(cli_bench.app)
