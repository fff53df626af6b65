"""What `manifest.jsonl` says about each subject: a line a step."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

# A folder in a text: what comes before a file's name. Reports travel, and folders name people. Only Windows' may hold
# blanks ("C:\Users\Jane Doe"): before a slash in plain words a blank would swallow too much.
_FOLDERS = re.compile(
    r"""(?<![\w.:/\\])(?: [A-Za-z]:[/\\](?:[^/\\:'"<>\n]+[/\\])* | (?:/[^\s/:'"<>]+)*/(?=[^\s/]) )""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class StepLine:
    """One step of one subject, as text ready to be shown; empty where the manifest does not say."""

    step: str
    status: str
    seconds: str
    key: str
    reason: str


def read_history(manifest: Path) -> dict[str, list[StepLine]]:
    """Subject -> its steps, in their order; empty where there is no manifest.

    Every build writes the manifest anew, so a step stands there once. Lines that are not JSON objects, and
    keys that are missing, are passed over: a report is worth more than its last section.
    """
    history: dict[str, list[StepLine]] = {}
    for record in _records(manifest):
        history.setdefault(str(record["subject"]), []).append(_line(record))
    return history


def _records(manifest: Path) -> Iterator[Mapping[str, object]]:
    if not manifest.is_file():
        return
    for line in manifest.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict) and record.get("subject"):
            yield record


def _line(record: Mapping[str, object]) -> StepLine:
    seconds = record.get("seconds")
    return StepLine(
        step=str(record.get("step", "")),
        status=str(record.get("status", "")),
        seconds=f"{seconds:.1f}" if isinstance(seconds, int | float) else "",
        key=str(record.get("key", ""))[:12],
        reason=without_folders(str(record.get("reason") or "")),
    )


def without_folders(text: str) -> str:
    """The text with every absolute path cut down to its last part."""
    return _FOLDERS.sub("", text)
