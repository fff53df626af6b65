"""What `srreg doctor` says of the scan."""

import pytest

from benchmark import kernels
from models import selective_scan
from srreg.doctor import Finding


def test_the_back_end_that_is_taken_is_named():
    taken = [found for found in kernels.examine() if "taken" in found.detail]
    assert [found.name for found in taken if found.area == "scan on cpu"] == [selective_scan.chosen("cpu")]


def test_a_missing_compiler_comes_with_a_remedy_and_another_devices_back_end_is_no_matter(monkeypatch: pytest.MonkeyPatch):
    why = {"reference": "", "torch": "", "cpp": "no C++ compiler was found", "triton": "runs on an NVIDIA GPU alone"}
    monkeypatch.setattr(selective_scan, "reasons", lambda device: why)
    monkeypatch.setattr(selective_scan, "chosen", lambda device: "torch")
    found = {one.name: one for one in kernels.examine() if one.area == "scan on cpu"}
    assert found.keys() == {"reference", "torch", "cpp"}
    assert found["torch"] == Finding("scan on cpu", "torch", "ok", "taken by MambaMorph")
    assert found["cpp"].state == "limited"
    assert "g++" in found["cpp"].remedy
