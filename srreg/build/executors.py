"""Where jobs run: on this machine, each in a process of its own, so that one that is killed costs only itself."""

import multiprocessing
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor, as_completed
from multiprocessing.context import SpawnProcess

from srreg.build.worker import Job, Outcome, run_in_child

_SIGKILL = -9


class ProcessEach:
    """Runs a job in a fresh process; `stop` ends those that are running."""

    def __init__(self) -> None:
        self._running: set[SpawnProcess] = set()
        self._lock = threading.Lock()
        self._is_stopped = False

    def __call__(self, job: Job) -> Outcome:
        """Start a process for the job and wait for what it sends."""
        # spawn: the child starts clean, so thread limits hold and no lock is inherited half-taken.
        context = multiprocessing.get_context("spawn")
        receive, send = context.Pipe(duplex=False)
        process = context.Process(target=run_in_child, args=(job, send), daemon=False)
        with self._lock:
            if self._is_stopped:
                return Outcome(job.case.id, "failed", "interrupted before it began", 1)
            process.start()
            self._running.add(process)
        send.close()
        try:
            outcome: Outcome = receive.recv()
            return outcome
        except EOFError:
            process.join()
            return Outcome(job.case.id, "failed", _why(process.exitcode), 1)
        finally:
            process.join()
            with self._lock:
                self._running.discard(process)

    def stop(self) -> None:
        """End every process that runs; none starts after."""
        with self._lock:
            self._is_stopped = True
            for process in self._running:
                process.terminate()


def _why(exit_code: int | None) -> str:
    if exit_code == _SIGKILL:
        return "its process was killed (signal 9), probably for lack of memory; try fewer --n-procs"
    if exit_code is not None and exit_code < 0:
        return f"its process was ended by signal {-exit_code}"
    return f"its process ended with code {exit_code} before it had a result"


def run_all(jobs: Sequence[Job], n_procs: int) -> Iterator[Outcome]:
    """Outcomes as they come; an interrupt ends the running processes and goes on up."""
    each = ProcessEach()
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
