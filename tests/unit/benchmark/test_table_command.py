"""`bench table` and `bench page` as they are typed."""

import pytest
from hand_made_runs import row, run_folder
from typer.testing import CliRunner

import cli_bench
from srreg.errors import UsageError


def typed(*words):
    return CliRunner().invoke(cli_bench.app, [str(word) for word in words])


@pytest.mark.parametrize(
    ("option", "beginning"),
    [
        ((), "**Table 1: registration of MR to CT**"),
        (("--markdown",), "**Table 1: registration of MR to CT**"),
        (("--csv",), "method,dice_mean"),
        (("--latex",), "% In the preamble"),
        (("--html",), "<!doctype html>"),
        (("--table", "statistics"), "**Statistics of Dice (%)"),
        (("--table", "statistics", "--metric", "hd95", "--against", "initial"), "**Statistics of HD95 (mm)"),
        (("--compare", "paper"), "**Table 1: registration of MR to CT, beside the paper's**"),
    ],
)
def test_each_format_and_table_goes_to_stdout(tmp_path, option, beginning):
    told = typed("table", "--out", run_folder(tmp_path, row(), row(metric="hd95")), *option)
    assert told.exit_code == 0, told.output
    assert told.stdout.startswith(beginning)


def test_two_formats_at_once_are_refused(tmp_path):
    told = typed("table", "--out", tmp_path, "--csv", "--latex")
    assert isinstance(told.exception, UsageError)
    assert str(told.exception) == "choose one of --markdown, --csv, --latex and --html"


def test_the_page_says_where_it_lies(tmp_path):
    told = typed("page", "--out", run_folder(tmp_path, row()), "--data", tmp_path / "nowhere")
    assert told.exit_code == 0, told.output
    assert told.stdout == f"open in a browser: {tmp_path.resolve() / 'index.html'}\n"
    assert (tmp_path / "index.html").is_file()
