import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest

from srreg.build import splits as drawn
from srreg.build.splits import draw, extended
from srreg.errors import DataError

ROOT = Path(__file__).parents[3]


def rows_of(path):
    head, *lines = path.read_text().splitlines()
    assert head.startswith("# seed=0 version=1 sha256=")
    return list(csv.DictReader(lines))


PEOPLE = [f"1B{'ABC'[n % 3]}{n:03d}" for n in range(180)]


@pytest.mark.parametrize(
    ("people", "sizes"),
    [
        (180, (150, 10, 20)),
        (12, (7, 2, 3)),
        (24, (19, 2, 3)),
        (6, (2, 2, 2)),
        (11, (7, 2, 2)),
        (5, (0, 0, 5)),
        (90, (75, 5, 10)),
    ],
)
def test_sizes_are_the_papers_or_in_its_proportions(people, sizes):
    members = draw(PEOPLE[:people], seed=0).members
    assert tuple(len(members[name]) for name in ("train", "val", "test")) == sizes
    assert sorted(p for part in members.values() for p in part) == sorted(PEOPLE[:people])


def test_the_order_in_which_people_come_decides_nothing():
    assert draw(PEOPLE, 3).digest == draw(reversed(PEOPLE), 3).digest
    assert draw(PEOPLE, 3).digest != draw(PEOPLE, 4).digest


def test_locale_and_hash_seed_decide_nothing():
    """A set of names comes in another order with each hash seed."""
    code = "from srreg.build.splits import draw; print(draw({f'1BA{n:03d}' for n in range(60)} | {'Äbc', 'Zyx'}, 3).digest)"
    digests = set()
    for number, locale in enumerate(("C", "C.UTF-8", "tr_TR.UTF-8")):
        environment = os.environ | {"PYTHONHASHSEED": str(number), "LC_ALL": locale}
        command = [sys.executable, "-c", code]
        digests.add(subprocess.run(command, capture_output=True, text=True, check=True, env=environment, cwd=ROOT).stdout)
    assert len(digests) == 1


def test_a_newcomer_joins_training_and_moves_nobody():
    before = draw(PEOPLE[:100], 0)
    after = extended(before, [*PEOPLE[:100], "new"])
    assert after.members["val"] == before.members["val"]
    assert after.members["test"] == before.members["test"]
    assert set(after.members["train"]) - set(before.members["train"]) == {"new"}


def test_where_nobody_could_train_enough_people_are_drawn_anew():
    few = draw(PEOPLE[:4], 0)
    many = extended(few, PEOPLE[:12])
    assert len(many.members["train"]) == 7
    assert many.version == 2


def test_files_read_back_and_hold_subjects_of_their_people(tmp_path):
    subjects = {f"s{n}": PEOPLE[n // 2] for n in range(24)}  # two subjects a person
    splits = draw(subjects.values(), 0)
    drawn.write(tmp_path, splits, subjects)
    assert drawn.read(tmp_path) == splits
    test = (tmp_path / "test.txt").read_text().splitlines()[1:]
    assert len(test) == 6
    assert {subjects[i] for i in test} == set(splits.members["test"])


def test_a_person_in_two_splits_is_refused(tmp_path):
    drawn.write(tmp_path, draw(PEOPLE[:12], 0), {})
    path = tmp_path / "persons.tsv"
    first = path.read_text().splitlines()[2].split("\t")[0]
    path.write_text(path.read_text() + f"{first}\ttest\n")
    with pytest.raises(DataError, match="two splits"):
        drawn.read(tmp_path)


def test_the_papers_pairs_are_those_of_numpys_legacy_generator(tmp_path):
    ids = [f"s{n:02d}" for n in range(20)]
    drawn.write_pairs(tmp_path / "test.csv", draw(ids, 0), ids, {i: i for i in ids})
    rows = rows_of(tmp_path / "test.csv")
    paper = [(int(r["moving"][1:3]), int(r["fixed"][1:3])) for r in rows if r["protocol"] == "paper"]
    # as the authors' script draws them
    assert paper == [(18, 1), (19, 8), (10, 17), (6, 13), (4, 2), (5, 14), (9, 7), (16, 11), (3, 0), (15, 12)]
    every = [r for r in rows if r["protocol"] == "all"]
    assert len(every) == 380
    assert all(r["moving"].endswith(":mr") and r["fixed"].endswith(":ct") for r in rows)


def test_two_subjects_of_one_person_are_never_a_pair(tmp_path):
    ids = ["a1", "a2", "b1", "b2"]
    drawn.write_pairs(tmp_path / "test.csv", draw(["a", "b"], 0), ids, {i: i[0] for i in ids})
    rows = rows_of(tmp_path / "test.csv")
    assert all(r["moving"][0] != r["fixed"][0] for r in rows)
    assert len([r for r in rows if r["protocol"] == "all"]) == 8
