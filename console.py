"""What the commands share of the terminal: progress, log, errors to exit codes. Only the `cli*.py` files use it."""

import importlib.util
import logging
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import typer

from srreg.errors import SrregError, UsageError

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_ROOT = Path(__file__).resolve().parent


def say(text: str) -> None:
    """A line for the person, not for a pipe: to stderr."""
    print(text, file=sys.stderr)


class _Verbose:
    """Whether errors keep their traceback; set once by the command line."""

    is_on = False


def configure_logging(verbose: bool) -> None:
    """Warnings to stderr, everything with -v; `log_file` takes everything."""
    terminal = logging.StreamHandler(sys.stderr)
    terminal.setLevel(logging.INFO if verbose else logging.WARNING)
    logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=[terminal])
    _Verbose.is_on = verbose


class _LateFile(logging.FileHandler):
    """A log file whose folder is made when there is something to write."""

    def _open(self) -> TextIOWrapper:
        Path(self.baseFilename).parent.mkdir(parents=True, exist_ok=True)
        return super()._open()


@contextmanager
def log_file(path: Path) -> Iterator[None]:
    """Everything that is logged also goes to a file; the file and its folder appear with the first line."""
    handler = _LateFile(path, encoding="utf-8", delay=True)
    handler.setFormatter(logging.Formatter("%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s"))
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)
        handler.close()


class Advance:
    """Moves a bar on a terminal and prints plain lines elsewhere, both on stderr; nothing shows before the first call."""

    def __init__(self, what: str, bar: "Progress | None") -> None:
        self._what, self._bar = what, bar
        self._task: TaskID | None = None

    @property
    def is_bar(self) -> bool:
        """Whether it is a bar; then calling it often costs nothing."""
        return self._bar is not None

    def __call__(self, done: int, total: int, text: str) -> None:
        """Say how far it is."""
        if self._bar is None:
            say(f"{self._what} {done}/{total} {text}".rstrip())
            return
        if self._task is None:
            self._bar.start()
            self._task = self._bar.add_task(self._what, total=total, text="")
        self._bar.update(self._task, completed=done, total=total, text=text)


@contextmanager
def progress(*whats: str) -> Iterator[list[Advance]]:
    """One bar for each name, with the time left, on a terminal; plain lines elsewhere."""
    if not sys.stderr.isatty():
        yield [Advance(what, None) for what in whats]
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    times = (TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
    text = TextColumn("{task.fields[text]}", markup=False)
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), *times, text, console=Console(stderr=True)
    )
    try:
        yield [Advance(what, bar) for what in whats]
    finally:
        bar.stop()


def _check_packages() -> None:
    """`models` and `benchmark` are common words: make sure ours are the ones that are imported."""
    for name in ("srreg", "models", "benchmark"):
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None or Path(spec.origin).resolve().parent.parent != _ROOT:
            found = "nothing" if spec is None else spec.origin
            raise UsageError(f"the package {name!r} is hidden by {found}; install srreg into an environment of its own")


class _Stopped(BaseException):
    """A signal asked us to stop; not a KeyboardInterrupt, which typer would answer itself."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.exit_code = 128 + number


def _stop(number: int, frame: object) -> NoReturn:
    signal.signal(number, signal.SIG_IGN)  # once is enough; what runs is being ended
    raise _Stopped(number)


def run(app: typer.Typer) -> NoReturn:
    """Run a command; a `SrregError` becomes one line with its code, and the exit code of its class."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):  # Windows has no SIGHUP
            signal.signal(getattr(signal, name), _stop)
    try:
        _check_packages()
        app()
    except SrregError as error:
        if _Verbose.is_on:
            raise
        say(f"error: {error} [{error.code}]")
        sys.exit(error.exit_code)
    except _Stopped as stopped:
        say("interrupted; run the same command again to go on")
        sys.exit(stopped.exit_code)
    except OSError as error:  # a path that is a folder where a file was meant, no permission ...
        if _Verbose.is_on:
            raise
        say(f"error: {error}")
        sys.exit(1)
    sys.exit(0)
