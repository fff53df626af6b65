from dataclasses import replace

import pytest
from hand_made_runs import RECORD

from benchmark import protocol
from srreg.errors import DataError


def noting(**settings):
    return replace(RECORD, settings=settings)


def test_a_run_notes_the_version_and_the_people_of_the_test_subjects(dataset):
    people = {"1BA005": "1BA005", "1BA006": "1BA006"}
    assert protocol.described(dataset) == {"protocol_version": protocol.VERSION, "people": people}


def test_only_the_runs_asked_about_have_a_version(tmp_path):
    records = [noting(), replace(noting(protocol_version=2), id="later")]
    assert protocol.versions(records, [RECORD.id, "later"]) == [1, 2]
    assert protocol.versions(records, ["later"]) == [2]


def test_a_version_that_is_no_number_is_refused():
    with pytest.raises(DataError, match="expected a whole number as protocol_version, got 'two'"):
        protocol.versions([noting(protocol_version="two")], [RECORD.id])


def test_the_people_of_a_pair_are_those_noted_and_else_its_subjects():
    made = noting(people={"1BA_1.x": "anna"})
    assert protocol.people_of(made, "1BA_1.x-mr_1BB-2-ct") == ("anna", "1BB-2")


@pytest.mark.parametrize(("made", "pair"), [(noting(), "nothing"), (noting(people=["anna"]), "a-mr_b-ct")])
def test_what_tells_of_no_people_is_refused(made, pair):
    with pytest.raises(DataError, match="expected the id of a pair, and people by subject"):
        protocol.people_of(made, pair)
