from collections.abc import Iterator

from srreg import errors
from srreg.errors import SrregError


def _all(kind: type[SrregError]) -> Iterator[type[SrregError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from _all(below)


# What scripts rely on: a line may join, none may change.
CODES = {
    "SrregError": "SRR-100",
    "StepFailed": "SRR-110",
    "ToolFailed": "SRR-120",
    "ResultRefused": "SRR-130",
    "UsageError": "SRR-200",
    "UnknownName": "SRR-210",
    "DataError": "SRR-300",
    "GeometryError": "SRR-310",
    "BackendUnavailable": "SRR-400",
    "FolderBusy": "SRR-500",
    "NoRoom": "SRR-600",
}


def test_codes_stay_as_they_are_and_begin_with_the_exit_code() -> None:
    own = {kind.__name__: kind for kind in _all(SrregError) if kind.__module__ == "srreg.errors"}
    assert {name: kind.code for name, kind in own.items()} == CODES
    assert all(kind.code[4] == str(kind.exit_code) for kind in own.values())


def test_the_tree_at_the_top_of_the_file_says_the_same() -> None:
    assert errors.__doc__ is not None
    lines = [line.strip(" |`-").split() for line in errors.__doc__.splitlines() if " SRR-" in line and "   " in line]
    drawn = {words[0]: (words[2], words[1]) for words in lines if words[0] in CODES}
    assert drawn == {name: (code, code[4]) for name, code in CODES.items()}
