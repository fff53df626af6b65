import errno
import logging
import math
from dataclasses import replace

import pytest

from benchmark import results
from benchmark.results import Row
from srreg.errors import DataError, NoRoom

ROW = Row("run", "syn", 0, "", "a-mr_b-ct", "dice", "", 0.1 + 0.2, "CPU: some, 2 cores", "abc")


def test_rows_come_back_as_they_were(tmp_path):
    rows = [ROW, replace(ROW, region="3rd ventricle", value=math.inf), replace(ROW, metric="hd95", value=-1e-300)]
    results.append(tmp_path / "results.csv", rows)
    assert results.read(tmp_path / "results.csv") == rows


def test_no_value_stays_no_value(tmp_path):
    results.append(tmp_path / "results.csv", [replace(ROW, value=math.nan)])
    assert math.isnan(results.read(tmp_path / "results.csv")[0].value)


def test_a_file_that_is_not_there_has_no_rows(tmp_path):
    assert results.read(tmp_path / "results.csv") == []


def test_a_half_written_last_line_is_left_out_and_said(tmp_path, caplog):
    path = tmp_path / "results.csv"
    results.append(path, [ROW, replace(ROW, metric="hd95")])
    path.write_bytes(path.read_bytes()[:-20])
    with caplog.at_level(logging.WARNING):
        assert results.read(path) == [ROW]
    assert "its last line was cut off" in caplog.text


def test_rows_after_a_half_written_line_stand_on_lines_of_their_own(tmp_path):
    path = tmp_path / "results.csv"
    results.append(path, [ROW, replace(ROW, metric="hd95")])
    path.write_bytes(path.read_bytes()[:-20])
    results.append(path, [replace(ROW, metric="folding")])
    assert [row.metric for row in results.read(path)] == ["dice", "folding"]


@pytest.mark.parametrize("content", [b"", b"run,meth"])
def test_a_file_without_a_whole_header_gets_one(tmp_path, content):
    path = tmp_path / "results.csv"
    path.write_bytes(content)
    results.append(path, [ROW])
    assert results.read(path) == [ROW]


def test_of_two_rows_with_one_key_the_later_counts(tmp_path):
    path = tmp_path / "results.csv"
    results.append(path, [ROW, replace(ROW, seed=1)])
    results.append(path, [replace(ROW, value=7.0, run="later")])
    assert results.read(path) == [replace(ROW, seed=1), replace(ROW, value=7.0, run="later")]


def test_a_file_of_something_else_is_refused(tmp_path):
    (tmp_path / "results.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="expected the columns run, method"):
        results.read(tmp_path / "results.csv")


_NO_ROWS = [
    "too,few\n",
    "run,syn,zero,,p,dice,,1.0,cpu,abc\n",
    "run,syn,0,,p,dice,,much,cpu,abc\n",
    'run,"syn,0,,p,dice,,1.0,cpu,abc\n' + "x" * 200_000 + "\n",  # a quote that swallows all that follows
]


@pytest.mark.parametrize("line", _NO_ROWS)
def test_a_line_that_is_no_row_is_named(tmp_path, line):
    results.append(tmp_path / "results.csv", [ROW])
    with (tmp_path / "results.csv").open("a") as handle:
        handle.write(line)
    with pytest.raises(DataError, match=r"results\.csv, line 3: is not a row"):
        results.read(tmp_path / "results.csv")


def test_a_full_disk_is_said(tmp_path, monkeypatch):
    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    results.append(tmp_path / "results.csv", [ROW])
    monkeypatch.setattr(results.os, "fsync", full)
    with pytest.raises(NoRoom, match=r"no room for 1 more rows in .*results\.csv \(No space left on device\)"):
        results.append(tmp_path / "results.csv", [ROW])
