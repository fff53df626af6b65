import logging
from dataclasses import asdict, replace

import pandas as pd
import pytest

from benchmark import results, rows
from benchmark.results import COLUMNS, Row
from srreg.errors import DataError

ROW = Row("run", "syn", 0, "", "a-mr_b-ct", "dice", "Thalamus", 61.25, "CPU: Example, 8 cores", "abc")


def written(path, *found):
    results.append(path, found)
    return path


def test_it_reads_what_the_reader_of_single_rows_reads(tmp_path):
    path = written(
        tmp_path / "results.csv",
        ROW,
        replace(ROW, region="", value=float("nan")),
        replace(ROW, method="NA", weights="nan"),
        replace(ROW, value=1 / 3, run="later"),  # the first again
    )
    expected = pd.DataFrame([asdict(row) for row in results.read(path)], columns=list(COLUMNS))
    texts = {name: "object" for name in COLUMNS if name not in ("seed", "value")}
    found, expected = (
        frame.astype(texts).sort_values(["method", "region"], ignore_index=True) for frame in (rows.read(path), expected)
    )
    pd.testing.assert_frame_equal(found, expected)


def test_a_file_that_is_not_there_has_no_rows(tmp_path):
    assert rows.read(tmp_path / "results.csv").empty


def test_a_header_alone_has_no_rows(tmp_path):
    assert rows.read(written(tmp_path / "results.csv")).empty


def test_a_line_that_was_cut_off_is_left_out_and_said(tmp_path, caplog):
    path = written(tmp_path / "results.csv", ROW, replace(ROW, method="initial"))
    path.write_bytes(path.read_bytes()[:-5])
    with caplog.at_level(logging.WARNING):
        assert rows.read(path)["method"].tolist() == ["syn"]
    assert "its last line was cut off" in caplog.text


DAMAGED = ["syn,0", "run,syn,0,,p,dice,,61,cpu", "run,syn,0,,p,dice,,61,cpu,abc,more", "run,syn,0,,p,dice,,x,cpu,abc", ""]


@pytest.mark.parametrize("line", DAMAGED)
@pytest.mark.parametrize("is_first", [True, False])
def test_a_damaged_line_is_named(tmp_path, line, is_first):
    path = written(tmp_path / "results.csv", ROW)
    header, good = path.read_text().splitlines()
    path.write_text("\n".join([header, *([line, good] if is_first else [good, line])]) + "\n")
    with pytest.raises(DataError, match=rf"line {2 if is_first else 3}: is not a row"):
        rows.read(path)


def test_another_header_is_refused(tmp_path):
    (tmp_path / "results.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="expected the columns"):
        rows.read(tmp_path / "results.csv")
