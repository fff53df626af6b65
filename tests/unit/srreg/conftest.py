import threading
from collections.abc import Iterator

import phantom
import pytest
import uvicorn
from served import TOKEN, Served

from srreg.dataset import Dataset
from srreg.qc.report import write_report
from srreg.qc.serve.run import listening
from srreg.qc.serve.site import Site, application


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A report, served by a thread for as long as one file of tests needs it."""
    dataset = phantom.write_dataset_as_built(tmp_path_factory.mktemp("served") / "sr-reg")
    write_report(dataset)
    with listening(0) as listener:
        site = Site.open(Dataset.open(dataset.root))
        server = uvicorn.Server(uvicorn.Config(application(site, TOKEN), lifespan="off", ws="none", log_config=None))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        yield Served(Dataset.open(dataset.root), listener.getsockname()[1])
        server.should_exit = True
        thread.join(timeout=20)


@pytest.fixture
def served(running: Served) -> Iterator[Served]:
    """Nobody has rated yet."""
    yield running
    running.file.unlink(missing_ok=True)
