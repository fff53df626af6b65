"""Volumes cut short or with one bit turned: found, or the same voxels in the same place."""

import random
from collections.abc import Iterator
from pathlib import Path

from srreg import io
from srreg.errors import DataError
from srreg.volume import Volume


def damaged(content: bytes, trials: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """A name and the bytes, by turns cut off somewhere and with one bit turned somewhere."""
    rng = random.Random(seed)
    for number in range(trials):
        place = rng.randrange(len(content))
        if number % 2:
            bit = 1 << rng.randrange(8)
            yield f"bit {bit} of byte {place}", content[:place] + bytes([content[place] ^ bit]) + content[place + 1 :]
        else:
            yield f"cut to {place} bytes", content[:place]


def verdict(whole: Volume, path: Path) -> str:
    """`found`, `harmless` (a gzip header's time or name: no voxel differs) or `MISSED`."""
    try:
        read = io.read_volume(path)
    except DataError:
        return "found"
    return "harmless" if read.digest == whole.digest else "MISSED"


def count(path: Path, trials: int, seed: int, room: Path) -> dict[str, int]:
    """Verdict -> how many of the trials on one volume."""
    whole, target = io.read_volume(path), room / "damaged.nii.gz"
    found = {"found": 0, "harmless": 0, "MISSED": 0}
    for _, content in damaged(path.read_bytes(), trials, seed):
        target.write_bytes(content)
        found[verdict(whole, target)] += 1
    return found
