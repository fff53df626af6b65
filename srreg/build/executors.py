"""Where jobs run: on this machine, each in a process of its own, so that one that is killed costs only itself."""

import multiprocessing
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor, as_completed
from multiprocessing.context import SpawnProcess

from srreg.build.memory import fits
from srreg.build.worker import Job, Outcome, run_in_child
from srreg.errors import StepFailed

_SIGKILL = -9
_LOOK_AGAIN_S = 0.5


class ProcessEach:
    """Runs a job in a fresh process; `stop` ends those that are running.

    Args:
        needed_bytes: of memory, for each job; while others run, one waits until so much can be had.
    """

    def __init__(self, needed_bytes: int = 0) -> None:
        self._needed_bytes = needed_bytes
        self._running: set[SpawnProcess] = set()
        self._lock = threading.Lock()
        self._is_stopped = False

    def __call__(self, job: Job) -> Outcome:
        """Start a process for the job and wait for what it sends."""
        # spawn: the child starts clean, so thread limits hold and no lock is inherited half-taken.
        context = multiprocessing.get_context("spawn")
        receive, send = context.Pipe(duplex=False)
        process = context.Process(target=run_in_child, args=(job, send), daemon=False)
        while not self._has_started(process):
            if self._is_stopped:
                return Outcome(job.case.id, "failed", "interrupted before it began", 1, StepFailed.code)
            time.sleep(_LOOK_AGAIN_S)
        send.close()
        try:
            outcome: Outcome = receive.recv()
            return outcome
        except EOFError:
            process.join()
            return Outcome(job.case.id, "failed", _why(process.exitcode), 1, StepFailed.code)
        finally:
            process.join()
            with self._lock:
                self._running.discard(process)

    def _has_started(self, process: SpawnProcess) -> bool:
        """Start it, if it may; the first always may, for waiting would not help it."""
        with self._lock:
            pids = [running.pid for running in self._running if running.pid is not None]
            if self._is_stopped or (pids and self._needed_bytes and not fits(self._needed_bytes, pids)):
                return False
            process.start()
            self._running.add(process)
            return True

    def stop(self) -> None:
        """End every process that runs; none starts after."""
        self._is_stopped = True
        self.end_running()

    def end_running(self) -> None:
        """End every process that runs."""
        with self._lock:
            for process in self._running:
                process.terminate()


def _why(exit_code: int | None) -> str:
    if exit_code == _SIGKILL:
        return "its process was killed (signal 9), probably for lack of memory; try fewer --n-procs"
    if exit_code is not None and exit_code < 0:
        return f"its process was ended by signal {-exit_code}"
    return f"its process ended with code {exit_code} before it had a result"


def run_all(jobs: Sequence[Job], n_procs: int, needed_bytes: int = 0) -> Iterator[Outcome]:
    """Outcomes as they come; an interrupt ends the running processes and goes on up.

    Args:
        jobs: what is to be done.
        n_procs: at most so many at a time.
        needed_bytes: of memory for each; fewer run where more do not fit.
    """
    each = ProcessEach(needed_bytes)
    executor: Executor = ThreadPoolExecutor(n_procs)
    try:
        futures: list[Future[Outcome]] = [executor.submit(each, job) for job in jobs]
        for future in as_completed(futures):
            yield future.result()
    except BaseException:
        each.stop()
        raise
    finally:
        executor.shutdown(wait=True, cancel_futures=True)
