"""The same build on a Dask cluster of two workers, one of which is killed on the way."""

import contextlib
import subprocess
import sys
import threading
import time

import psutil
import pytest
from building import IDS, build, data_digest

from srreg.dataset import Dataset

pytest.importorskip("distributed", reason="pip install 'srreg[cluster]'")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A scheduler and two workers in processes of their own, as on a cluster; a nanny restarts a worker that dies."""
    file = tmp_path_factory.mktemp("dask") / "scheduler.json"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": file.parent}
    code = "import sys; from distributed.cli.{0} import main; sys.argv[0] = '{0}'; main()"
    options = ["--scheduler-file", str(file), "--no-dashboard"]
    scheduler = subprocess.Popen(
        [sys.executable, "-c", code.format("dask_scheduler"), *options, "--host", "127.0.0.1", "--port", "0"], **quiet
    )
    worker = [sys.executable, "-c", code.format("dask_worker"), *options, "--nworkers", "2", "--nthreads", "1"]
    workers = subprocess.Popen(worker, **quiet)
    from distributed import Client

    with Client(scheduler_file=str(file), timeout="240s", set_as_default=False) as client:
        client.wait_for_workers(2, timeout=240)
        yield client.scheduler.address, psutil.Process(workers.pid)
    for process in (workers, scheduler):
        process.terminate()
        process.wait(timeout=30)


def builders(nanny):
    """Dask workers below ours that have a subject's process below them."""
    workers = [p for p in nanny.children() if is_spawned(p)]
    return [worker for worker in workers if any(is_spawned(p) for p in worker.children())]


def is_spawned(process):
    return "spawn_main" in " ".join(process.cmdline())


def test_a_cluster_gives_the_same_bytes_and_a_killed_worker_loses_nothing(quickly_built, cluster, tmp_path):
    source, undisturbed = quickly_built
    killed = []
    address, nanny = cluster
    threading.Thread(target=kill_one, args=(nanny, killed), daemon=True).start()
    done = build(source, tmp_path / "out", "--align", "center", "--scheduler", address)
    assert done.returncode == 0, done.stdout + done.stderr
    assert killed
    assert data_digest(tmp_path / "out") == data_digest(undisturbed)
    assert Dataset.open(tmp_path / "out").subjects == tuple(IDS[:3])


def kill_one(nanny, killed):
    deadline = time.monotonic() + 240
    while not killed and time.monotonic() < deadline:
        with contextlib.suppress(psutil.NoSuchProcess):
            for worker in builders(nanny)[:1]:
                worker.kill()
                killed.append(worker.pid)
        time.sleep(0.05)


def test_an_address_where_nobody_answers_is_said_so(quickly_built, tmp_path):
    refused = build(quickly_built[0], tmp_path / "out", "--scheduler", "nonsense://127.0.0.1:1")
    assert refused.returncode == 2
    assert "no Dask scheduler answers" in refused.stderr
