"""A tool of the user's own, named by its command line: `command:LINE` with `{input}` and `{output}` in it."""

import re
import shlex
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from srreg.backends.gpu import with_cpu_retry
from srreg.backends.on_files import run_on_files
from srreg.backends.protocol import About, Resources
from srreg.errors import UsageError
from srreg.files import sha256_once
from srreg.geometry import reorient_to_ras
from srreg.subject import Subject
from srreg.volume import LabelMap

REQUIRED = ("{input}", "{output}")
PLACES = (*REQUIRED, "{device}", "{threads}")

_PLACE = re.compile(r"\{[a-z_]+\}")
_OPTION = re.compile(r"(--?[\w-]+=)?(.*)", re.DOTALL)  # `--model=FILE` names a file, too


@dataclass(frozen=True)
class CommandLine:
    """Program and arguments; no shell ever sees them.

    Args:
        words: as they are handed to the system, with `PLACES` still in them; what names a file does so from the root,
            because the tool runs in a folder of its own.
    """

    words: tuple[str, ...]

    @classmethod
    def of(cls, line: str, option: str) -> "CommandLine":
        """Take a line apart as a shell would, and nothing more: no variables, no wildcards, no pipes.

        Raises:
            UsageError: a quote is open, `{input}` or `{output}` is missing, or there is a place we do not know.
        """
        example = f"""{option} 'command:TOOL --fast "{{input}}" "{{output}}"'"""
        try:
            words = shlex.split(line)
        except ValueError as error:
            raise UsageError(f"{option} command: {str(error).lower()} in {line!r}; expected {example}") from error
        if missing := [place for place in REQUIRED if place not in line]:
            raise UsageError(f"{option} command: the line has no {' and no '.join(missing)}; expected {example}")
        if unknown := sorted(set(_PLACE.findall(line)) - set(PLACES)):
            raise UsageError(f"{option} command: there is no {', '.join(unknown)}; a line may have {', '.join(PLACES)}")
        return cls((_program(words[0]), *map(_from_root, words[1:])))

    def check(self) -> list[str]:
        """One line if the program is not there, or may not be run."""
        if shutil.which(self.words[0]):
            return []
        return [f"command: {self.words[0]} is no program here; name it by its path, or add it to PATH"]

    def fingerprint(self) -> str:
        """The line with a digest in the place of each file; folders count by name, device and threads not at all."""
        program, *arguments = self.words
        return " ".join(["command", _described(shutil.which(program) or program), *map(_described, arguments)])

    def run(self, tool: str, subject: Subject, resources: Resources, file_name: str) -> LabelMap:
        """What the tool makes of the whole-head MR, its axes turned to RAS.

        Raises:
            StepFailed: it failed, or wrote nothing that can be read.
        """
        knows_device = any("{device}" in word for word in self.words)

        def attempt(device: str) -> LabelMap:
            def words(source: Path, target: Path) -> Sequence[str]:
                return self._filled(source, target, device, resources.threads)

            return reorient_to_ras(run_on_files(tool, subject.mr, words, resources, file_name))

        return with_cpu_retry(tool, subject.id, resources.device if knows_device else "cpu", attempt)

    def _filled(self, source: Path, target: Path, device: str, threads: int) -> list[str]:
        values = dict(zip(PLACES, map(str, (source, target, device, threads)), strict=True))
        return [_PLACE.sub(lambda match: values.get(match.group(), match.group()), word) for word in self.words]


def _program(word: str) -> str:
    """A name is looked up on PATH when it runs; a path counts from here."""
    return str(Path(word).absolute()) if "/" in word else word


def _from_root(word: str) -> str:
    option, name = _parts(word)
    path = Path(name)
    names_something = path.is_file() or ("/" in name and path.is_dir())  # a subcommand may be called as a folder is
    return option + str(path.absolute()) if names_something else word


def _parts(word: str) -> tuple[str, str]:
    match = _OPTION.fullmatch(word)
    assert match is not None
    return match[1] or "", match[2]


def _described(word: str) -> str:
    option, name = _parts(word)
    path = Path(name)
    if path.is_file():
        return f"{option}{path.name}:{sha256_once(path)}"
    return f"{option}{path.name}" if path.is_absolute() else word


class OwnTool:
    """What a skull stripper and a segmenter of the user's own share: the line, and what is known of the tool."""

    name: ClassVar[str] = "command"
    takes_more: ClassVar[bool] = True
    option: ClassVar[str]

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._line = CommandLine.of(resources.line, self.option)

    def fingerprint(self, subject_id: str) -> str:
        """The line, and digests of the files it names."""
        return self._line.fingerprint()

    def check(self) -> Sequence[str]:
        """One line if there is no such program."""
        return self._line.check()


def about_own_tool(remark: str) -> About:
    """Nobody but the user knows more."""
    return About(
        licence="that of the tool",
        source="a program of yours",
        citation="the tool",
        weights="the tool's; files that the line names count in the cache by their digest, folders by their name",
        memory_gib=2.0,  # nobody knows; the other steps take as much
        core_minutes=1.0,
        remark=remark,
    )
