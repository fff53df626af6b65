"""Make subjects in processes of their own, which all end at once when the work is interrupted."""

import multiprocessing
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path

from srreg.errors import NoRoom, SrregError, StepFailed
from srreg.files import remove_unfinished
from srreg.simulate.task import Made, Task, make

_SIGKILL = -9


def make_all(tasks: Sequence[Task], brain: Path, n_procs: int) -> Iterator[Made]:
    """Make subjects, each in a fresh process, in the order in which they are done.

    Whatever ends this generator (an error, an interrupt, `close`) kills the processes that run; nothing they had
    not finished writing stays.

    Raises:
        SrregError: what making a subject raised.
        NoRoom: a process was killed, as systems do that run out of memory.
        StepFailed: a process ended without a result.
    """
    waiting, running = list(reversed(tasks)), list[_Worker]()
    try:
        while waiting or running:
            while waiting and len(running) < n_procs:
                with _interrupts_held_back():
                    running.append(_Worker(waiting.pop(), brain))
            answered = wait([worker.answer for worker in running])
            for worker in [worker for worker in running if worker.answer in answered]:
                made = worker.result()
                running.remove(worker)
                yield made
    finally:
        with _interrupts_held_back():
            for worker in running:
                worker.end()


class _Worker:
    """The process that makes one subject."""

    def __init__(self, task: Task, brain: Path) -> None:
        # spawn: started afresh; a fork would inherit the threads of whoever calls.
        context = multiprocessing.get_context("spawn")
        self.answer, send = context.Pipe(duplex=False)
        self._task, self._folder = task, brain / task.id
        # daemon: should it be missed here, python itself ends it on its way out.
        self._process: SpawnProcess = context.Process(target=_make_in_child, args=(task, self._folder, send), daemon=True)
        self._process.start()
        send.close()

    def result(self) -> Made:
        """What it sent; waits for it to end."""
        try:
            found: Made | SrregError = self.answer.recv()
        except (EOFError, OSError):  # it sent nothing, or not all
            self._process.join()
            raise self._died(self._process.exitcode) from None
        self._process.join()
        if isinstance(found, SrregError):
            raise found
        return found

    def _died(self, exit_code: int | None) -> SrregError:
        if exit_code == _SIGKILL:
            return NoRoom(f"{self._task.id}: its process was killed, probably for lack of memory; try fewer --n-procs")
        return StepFailed(f"{self._task.id}: its process ended with code {exit_code} before it had a result")

    def end(self) -> None:
        """Kill it, and remove what it has half-written."""
        self._process.kill()
        self._process.join()
        self.answer.close()
        assert self._process.pid is not None
        remove_unfinished(self._folder, self._process.pid)


def _make_in_child(task: Task, folder: Path, answer: Connection) -> None:
    """Entry of the process; a bug keeps its traceback, which python prints there."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent answers a Ctrl-C for all
    try:
        answer.send(make(task, folder))
    except SrregError as error:
        answer.send(error)


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """A Ctrl-C meanwhile comes afterwards; a process that is started meanwhile never sees one."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    resource_tracker.ensure_running()  # to start it with the first process would lift the mask
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
