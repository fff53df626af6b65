"""Jobs on a Dask cluster: the same build, each subject in a process of its own on whichever worker is free.

Workers need this package, the same paths to source and data set, and a network where everybody is trusted: Dask sends pickles.
"""

import multiprocessing
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from srreg.build.executors import ProcessEach
from srreg.build.worker import Job, Outcome
from srreg.errors import BackendUnavailable, StepFailed, UsageError

if TYPE_CHECKING:
    from distributed import Client, Future

_PATIENCE = "20s"
_HERE = ProcessEach()  # of the worker that imports this


def build_here(job: Job) -> Outcome:
    """Build a subject on the worker that this runs on."""
    # A worker under a nanny is a daemon, which may have no children; ours end with it all the same.
    multiprocessing.current_process().daemon = False
    return _HERE(job)


def end_here() -> None:
    """End what a worker is building."""
    _HERE.end_running()


def run_on_cluster(jobs: Sequence[Job], address: str) -> Iterator[Outcome]:
    """Outcomes as they come; what a worker was at when it died, another does.

    Raises:
        BackendUnavailable: `distributed` is not installed.
        UsageError: no scheduler answers at the address.
    """
    client = _connected(address)
    futures = {client.submit(build_here, job, pure=False): job for job in jobs}
    try:
        for future in _completed(futures, client):
            yield _outcome(future, futures[future])
    except BaseException:
        client.cancel([*futures])
        client.run(end_here, on_error="ignore")
        raise
    finally:
        client.close()


def _connected(address: str) -> "Client":
    try:
        from distributed import Client
    except ImportError as error:
        raise BackendUnavailable('--scheduler needs Dask: pip install "srreg[cluster]"') from error
    try:
        return Client(address, timeout=_PATIENCE, set_as_default=False)
    except (OSError, ValueError) as error:  # a TimeoutError is an OSError
        raise UsageError(f"--scheduler {address}: no Dask scheduler answers there ({error})") from error


def _completed(futures: Iterable["Future"], client: "Client") -> Iterator["Future"]:
    from distributed import as_completed

    yield from as_completed(futures, loop=client.loop)


def _outcome(future: "Future", job: Job) -> Outcome:
    """What the worker sent; that several workers died of the same subject costs that subject alone."""
    error = future.exception()
    if error is not None:
        why = f"its workers died or could not run it ({type(error).__name__}); are they short of memory, do they have srreg?"
        return Outcome(job.case.id, "failed", why, 1, StepFailed.code)
    outcome: Outcome = future.result()
    return outcome
