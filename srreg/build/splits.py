"""Who trains, who validates, who is tested, and which pairs are registered: files, drawn once.

Splits are by person: persons are ranked by a hash of seed and name and cut 150/10/20, or in these
proportions. Nothing depends on the order of folders, on locale or on machine.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from srreg.dataset import SPLITS, Split
from srreg.errors import DataError
from srreg.files import read_text, write_text

_PAPER = {"train": 150, "val": 10, "test": 20}
_FEWEST_TO_SPLIT = 6


@dataclass(frozen=True)
class Splits:
    """Persons by split; `version` grows with each `--resplit`."""

    members: Mapping[Split, tuple[str, ...]]  # persons
    seed: int
    version: int = 1

    @property
    def digest(self) -> str:
        """sha256 of the three lists."""
        text = "".join(f"{name}:{','.join(self.members[name])}\n" for name in SPLITS)
        return hashlib.sha256(text.encode()).hexdigest()


def draw(persons: Iterable[str], seed: int, version: int = 1) -> Splits:
    """Rank the persons and cut: test last, validation before it; under 6 persons all are test."""
    ranked = sorted(set(persons), key=lambda person: hashlib.sha256(f"{seed}:{version}:{person}".encode()).digest())
    n_val, n_test = _sizes(len(ranked))
    cut = len(ranked) - n_val - n_test
    members: dict[Split, tuple[str, ...]] = {
        "train": tuple(sorted(ranked[:cut])),
        "val": tuple(sorted(ranked[cut : cut + n_val])),
        "test": tuple(sorted(ranked[cut + n_val :])),
    }
    return Splits(members, seed, version)


def _sizes(persons: int) -> tuple[int, int]:
    """How many validate and how many are tested."""
    if persons < _FEWEST_TO_SPLIT:
        return 0, persons
    total = sum(_PAPER.values())
    least_test = 3 if persons >= 12 else 2
    return max(2, round(persons * _PAPER["val"] / total)), max(least_test, round(persons * _PAPER["test"] / total))


def extended(splits: Splits, persons: Iterable[str]) -> Splits:
    """The same splits with the persons they do not hold in training; nobody moves, and given splits are never drawn anew.

    Where there were too few to split, so that nothing can have been trained yet, they are drawn anew as the next version.
    """
    held = {person for members in splits.members.values() for person in members}
    everyone = held | set(persons)
    if splits.seed >= 0 and not splits.members["train"] and len(everyone) >= _FEWEST_TO_SPLIT:
        return draw(everyone, splits.seed, splits.version + 1)
    grows: Split = "train" if splits.members["train"] else "test"
    members = {**splits.members, grows: tuple(sorted([*splits.members[grows], *(everyone - held)]))}
    return Splits(members, splits.seed, splits.version)


def read(folder: Path) -> Splits | None:
    """The persons in `splits/persons.tsv`, or None if none were drawn yet.

    Raises:
        DataError: a person in two splits, or a file that is not ours.
    """
    path = folder / "persons.tsv"
    if not path.is_file():
        return None
    lines = read_text(path).splitlines()
    try:
        head = dict(part.split("=", 1) for part in lines[0].removeprefix("# ").split())
        rows = [line.split("\t") for line in lines[2:]]
        found = {name: tuple(person for person, split in rows if split == name) for name in SPLITS}
        splits = Splits(found, int(head["seed"]), int(head["version"]))
    except (ValueError, KeyError, IndexError) as error:
        raise DataError(f"{path}: is not a split file of srreg ({error})") from error
    everyone = [person for members in found.values() for person in members]
    if len(everyone) != len(set(everyone)):
        raise DataError(f"{path}: a person is in two splits")
    return splits


def write(folder: Path, splits: Splits, subjects: Mapping[str, str]) -> None:
    """Write the persons and, for each split, the ids of their subjects.

    Args:
        folder: `splits/` of the data set.
        splits: persons by split.
        subjects: subject -> person, of what is built.
    """
    head = _head(splits)
    rows = [f"{person}\t{name}\n" for name in SPLITS for person in splits.members[name]]
    write_text(folder / "persons.tsv", head + "person\tsplit\n" + "".join(rows))
    for name in SPLITS:
        ids = subjects_of(splits, name, subjects)
        write_text(folder / f"{name}.txt", head + "".join(f"{i}\n" for i in ids))


def _head(splits: Splits) -> str:
    return f"# seed={splits.seed} version={splits.version} sha256={splits.digest}\n"


def subjects_of(splits: Splits, name: Split, subjects: Mapping[str, str]) -> list[str]:
    """Ids of a split's subjects, sorted."""
    return sorted(i for i, person in subjects.items() if person in splits.members[name])


def write_pairs(path: Path, splits: Splits, ids: Sequence[str], subjects: Mapping[str, str]) -> None:
    """Write what is registered to what: MR to CT, `paper`'s couples and `all` ordered pairs of different people.

    The paper's: the list permuted with numpy's legacy generator, seed 0, and cut into couples.
    """
    order = [ids[k] for k in np.random.RandomState(0).permutation(len(ids))]
    paper = [(a, b) for a, b in zip(order[::2], order[1::2], strict=False) if subjects[a] != subjects[b]]
    every = [(a, b) for a in ids for b in ids if subjects[a] != subjects[b]]
    rows = [f"{a}:mr,{b}:ct,paper" for a, b in paper] + [f"{a}:mr,{b}:ct,all" for a, b in every]
    write_text(path, _head(splits) + "".join(f"{row}\n" for row in ["moving,fixed,protocol", *rows]))
