"""HD-BET 2 with a small nnU-Net of our own in the place of its weights, which cannot be had here."""

import pickle
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import typer
from fake_tools import BRAIN, write_tool
from https_server import Behaviour, serving
from phantom import head
from small_nnunet import write_model

import cli_weights
from srreg.backends.protocol import Resources
from srreg.backends.registry import SKULL_STRIPPERS, make, prove
from srreg.backends.skull_strippers import hd_bet
from srreg.backends.skull_strippers.hd_bet import FILES, HdBet
from srreg.backends.skull_strippers.run_hd_bet import only_weights
from srreg.errors import BackendUnavailable, StepFailed
from srreg.weights.archive import Archive

HEAD = head(spacing_mm=7.0, shape=(16, 32, 40))


@pytest.fixture
def work(tmp_path: Path) -> Path:
    (tmp_path / "work").mkdir()
    return tmp_path / "work"


def _deviations_above_mean(value: float) -> float:
    """Of the image as nnU-Net normalizes it: what lies inside the box of all that is not 0."""
    voxels = HEAD.mr.data
    inside = tuple(slice(where.min(), where.max() + 1) for where in np.nonzero(voxels))
    return float((value - voxels[inside].mean()) / voxels[inside].std())


def test_nnunets_own_predictor_finds_what_the_network_was_made_to_find(tmp_path: Path, work: Path) -> None:
    """What is brighter than 66 are cortex and white matter; the fluid that they enclose is filled by our contract."""
    model = write_model(tmp_path / "model", spacing_mm=7.0, above=_deviations_above_mean(66.0))
    backend = make(SKULL_STRIPPERS, f"hd-bet:{model}", Resources(work=work))
    found = backend(HEAD)
    assert HEAD.labels is not None
    np.testing.assert_array_equal(found.data, HEAD.labels.data > 0)
    assert found.grid.matches(HEAD.mr.grid)
    assert list(work.iterdir()) == []


def test_a_checkpoint_of_nnunets_trainer_loads_as_weights_alone(tmp_path: Path) -> None:
    checkpoint = write_model(tmp_path, spacing_mm=7.0, above=None) / FILES[-1]
    with only_weights(torch):
        loaded = torch.load(checkpoint, map_location="cpu", weights_only=False)  # as nnU-Net asks
    assert loaded["trainer_name"] == "nnUNetTrainer"
    assert loaded["_best_ema"] == 0.9


class _Canary:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (self.path,)  # type: ignore[return-value]


def test_a_checkpoint_that_would_run_code_is_refused_and_runs_none(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    torch.save({"network_weights": _Canary(canary)}, tmp_path / "crafted.pth")
    with only_weights(torch), pytest.raises(pickle.UnpicklingError, match="Weights only load failed"):
        torch.load(tmp_path / "crafted.pth", weights_only=False)
    assert not canary.exists()
    torch.load(tmp_path / "crafted.pth", weights_only=False)
    assert canary.exists()  # so the file was what it should be, and outside the block nothing has changed


def test_the_fingerprint_is_of_the_three_files_and_of_no_place(tmp_path: Path) -> None:
    one, same = (write_model(tmp_path / name, spacing_mm=7.0, above=None, seed=1) for name in ("one", "same"))
    other = write_model(tmp_path / "other", spacing_mm=7.0, above=None, seed=2)
    prints = [HdBet(Resources(directory=folder)).fingerprint("x") for folder in (one, same, other)]
    assert prints[0].startswith("hd-bet nnunetv2 2.")
    assert prints[0] != prints[2]
    (same / FILES[-1]).write_bytes((one / FILES[-1]).read_bytes())
    assert HdBet(Resources(directory=same)).fingerprint("x") == prints[0]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("harm", ["gone", "cut"])
def test_a_folder_that_lacks_a_file_or_holds_half_of_one_is_said_before_any_subject(
    tmp_path: Path, name: str, harm: str
) -> None:
    model = write_model(tmp_path, spacing_mm=7.0, above=None)
    assert HdBet(Resources(directory=model)).check() == []
    content = (model / name).read_bytes()
    (model / name).unlink()
    if harm == "cut":
        (model / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(BackendUnavailable, match=f"skull stripper hd-bet: .*{name}"):
        make(SKULL_STRIPPERS, f"hd-bet:{model}", Resources())


def test_without_nnunet_the_line_to_type_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hd_bet.importlib.util, "find_spec", lambda name: None)
    assert HdBet(Resources()).check() == ['hd-bet is not installed: pip install "hd-bet>=2.0"']


def test_too_little_gpu_memory_means_one_more_try_on_the_cpu(
    tmp_path: Path, work: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tool = write_tool(tmp_path / "python", f"if sys.argv[-1] != 'cpu': sys.exit('CUDA out of memory.')\nwrite({BRAIN})")
    monkeypatch.setattr(hd_bet, "sys", SimpleNamespace(executable=str(tool)))
    assert HdBet(Resources(work=work, device="cuda:1"))(HEAD).data.any()
    assert "1BA001: hd-bet had too little GPU memory; done on the CPU" in caplog.text
    write_tool(tool, "sys.exit('CUDA error: an illegal memory access')")
    with pytest.raises(StepFailed, match="illegal memory access"):
        HdBet(Resources(work=work, device="cuda:1"))(HEAD)


@pytest.fixture
def offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Archive]:
    """A server that has a small model where HD-BET's record has its weights."""
    model = write_model(tmp_path / "model", spacing_mm=7.0, above=None)
    with zipfile.ZipFile(tmp_path / "model.zip", "w") as zipped:
        for name in FILES:
            zipped.write(model / name, name)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    with serving(Behaviour((tmp_path / "model.zip").read_bytes()), tmp_path, monkeypatch) as url:
        archive = replace(hd_bet.ARCHIVE, url=url)
        monkeypatch.setattr(hd_bet, "ARCHIVE", archive)
        monkeypatch.setattr(hd_bet, "fetch", archive.fetch)
        yield archive


def test_weights_are_fetched_listed_and_proved_from_the_command_line(
    offered: Archive, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(BackendUnavailable, match="hd-bet has no weights yet: srreg weights fetch hd-bet"):
        make(SKULL_STRIPPERS, "hd-bet", Resources())
    cli_weights.fetch("hd-bet")
    told = capsys.readouterr()
    assert told.out == "hd-bet is ready\n"
    assert "fetching hd-bet" in told.err
    assert make(SKULL_STRIPPERS, "hd-bet", Resources()).check() == []
    with pytest.raises(typer.Exit) as ended:
        cli_weights.verify("hd-bet")
    assert ended.value.exit_code == 0
    assert "not published; trusted as first seen on 20" in capsys.readouterr().out
    cli_weights.list_("hd-bet")
    assert f"{offered.url} (size not published, sha256 not published)" in capsys.readouterr().out


def test_fetched_weights_that_were_damaged_since_are_not_used(offered: Archive) -> None:
    offered.fetch()
    assert "not mirrored; zip " in prove("hd-bet")
    checkpoint = offered.folder / FILES[-1]
    checkpoint.write_bytes(checkpoint.read_bytes()[:-1] + b"x")
    with pytest.raises(BackendUnavailable, match=r"hd-bet has damaged weights \(fold_all/checkpoint_final.pth\)"):
        make(SKULL_STRIPPERS, "hd-bet", Resources())


def test_the_entry_for_hd_bet_says_what_is_not_known() -> None:
    assert hd_bet.ARCHIVE.url.startswith("https://zenodo.org/records/14445620/")
    assert "sha256 not published" in hd_bet.ARCHIVE.remedy
