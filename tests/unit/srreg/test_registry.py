import pytest

from srreg.errors import UnknownName
from srreg.registry import Registry

PARTS = Registry("part", {"initial": "math:pi", "mambamorph": "math:e", "mambamorph-plain": "math:tau"}, {"mm": "mambamorph"})


def test_what_stands_behind_a_name_is_imported_when_asked_for():
    assert PARTS.load("mm") == pytest.approx(2.718281828)


def test_a_wrong_name_is_answered_with_the_nearest_and_the_list():
    with pytest.raises(UnknownName, match=r"Did you mean 'mambamorph'\?.*initial, mambamorph"):
        PARTS.resolve("mambamorf")


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("all", ["initial", "mambamorph", "mambamorph-plain"]),
        ("mambamorph*", ["mambamorph", "mambamorph-plain"]),
        ("mm, initial", ["initial", "mambamorph"]),
        ("initial,initial", ["initial"]),
    ],
)
def test_names_are_selected_in_the_registrys_order(pattern, names):
    assert PARTS.select(pattern) == names


def test_what_is_to_be_asked_for_by_name_is_not_meant_by_all():
    parts = Registry("part", {"a": "math:pi", "b": "math:e", "b2": "math:tau"}, only_by_name=("b",))
    assert parts.select("all") == ["a", "b2"]
    assert parts.select("all,b") == ["a", "b", "b2"]
    assert parts.select("b*") == ["b", "b2"]


@pytest.mark.parametrize("pattern", ["", " , ", "nothing*", "initial,x"])
def test_a_pattern_without_a_name_is_refused(pattern):
    with pytest.raises(UnknownName):
        PARTS.select(pattern)
