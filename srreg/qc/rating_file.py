"""The ratings that a person saved from the report, or wrote by hand: read, checked, refused where anything is odd."""

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from srreg.errors import DataError
from srreg.files import check_columns, read_text
from srreg.ratings import DECISIONS, REASONS, Rating, defused

_REQUIRED = ("participant_id", "decision", "rater", "date")
_FORMAT = "srreg-ratings"
_LARGEST_BYTES = 10_000_000
_LONGEST = {"rater": 64, "comment": 2000}
_MOST_NAMED = 5
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)


def read_rating_file(path: Path, images: Mapping[str, str], now: datetime | None = None) -> tuple[Rating, ...]:
    """Read TSV or JSON as the report saves it.

    Args:
        path: a table with the columns `participant_id`, `decision`, `rater`, `date` and, as you like, `reasons`, `comment` and
            `images`; or a JSON object with them under `ratings`.
        images: subject -> its `SubjectKey`, of everybody that can be rated.
        now: the time; no rating is of the future.

    Raises:
        DataError: not such a file, or any rating in it cannot be taken; the message names the first few.
    """
    if path.is_file() and path.stat().st_size > _LARGEST_BYTES:
        raise DataError(f"{path}: is larger than {_LARGEST_BYTES / 1e6:g} MB; ratings never are")
    return ratings_in(read_text(path), path, images, now)


def ratings_in(text: str, path: Path, images: Mapping[str, str], now: datetime | None = None) -> tuple[Rating, ...]:
    """The same for a text that is already read; `path` is what messages call it."""
    latest = (now or datetime.now(UTC)) + timedelta(days=1)
    rows = _json_rows(path, text) if text.lstrip().startswith("{") else _tsv_rows(path, text)
    ratings, troubles = [], []
    for place, row in rows.items():
        try:
            ratings.append(_rating(row, images, latest))
        except ValueError as error:
            troubles.append(f"{place}: {error}")
    troubles += _contradictions(ratings)
    if troubles:
        more = f" and {len(troubles) - _MOST_NAMED} more" if len(troubles) > _MOST_NAMED else ""
        raise DataError(f"{path}: nothing was taken; {'; '.join(troubles[:_MOST_NAMED])}{more}")
    return tuple(ratings)


def _tsv_rows(path: Path, text: str) -> dict[str, dict[str, str]]:
    lines = text.splitlines()
    header = lines[0].split("\t") if lines else []
    check_columns(path, header, _REQUIRED)
    rows = {f"line {n}": list(map(_unquoted, line.split("\t"))) for n, line in enumerate(lines[1:], start=2) if line.strip()}
    for place, cells in rows.items():
        if len(cells) != len(header):
            raise DataError(f"{path}, {place}: expected {len(header)} columns, got {len(cells)}")
    return {place: dict(zip(header, cells, strict=True)) for place, cells in rows.items()}


def _unquoted(cell: str) -> str:
    """Spreadsheets put quotes around a cell with a comma, and double those inside."""
    is_quoted = len(cell) > 1 and cell[0] == cell[-1] == '"'
    return cell[1:-1].replace('""', '"') if is_quoted else cell


def _json_rows(path: Path, text: str) -> dict[str, dict[str, str]]:
    try:
        record = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: is not JSON ({error})") from error
    rows = record.get("ratings")
    if record.get("format") != _FORMAT or not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise DataError(f'{path}: expected {{"format": "{_FORMAT}", "ratings": [{{...}}, ...]}} as the report saves it')
    for row in rows:
        check_columns(path, row, _REQUIRED)
    return {f"rating {n}": {key: _text(path, key, value) for key, value in row.items()} for n, row in enumerate(rows, start=1)}


def _text(path: Path, key: str, value: object) -> str:
    if value is None:
        return ""
    if key == "reasons" and isinstance(value, list):
        return ",".join(map(str, value))
    if not isinstance(value, str):
        raise DataError(f"{path}: expected text as {key[:80]!r}, got {json.dumps(value)[:80]}")
    return value


def _rating(row: Mapping[str, str], images: Mapping[str, str], latest: datetime) -> Rating:
    """One rating.

    Raises:
        ValueError: saying what was expected.
    """
    cells = {key: "" if value == "n/a" else value for key, value in row.items()}
    subject = cells["participant_id"].removeprefix("sub-")
    if subject not in images:
        raise ValueError(f"{subject[:80]!r} is no built subject of this data set")
    seen = cells.get("images") or images[subject]
    if seen != images[subject]:
        raise ValueError(f"{subject} was rated as it was built before; look at it again: srreg qc report")
    if cells["decision"] not in DECISIONS:
        raise ValueError(f"expected {', '.join(DECISIONS)} as decision, got {cells['decision'][:80]!r}")
    return Rating(
        subject=subject,
        decision=cells["decision"],
        reasons=_reasons(cells.get("reasons", "")),
        comment=_words("comment", cells.get("comment", "")),
        rater=_words("rater", cells["rater"]),
        date=_date(cells["date"], latest),
        images=seen,
    )


def _reasons(text: str) -> str:
    named = {part.strip() for part in text.split(",") if part.strip()}
    if named - set(REASONS):
        raise ValueError(f"expected reasons among {', '.join(REASONS)}, got {sorted(named - set(REASONS))[0][:80]!r}")
    return ",".join(reason for reason in REASONS if reason in named)


def _words(what: str, text: str) -> str:
    plain = defused(text)
    if len(plain) > _LONGEST[what]:
        raise ValueError(f"expected at most {_LONGEST[what]} characters as {what}, got {len(plain)}")
    if what == "rater" and not plain:
        raise ValueError("has no rater; say who decided")
    return plain


def _date(text: str, latest: datetime) -> str:
    try:
        date = datetime.fromisoformat(text)
        date = date.replace(tzinfo=UTC) if date.tzinfo is None else date.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"expected a date as 2026-11-24T17:30:00Z, got {text[:80]!r}") from error
    if date > latest:
        raise ValueError(f"{text[:80]} lies in the future")
    if date < _EARLIEST:
        raise ValueError(f"{text[:80]} lies before the first scanners")
    return date.strftime("%Y-%m-%dT%H:%M:%SZ")


def _contradictions(ratings: Sequence[Rating]) -> Collection[str]:
    """A rater who says two things of a subject at one time."""
    said: dict[tuple[str, str, str], Rating] = {}
    clashes = [r for r in ratings if said.setdefault((r.subject, r.rater, r.date), r) != r]
    return [f"{r.rater} rates {r.subject} twice at {r.date}" for r in clashes]
