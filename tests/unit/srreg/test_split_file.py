"""Others' splits are taken as they are or refused with names; nobody is in two of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from srreg.build.split_file import NOT_DRAWN, read_splits
from srreg.errors import DataError

PEOPLE = {"1BA001": "ann", "1BA002": "ann", "1BB001": "bob", "1BC001": "1BC001"}


def table(tmp_path, text):
    path = tmp_path / "splits.tsv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_persons_or_subjects_may_be_named(tmp_path):
    named = read_splits(table(tmp_path, "person\tsplit\nann\ttrain\nbob\tval\n1BC001\ttest\n"), PEOPLE)
    assert named.members == {"train": ("ann",), "val": ("bob",), "test": ("1BC001",)}
    assert named.seed == NOT_DRAWN
    by_subject = read_splits(
        table(tmp_path, "# of theirs\n1BA001\ttrain\nsub-1BA002\ttrain\n1BB001\tval\n1BC001\ttest\n"), PEOPLE
    )
    assert by_subject == named


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1BA001\ttrain\n1BA002\ttest\nbob\tval\n1BC001\ttest\n", "ann are in more than one split"),
        ("ann\ttrain\nann\ttrain\nbob\tval\n1BC001\ttest\n", "ann are in more than one line"),
        ("ann\ttrain\nbob\tval\n1BC001\ttest\nzoe\ttest\nyan\ttest\n", "yan, zoe are not among those"),
        ("ann\ttrain\n", "1BC001, bob have no split"),
        ("ann,train\n", "expected a person, a tab"),
        ("ann\tholdout\n", "expected a person, a tab"),
        (b"\xff\xfe\x00", "not UTF-8"),
    ],
)
def test_what_cannot_be_is_refused_with_the_names(text, message, tmp_path):
    with pytest.raises(DataError, match=message):
        read_splits(table(tmp_path, text), PEOPLE)


def test_people_who_are_not_here_may_be_allowed_but_nobody_here_may_lack_a_split(tmp_path):
    text = "ann\ttrain\nbob\tval\n1BC001\ttest\nzoe\ttest\n"
    assert read_splits(table(tmp_path, text), PEOPLE, allow_missing=True).members["test"] == ("1BC001", "zoe")
    with pytest.raises(DataError, match="bob have no split"):
        read_splits(table(tmp_path, text.replace("bob", "bill")), PEOPLE, allow_missing=True)


def test_who_was_left_out_may_be_named_by_person_or_subject(tmp_path):
    others = {"1BC001": "1BC001", "1BC002": "zoe"}
    here = {subject: person for subject, person in PEOPLE.items() if subject not in others}
    text = "ann\ttrain\nbob\tval\n1BC001\ttest\nzoe\ttest\n"
    assert read_splits(table(tmp_path, text), here, others).members["test"] == ("1BC001", "zoe")
    with pytest.raises(DataError, match="yan are not among those"):
        read_splits(table(tmp_path, text + "yan\ttest\n"), here, others)
    with pytest.raises(DataError, match="bob have no split"):
        read_splits(table(tmp_path, text.replace("bob\tval\n", "")), here, others)


@given(st.binary(max_size=200))
def test_noise_is_refused_with_our_own_error(tmp_path_factory, noise):
    with pytest.raises(DataError):
        read_splits(table(tmp_path_factory.mktemp("noise"), noise), PEOPLE)
