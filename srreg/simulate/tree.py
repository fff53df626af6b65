"""A SynthRAD-shaped tree of simulated heads with exact truth.

OUT/Task1/brain/
  1BA001/{mr,ct,mask,brain,labels}.nii.gz   brain and labels are the truth; SynthRAD has the other three
  participants.tsv  simulation.json  overview/
"""

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from srreg.errors import UsageError
from srreg.files import sha256, tsv, write_text
from srreg.simulate.centres import centre_of
from srreg.simulate.draw import VOXEL_MM, Size
from srreg.simulate.label_maps import find_maps
from srreg.simulate.record import Record, Source, claim, is_done
from srreg.simulate.task import Made, Task, make
from srreg.simulate.workers import make_all

_COLUMNS = ("participant_id", "person", "centre", "contrast", "mr_blanked", "ct_blanked", "voxel_mm", "brain_ml")
_OVERVIEW = "1_brain_simulated.txt"


@dataclass(frozen=True)
class Simulation:
    """What to simulate.

    Args:
        subjects: how many; subject k is the same whatever their number is.
        seed: not negative.
        size: of the voxels (1, 2 or 4 mm); the anatomy is the same at each.
        label_maps: a folder of whole-head label maps to take the anatomy from; None: analytic heads.

    Raises:
        UsageError: a number out of range or an unknown size.
    """

    subjects: int
    seed: int = 0
    size: Size = "full"
    label_maps: Path | None = None

    def __post_init__(self) -> None:
        if self.subjects < 1 or self.seed < 0:
            raise UsageError(f"expected at least 1 subject and a seed from 0, got {self.subjects} and {self.seed}")
        if self.size not in get_args(Size):
            raise UsageError(f"expected a size of {', '.join(get_args(Size))}, got {self.size!r}")


def simulate(
    out: Path, settings: Simulation, n_procs: int = 1, progress: Callable[[int, int], None] | None = None
) -> list[str]:
    """Simulate heads into a folder; what is there from the same settings stays as it is.

    Nothing is ever overwritten: two runs at once only do the work twice. What is done is recorded as it comes, so that
    an interrupted run goes on where it was.

    Args:
        out: a new or empty folder, or one that an earlier run with these settings left.
        settings: what to simulate.
        n_procs: subjects drawn at once, each in a process with one thread.
        progress: called with the number of subjects done and of all.

    Returns:
        The ids of the subjects, in their order.

    Raises:
        UsageError: the folder holds something else, another simulation or more subjects.
        DataError: label maps that cannot be used, or a file that was changed since.
        NoRoom: the disk or the memory is full.
    """
    maps = None if settings.label_maps is None else find_maps(settings.label_maps)
    tasks = _tasks(settings, maps)
    brain = out / "Task1" / "brain"
    digests = None if maps is None else {path.name: sha256(path) for path in maps}
    record = claim(out, brain, Source(settings.seed, settings.size, digests), [task.id for task in tasks])
    missing = [task for task in tasks if not is_done(record, brain, task.id)]
    with closing(_made(missing, brain, n_procs)) as done:  # an interrupt ends the processes here and now
        for count, made in enumerate(done, start=len(tasks) - len(missing) + 1):
            record = record.with_subject(made)
            record.write(brain)
            if progress is not None:
                progress(count, len(tasks))
    _write_tables(brain, tasks, record)
    return [task.id for task in tasks]


def _tasks(settings: Simulation, maps: Sequence[Path] | None) -> list[Task]:
    """One for each subject; maps are taken in turn."""
    whose = [None if maps is None else maps[number % len(maps)] for number in range(settings.subjects)]
    return [Task(number, settings.seed, settings.size, label_map) for number, label_map in enumerate(whose)]


def _made(tasks: Sequence[Task], brain: Path, n_procs: int) -> Generator[Made]:
    """Make subjects, here or in processes of their own, in the order in which they are done."""
    if n_procs <= 1 or len(tasks) <= 1:
        yield from (make(task, brain / task.id) for task in tasks)
        return
    yield from make_all(tasks, brain, n_procs)


def _write_tables(brain: Path, tasks: Sequence[Task], record: Record) -> None:
    rows = [_row(task, record.subjects[task.id]) for task in tasks]
    _write_if_new(brain / "participants.tsv", tsv(_COLUMNS, rows))
    lines = [f"{task.id}: simulated, shows {task.person}" for task in tasks]
    _write_if_new(brain / "overview" / _OVERVIEW, "\n".join(lines) + "\n")


def _row(task: Task, made: Made) -> dict[str, object]:
    centre = centre_of(task.number)
    answers = (centre.has_contrast, centre.blanks_mr, centre.blanks_ct)
    values = (task.id, task.person, centre.letter, *("yes" if answer else "no" for answer in answers))
    return dict(zip(_COLUMNS, (*values, f"{VOXEL_MM[task.size]:g}", f"{made.brain_ml:.1f}"), strict=True))


def _write_if_new(path: Path, text: str) -> None:
    if not path.is_file() or path.read_bytes() != text.encode():
        write_text(path, text)
