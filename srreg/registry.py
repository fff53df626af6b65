"""A readable table of names; what stands behind a name is imported when it is asked for."""

import difflib
import fnmatch
import importlib
from collections.abc import Collection, Iterator, Mapping
from typing import Generic, TypeVar

from srreg.errors import UnknownName

T = TypeVar("T")


class Registry(Generic[T]):
    """Names and the `module:attribute` behind each, in the order in which they are to be shown.

    Args:
        kind: what the names are names of, for messages ("method", "skull stripper").
        entries: name -> "module:attribute".
        aliases: other spelling -> name.
        only_by_name: entries that `all` does not mean.
    """

    def __init__(
        self,
        kind: str,
        entries: Mapping[str, str],
        aliases: Mapping[str, str] | None = None,
        only_by_name: Collection[str] = (),
    ) -> None:
        self.kind = kind
        self._only_by_name = frozenset(only_by_name)
        self._entries = dict(entries)
        self._aliases = dict(aliases or {})

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __contains__(self, name: str) -> bool:
        return name in self._entries or name in self._aliases

    def resolve(self, name: str) -> str:
        """The name itself, or the one an alias stands for.

        Raises:
            UnknownName: with the nearest name and the whole list.
        """
        name = self._aliases.get(name, name)
        if name in self._entries:
            return name
        near = difflib.get_close_matches(name, [*self._entries, *self._aliases], n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise UnknownName(f"no {self.kind} is called {name!r}.{hint} There are: {', '.join(self)}.")

    def load(self, name: str) -> T:
        """Import what stands behind a name."""
        module, _, attribute = self._entries[self.resolve(name)].partition(":")
        found: T = getattr(importlib.import_module(module), attribute)
        return found

    def select(self, pattern: str) -> list[str]:
        """Names for `all`, a comma-separated list and wildcards, in the registry's order, each once.

        Raises:
            UnknownName: a part that names nothing.
        """
        wanted: set[str] = set()
        for part in filter(None, (p.strip() for p in pattern.split(","))):
            matched = [name for name in self if name not in self._only_by_name] if part == "all" else fnmatch.filter(self, part)
            wanted.update(matched or [self.resolve(part)])
        if not wanted:
            raise UnknownName(f"no {self.kind} was named. There are: {', '.join(self)}.")
        return [name for name in self if name in wanted]
