"""Two ways in which a CT is not the one that belongs to its MR: mirrored, and another person's. The report objects."""

from dataclasses import replace

import numpy as np
import pytest

from srreg import io
from srreg.build.steps.align import Align
from srreg.build.steps.conform import Conform
from srreg.geometry import apply_affine, reorient_to_ras, resample
from srreg.qc.case import Case
from srreg.qc.checks import examine
from srreg.simulate.tree import Simulation, simulate
from srreg.sources.synthrad import find_cases, read_case
from srreg.subject import Subject


@pytest.fixture(scope="module")
def two_people(tmp_path_factory: pytest.TempPathFactory) -> list[Subject]:
    tree = tmp_path_factory.mktemp("people")
    simulate(tree, Simulation(2, seed=5, size="quarter"))
    people = []
    for case in find_cases(tree):
        regions = {part: reorient_to_ras(io.read_labels(case.file(part))) for part in ("brain", "labels")}
        people.append(replace(read_case(case), **regions))  # type: ignore[arg-type]
    return people


def _middle(subject: Subject) -> np.ndarray:
    assert subject.brain is not None
    return apply_affine(subject.brain.affine, np.argwhere(subject.brain.data > 0).mean(axis=0))


def _with_ct_of(subject: Subject, other: Subject, mirror: bool) -> Subject:
    """Brain on brain, as a rigid registration would lay them."""
    way = np.diag([-1.0 if mirror else 1.0, 1.0, 1.0, 1.0])
    way[:3, 3] = _middle(subject) - way[:3, :3] @ _middle(other)
    return replace(subject, ct=resample(other.ct, subject.mr.grid, way, background=-1000.0))


def _objections(subject: Subject) -> set[str]:
    assert subject.brain is not None
    built = Conform("quarter")(Align("center")(subject))
    found = examine(Case(built, subject.brain.volume_ml(), is_in_frame=True))
    return {finding.check for finding in found if finding.verdict in ("warn", "fail")}


def test_a_ct_that_belongs_to_its_mr_is_flagged_by_none_of_these_checks(two_people: list[Subject]) -> None:
    for person in two_people:
        assert not {"mirror", "misalignment", "turn"} & _objections(_with_ct_of(person, person, mirror=False))


def test_a_mirrored_ct_is_flagged_as_one(two_people: list[Subject]) -> None:
    assert all("mirror" in _objections(_with_ct_of(person, person, mirror=True)) for person in two_people)


def test_the_cts_of_two_people_that_were_swapped_are_flagged(two_people: list[Subject]) -> None:
    one, other = two_people
    for swapped in (_with_ct_of(one, other, mirror=False), _with_ct_of(other, one, mirror=False)):
        assert "misalignment" in _objections(swapped)
