import sys
import time

import numpy as np
import pytest

from benchmark.clock import device_name, timed
from srreg.errors import UsageError


def test_the_result_comes_back_with_the_wall_time():
    result, cost = timed(lambda: time.sleep(0.05) or "done", "cpu")
    assert result == "done"
    assert 0.05 <= cost.seconds < 1


def test_the_load_of_the_machine_is_the_systems_and_unknown_where_it_tells_none(monkeypatch):
    monkeypatch.setattr("os.getloadavg", lambda: (2.5, 1.0, 0.5))
    assert timed(lambda: None, "cpu")[1].load == 2.5
    monkeypatch.delattr("os.getloadavg")
    assert np.isnan(timed(lambda: None, "cpu")[1].load)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's record of resident memory is Linux'")
def test_the_peak_counts_memory_that_is_given_back_before_the_end():
    _, cost = timed(lambda: np.ones(256 * 1024**2, np.uint8).sum(), "cpu")
    assert cost.peak_gib == pytest.approx(0.25, abs=0.05)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's record of resident memory is Linux'")
def test_an_earlier_peak_is_not_counted():
    np.ones(256 * 1024**2, np.uint8).sum()
    _, cost = timed(lambda: None, "cpu")
    assert cost.peak_gib < 0.05


def test_where_the_kernel_keeps_no_peak_memory_is_unknown(monkeypatch, tmp_path):
    monkeypatch.setattr("benchmark.clock._PROCESS", tmp_path / "missing")
    _, cost = timed(lambda: None, "cpu")
    assert np.isnan(cost.peak_gib)


@pytest.mark.gpu
def test_on_a_gpu_the_peak_is_what_was_allocated_there():
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device here")
    _, cost = timed(lambda: torch.ones(256 * 1024**2, dtype=torch.uint8, device="cuda").sum().item(), "cuda")
    assert cost.peak_gib == pytest.approx(0.25, abs=0.05)


def test_a_device_is_named_by_its_maker_and_cores():
    assert device_name("cpu").startswith("CPU: ")
    assert device_name("cpu").endswith("cores")


@pytest.mark.parametrize("device", ["gpu", "tpu", ""])
def test_a_device_that_is_none_is_refused(device):
    with pytest.raises(UsageError, match="expected a device"):
        device_name(device)


def test_an_apple_gpu_that_is_not_here_is_refused(monkeypatch):
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)
    with pytest.raises(UsageError, match="torch sees no Apple GPU here"):
        device_name("mps")


def test_a_gpu_that_is_not_here_is_refused(monkeypatch):
    def invalid(device):
        raise AssertionError("Invalid device id")

    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.get_device_name", invalid)
    with pytest.raises(UsageError, match="torch sees no device cuda:7 here"):
        device_name("cuda:7")
