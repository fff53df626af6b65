"""Which splits a build ends with: those that are there, somebody else's, or drawn ones."""

import logging
from collections.abc import Sequence

from srreg.build import splits as drawn
from srreg.build.settings import BuildSettings
from srreg.build.split_file import NOT_DRAWN, read_splits
from srreg.build.splits import Splits
from srreg.dataset import Participant
from srreg.errors import UsageError
from srreg.sources.synthrad import Case

log = logging.getLogger(__name__)


def choose(settings: BuildSettings, cases: Sequence[Case], previous: Sequence[Participant]) -> Splits:
    """Over everybody the source has, so that a trial with --limit does not decide who trains.

    Raises:
        DataError: a given table is not one, or holds others than those who need a split.
        UsageError: the data set has other splits than the table, and --resplit was not said.
    """
    everybody = {p.id: p.person for p in previous} | {case.id: case.person for case in cases}
    left_out = {*settings.exclude, *(p.id for p in previous if p.status == "excluded")} - {
        case.id for case in cases if case.id not in settings.exclude
    }
    people = {subject: person for subject, person in everybody.items() if subject not in left_out}
    known = drawn.read(settings.out / "splits")
    if settings.splits is not None:
        return _given(settings, people, known, others={subject: everybody[subject] for subject in left_out & everybody.keys()})
    if known is None:
        return drawn.draw(people.values(), settings.seed)
    if settings.resplit:
        return drawn.draw(people.values(), settings.seed, known.version + 1)
    if known.seed not in (settings.seed, NOT_DRAWN):
        log.warning("splits were drawn with seed %d and stay; --resplit draws them with seed %d", known.seed, settings.seed)
    return drawn.extended(known, people.values())


def _given(settings: BuildSettings, people: dict[str, str], known: Splits | None, others: dict[str, str]) -> Splits:
    assert settings.splits is not None
    given = read_splits(settings.splits, people, others, settings.allow_missing)
    if known is None or known.digest == given.digest:
        return given if known is None else known
    if not settings.resplit:
        raise UsageError(f"{settings.out} has other splits than {settings.splits}; --resplit takes these instead")
    return Splits(given.members, given.seed, known.version + 1)
