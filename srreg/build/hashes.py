"""sha256 of source files, remembered by size, time and inode so that a rerun reads none of them."""

from collections.abc import Sequence
from pathlib import Path

from srreg.errors import DataError
from srreg.files import read_json, sha256, write_json


class RememberedHashes:
    """Digests of files that have not been touched since they were last hashed.

    Args:
        memory: the JSON file they are kept in; one that cannot be read is started anew.
        deep: hash again, whatever is remembered.
    """

    def __init__(self, memory: Path, deep: bool = False) -> None:
        self._memory = memory
        self._known: dict[str, object] = {} if deep else _remembered(memory)

    def of(self, path: Path) -> str:
        """The file's sha256.

        Raises:
            DataError: it cannot be read.
        """
        try:
            stat = path.stat()
            name, stamp = str(path.absolute()), [stat.st_size, stat.st_mtime_ns, stat.st_ino]
            known = self._known.get(name)
            if isinstance(known, list) and known[:3] == stamp:
                return str(known[3])
            found = sha256(path)
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror})") from error
        self._known[name] = [*stamp, found]
        return found

    def of_all(self, paths: Sequence[Path]) -> dict[str, str]:
        """File name -> sha256."""
        return {path.name: self.of(path) for path in paths}

    def save(self) -> None:
        """Write what is known for the next run, beside what another shard has found meanwhile."""
        write_json(self._memory, {**_remembered(self._memory), **self._known})


def _remembered(memory: Path) -> dict[str, object]:
    try:
        return read_json(memory)
    except DataError:
        return {}
