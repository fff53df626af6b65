import pytest
from building import IDS, build, write_heads


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """A source of six heads and the data set built from it; a test that harms them mends them."""
    root = tmp_path_factory.mktemp("build")
    source = write_heads(root / "source")
    done = build(source, root / "sr-reg")
    assert done.returncode == 0, done.stderr
    return source, root / "sr-reg"


@pytest.fixture(scope="session")
def quickly_built(tmp_path_factory):
    """Three heads, laid centre on centre: for tests that build again and again."""
    root = tmp_path_factory.mktemp("quick")
    source = write_heads(root / "source", IDS[:3])
    done = build(source, root / "sr-reg", "--align", "center")
    assert done.returncode == 0, done.stderr
    return source, root / "sr-reg"
