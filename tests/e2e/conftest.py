import pytest
from building import build, write_heads


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """A source of six heads and the data set built from it; a test that harms them mends them."""
    root = tmp_path_factory.mktemp("build")
    source = write_heads(root / "source")
    done = build(source, root / "sr-reg")
    assert done.returncode == 0, done.stderr
    return source, root / "sr-reg"
