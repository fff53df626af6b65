"""How the metrics are compiled: not before they are asked for, kept where there is room, refused where numba is broken."""

import subprocess
import sys

import numpy as np
import pytest
from numba.core.caching import CompileResultCacheImpl

from srreg.measure.compiled import exact
from srreg.measure.threads import in_pieces

SCORE_A_PAIR = """
import numpy as np
from srreg import measure
from srreg.errors import BackendUnavailable
labels = np.ones((4, 5, 6), np.int16)
try:
    print(measure.dice(labels, labels, [1]))
except BackendUnavailable as error:
    print("refused:", error)
"""


def python(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_numba_is_not_imported_before_something_is_measured():
    assert python("import sys; import srreg.measure; print('numba' in sys.modules)") == "False\n"


def test_without_numba_the_error_says_what_to_type():
    told = python("import sys; sys.modules['numba'] = None" + SCORE_A_PAIR)
    assert told.startswith("refused: metrics are compiled by numba")
    assert told.endswith("pip install numba\n")


def test_a_kernel_runs_where_there_is_no_folder_to_keep_it_in(monkeypatch):
    monkeypatch.setattr(CompileResultCacheImpl, "_locator_classes", [])
    doubled = exact(lambda x: 2 * x)
    assert doubled(21) == 42


def test_a_kernel_is_kept_on_disk_where_there_is_one(tmp_path, monkeypatch):
    monkeypatch.setattr("numba.core.config.CACHE_DIR", str(tmp_path))
    doubled = exact(lambda x: 2 * x)
    assert doubled(21) == 42
    assert list(tmp_path.rglob("*.nbc"))


@pytest.mark.parametrize(("length", "of"), [(0, None), (1, None), (7, 3), (1000, None)])
def test_pieces_cover_the_whole_in_order(length, of):
    pieces = in_pieces(lambda first, last: np.arange(first, last), length, of)
    assert np.array_equal(np.concatenate([np.arange(0), *pieces]), np.arange(length))


def test_an_error_in_a_piece_is_not_lost():
    with pytest.raises(ZeroDivisionError):
        in_pieces(lambda first, last: 1 // first, 5)
