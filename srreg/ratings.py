"""What people who looked at a data set decided: `ratings.tsv`, and what it means for who is in.

Every rating that was ever taken stays in the file; a subject's newest one counts. A rating is of images, not of a
name: one given to other voxels than those that are there now counts no more.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, fields, replace
from pathlib import Path
from typing import Literal, get_args

from srreg.dataset import Participant, file_of
from srreg.errors import DataError
from srreg.files import read_json, read_tsv, tsv, write_text

Decision = Literal["accept", "unsure", "reject"]
DECISIONS: tuple[Decision, ...] = get_args(Decision)  # the later, the stricter
REASONS = ("mask", "labels", "alignment", "mr-quality", "ct-quality", "wrong-person", "field-of-view", "metal", "other")
_FORMULA = ("=", "+", "-", "@", "|", "%")  # what spreadsheets take for the beginning of one


@dataclass(frozen=True)
class Rating:
    """One person's decision on one subject.

    Args:
        subject: its id.
        decision: `reject` takes it out of splits and pairs; `accept` and `unsure` leave it in.
        reasons: of `REASONS`, in their order, commas between them.
        comment: free text.
        rater: who decided.
        date: when, as `2026-11-24T17:30:00Z`.
        images: the `SubjectKey` of what was looked at.
    """

    subject: str
    decision: Decision
    reasons: str
    comment: str
    rater: str
    date: str
    images: str

    def because(self) -> str:
        """Why the subject is out, in one line."""
        why = "; ".join(filter(None, (self.reasons, self.comment)))
        return f"rejected by {self.rater} on {self.date[:10]}" + (f": {why}" if why else "")


_COLUMNS = ("participant_id", *(field.name for field in fields(Rating)[1:]))


def ledger(root: Path) -> Path:
    """Where a data set's ratings lie."""
    return root / "ratings.tsv"


def read_ratings(root: Path) -> tuple[Rating, ...]:
    """Every rating a data set has taken; empty where nobody has rated.

    Raises:
        DataError: a file that is not ours.
    """
    return read_table(ledger(root))


def read_table(path: Path) -> tuple[Rating, ...]:
    """The ratings of a table that `write_table` wrote; empty where there is none.

    Raises:
        DataError: a file that is not ours.
    """
    if not path.is_file():
        return ()
    rows = [[("" if row[c] == "n/a" else row[c]) for c in _COLUMNS] for row in read_tsv(path, _COLUMNS)]
    for cells in rows:
        if cells[1] not in DECISIONS:
            raise DataError(f"{path}: expected {', '.join(DECISIONS)} as decision, got {cells[1]!r}")
    return tuple(Rating(cells[0].removeprefix("sub-"), *cells[1:]) for cells in rows)  # type: ignore[arg-type]


def write_ratings(root: Path, ratings: Iterable[Rating]) -> None:
    """Write what a data set has taken."""
    write_table(ledger(root), ratings)


def write_table(path: Path, ratings: Iterable[Rating]) -> None:
    """Write ratings by subject and date, the whole file or none; a rating that is there twice is written once."""
    rows = [dict(zip(_COLUMNS, astuple(r), strict=True)) for r in sorted(set(ratings), key=_order)]
    for row in rows:
        row["participant_id"] = f"sub-{row['participant_id']}"
    write_text(path, tsv(_COLUMNS, [{name: cell or None for name, cell in row.items()} for row in rows]))


def _order(rating: Rating) -> tuple[str, str, int, str]:
    """By subject, then date; of two at one time the stricter counts, so it stands last."""
    return rating.subject, rating.date, DECISIONS.index(rating.decision), rating.rater


def decided(root: Path, ratings: Sequence[Rating]) -> dict[str, Rating]:
    """Subject -> its newest rating, of those given to the images that are there now."""
    newest = {r.subject: r for r in sorted(ratings, key=_order)}
    return {subject: r for subject, r in newest.items() if r.images == key_of(root, subject)}


def outdated(root: Path, ratings: Sequence[Rating]) -> list[str]:
    """Who was rejected as he was built before, and is in again since he was built anew."""
    newest = {r.subject: r for r in sorted(ratings, key=_order)}
    keys = {subject: key_of(root, subject) for subject, r in newest.items() if r.decision == "reject"}
    return [subject for subject, key in keys.items() if key and key != newest[subject].images]


def key_of(root: Path, subject_id: str) -> str:
    """The `SubjectKey` of a subject's files; empty where there are none."""
    try:
        return str(read_json(file_of(root, subject_id, "labels", ".json")).get("SubjectKey", ""))
    except DataError:
        return ""


def judged(participants: Iterable[Participant], decisions: Mapping[str, Rating]) -> list[Participant]:
    """The participants as the ratings would have them: who is built and rejected is `rejected`, with rater and date."""
    return [_judged(p, decisions.get(p.id)) for p in participants]


def _judged(participant: Participant, rating: Rating | None) -> Participant:
    if participant.status not in ("built", "rejected"):
        return participant
    if rating is None or rating.decision != "reject":
        return replace(participant, status="built", reason="")
    return replace(participant, status="rejected", reason=rating.because())


def defused(text: str) -> str:
    """Text that no spreadsheet takes for a formula: what looks like one gets an apostrophe before it."""
    plain = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return f"'{plain}" if plain.startswith(_FORMULA) else plain
