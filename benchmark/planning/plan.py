"""What a run will do, and all that is refused before anything runs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark import record, results
from benchmark.clock import device_name
from benchmark.method import TRAINABLE, Factory
from benchmark.protocol import VERSION, described, versions
from benchmark.record import Entry, RunRecord
from benchmark.run_settings import RunSettings
from benchmark.training.profiles import profile_named
from srreg.dataset import Dataset, Protocol
from srreg.errors import BackendUnavailable, DataError, UsageError
from srreg.files import sha256
from srreg.registry import Registry
from srreg.subject import Pair

_ENOUGH_PAIRS = 10  # as many as the paper has


@dataclass(frozen=True)
class Plan:
    """A run that may begin.

    Args:
        record: of the run, as far as it is known before.
        pairs: to register.
        paper: the paper's among them, whose fields are kept.
        weights: method -> file that was given.
    """

    record: RunRecord
    pairs: tuple[Pair, ...]
    paper: tuple[Pair, ...]
    weights: Mapping[str, Path]


def plan(dataset: Dataset, out: Path, settings: RunSettings, methods: Registry[Factory]) -> Plan:
    """Look at everything a run needs but the methods' own packages.

    Raises:
        UsageError: settings that cannot be, or a folder with numbers of another data set or device.
        BackendUnavailable: weights that are not there.
        DataError: no test pairs, or a damaged record or rows in the folder.
    """
    profile_named(settings.profile)
    names = [methods.resolve(name) for name in settings.methods]
    weights = _given_weights(settings, names, methods)
    paper = dataset.pairs("test", "paper")
    protocol, pairs = test_pairs(dataset, settings.protocol)
    entries = tuple(entry for name in names for entry in _entries(name, weights.get(name), settings.seeds))
    _check_trainings(entries, settings)
    this = _record(dataset, settings, names, entries, protocol, pairs, len(paper))
    record.read(out / "run.json")  # a damaged one is refused now, not when all is done
    _check_alike(out, this)
    return Plan(this, pairs, paper, weights)


def test_pairs(dataset: Dataset, asked: Protocol | None) -> tuple[Protocol, tuple[Pair, ...]]:
    """The protocol that is asked for, or the paper's where it gives as many pairs as there; and its pairs.

    Raises:
        DataError: there are none.
    """
    protocol = asked or ("paper" if len(dataset.pairs("test", "paper")) >= _ENOUGH_PAIRS else "all")
    pairs = tuple(dataset.pairs("test", protocol))
    if not pairs:
        raise DataError(f"{dataset.root} has no test pairs for the protocol {protocol!r}; it needs two test subjects")
    return protocol, pairs


def short_digest(weights: Path) -> str:
    """Enough of a weights file's digest to tell it from any other, in every row.

    Raises:
        DataError: it cannot be read.
    """
    try:
        return sha256(weights)[:12]
    except OSError as error:
        raise DataError(f"{weights}: cannot be read as weights ({error.strerror})") from error


def _given_weights(settings: RunSettings, names: Sequence[str], methods: Registry[Factory]) -> dict[str, Path]:
    weights: dict[str, Path] = {}
    for given, path in settings.weights.items():
        name = methods.resolve(given)
        if name not in TRAINABLE:
            raise UsageError(f"{name} learns nothing and takes no weights. These do: {', '.join(sorted(TRAINABLE))}.")
        if name not in names:
            raise UsageError(f"weights were given for {name}, which is not among the methods asked for: {', '.join(names)}")
        if name in weights:
            raise UsageError(f"weights were given for {name} twice: {weights[name]} and {path}")
        if not path.is_file():
            raise BackendUnavailable(
                f"{path} was given as weights of {name} and is missing; train it: bench train --method {name}"
            )
        weights[name] = path
    return weights


def _entries(name: str, weights: Path | None, seeds: Sequence[int]) -> Iterator[Entry]:
    """One for each training; what is not trained here has none but seed 0."""
    if weights is not None:
        yield Entry(name, 0, short_digest(weights))
    elif name in TRAINABLE:
        yield from (Entry(name, seed, None) for seed in dict.fromkeys(seeds))
    else:
        yield Entry(name, 0, "")


def _check_trainings(entries: Sequence[Entry], settings: RunSettings) -> None:
    for entry in entries:
        if entry.weights is None:
            from benchmark.training import trainer

            trainer.job(
                entry.method,
                settings.profile,
                seed=entry.seed,
                device=settings.device,
                precision=settings.precision,
                epochs=settings.epochs,
                gradient_surgery=settings.gradient_surgery,
            )


def _record(
    dataset: Dataset,
    settings: RunSettings,
    names: Sequence[str],
    entries: tuple[Entry, ...],
    protocol: Protocol,
    pairs: Sequence[Pair],
    paper_pairs: int,
) -> RunRecord:
    return RunRecord(
        id=record.new_id(),
        methods=tuple(names),
        seeds=tuple(settings.seeds),
        entries=entries,
        protocol=protocol,
        pairs=tuple(pair.id for pair in pairs),
        paper_pairs=paper_pairs,
        device=device_name(settings.device),
        settings={
            "profile": settings.profile,
            "precision": settings.precision,
            "epochs": settings.epochs,
            "gradient_surgery": settings.gradient_surgery,
            "weights": {name: str(path) for name, path in settings.weights.items()},
            "keep_fields": settings.keep_fields,
            **described(dataset),
        },
        dataset=record.describe(dataset),
        versions=record.versions(),
        commit=record.commit(),
    )


def _check_alike(out: Path, this: RunRecord) -> None:
    """Numbers of two data sets or two devices do not share a folder, for they do not share a table."""
    rows = results.read(out / "results.csv")
    made_by = versions(record.read(out / "run.json"), {row.run for row in rows})
    if others := [version for version in made_by if version != VERSION]:
        raise UsageError(f"{out} holds numbers of version {others[0]} of the protocol, this is {VERSION}; give another --out")
    for row in rows:
        if row.dataset != this.dataset.digest:
            raise UsageError(f"{out} holds numbers of another data set ({row.dataset}); give this one another --out")
        if row.device != this.device:
            raise UsageError(f"{out} holds numbers from {row.device!r}, this is {this.device!r}; give another --out")
