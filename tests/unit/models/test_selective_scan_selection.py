"""Which back end a scan takes, and what is said about those it does not take."""

import logging
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

from models.selective_scan import BACKENDS, chosen, compiled, cpp, reasons, reference, selection, selective_scan

Scan = Callable[..., Tensor]


@pytest.fixture(autouse=True)
def nothing_remembered() -> Iterator[None]:
    """What a process asks once is asked anew in every test."""
    forget()
    yield
    forget()


def forget() -> None:
    for remembered in (selection._chosen, selection._why_not, compiled.library):
        remembered.cache_clear()


@pytest.fixture
def no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)


def small() -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = ((2, 3, 9), (2, 3, 9), (3, 4), (2, 4, 9), (2, 4, 9))
    return [torch.rand(shape, generator=generator) for shape in shapes]


def wrong_output(*arguments: Tensor, **options: bool) -> Tensor:
    return reference.scan(*arguments, **options) * 1.001


def wrong_gradient(u: Tensor, *arguments: Tensor, **options: bool) -> Tensor:
    y = reference.scan(u.detach(), *arguments, **options)
    return y + 0 * u


def not_a_number(*arguments: Tensor, **options: bool) -> Tensor:
    return reference.scan(*arguments, **options) * torch.nan


def broken(*arguments: Tensor, **options: bool) -> Tensor:
    raise OSError("a library is missing")


@pytest.mark.parametrize(
    ("scan", "trouble"),
    [
        (wrong_output, "its output is off by 1.0e-03"),
        (wrong_gradient, "its gradient of u is off by"),
        (not_a_number, "its output is off by nan"),
        (broken, "it fails (OSError: a library is missing)"),
    ],
    ids=["output", "gradient", "nan", "failure"],
)
def test_a_back_end_that_is_wrong_is_left_out_with_one_warning(
    scan: Scan, trouble: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(cpp, "missing", lambda device: "")
    monkeypatch.setattr(cpp, "scan", scan)
    with caplog.at_level(logging.WARNING):
        outputs = [selective_scan(*small()) for _ in range(2)]
    assert chosen("cpu") == "torch"
    assert [line for line in caplog.messages if "cpp is left out" in line and trouble in line] == caplog.messages[:1]
    assert len(caplog.messages) == 2  # and one on what is taken instead
    assert trouble in reasons("cpu")["cpp"]
    torch.testing.assert_close(outputs[1], reference.scan(*small()))


def test_without_a_compiler_torch_is_taken_and_said_once(no_compiler: None, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="models"):
        outputs = [selective_scan(*small()) for _ in range(2)]
    assert chosen("cpu") == "torch"
    assert len(caplog.messages) == 1
    assert "takes torch, several times slower (cpp: no C++ compiler (c++, g++, clang++) was found" in caplog.messages[0]
    torch.testing.assert_close(outputs[0], reference.scan(*small()))


def test_a_back_end_asked_for_by_name_must_run(no_compiler: None) -> None:
    with pytest.raises(RuntimeError, match=r"'cpp' cannot be used on cpu: no C\+\+ compiler .* Use 'auto'"):
        selective_scan(*small(), backend="cpp")


@pytest.mark.parametrize("name", ["triton", "mamba-ssm"])
def test_a_back_end_for_gpus_is_refused_on_a_cpu(name: str) -> None:
    with pytest.raises(RuntimeError, match=f"'{name}' cannot be used on cpu: "):
        selective_scan(*small(), backend=name)


@pytest.mark.parametrize("name", ["triton", "mamba-ssm"])
def test_a_back_end_of_single_precision_refuses_double(name: str) -> None:
    with pytest.raises(ValueError, match=f"'{name}' computes in float32, got float64"):
        selective_scan(*(x.double() for x in small()), backend=name)


def test_an_unknown_back_end_is_answered_with_the_list() -> None:
    with pytest.raises(ValueError, match="'cuda'; there are: auto, reference, torch, cpp, triton, mamba-ssm"):
        selective_scan(*small(), backend="cuda")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_on_a_cpu_the_fastest_that_runs_is_taken(dtype: torch.dtype) -> None:
    assert chosen("cpu", dtype) == ("torch" if reasons("cpu")["cpp"] else "cpp")


def test_there_is_a_reason_for_every_back_end_that_does_not_run() -> None:
    why_not = reasons("cpu")
    assert list(why_not) == list(BACKENDS)
    assert why_not["reference"] == why_not["torch"] == ""
    assert why_not["mamba-ssm"] == "is for a CUDA device"


def test_the_first_scan_may_be_in_any_mode() -> None:
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        y = selective_scan(*small())
    torch.testing.assert_close(y, reference.scan(*small()))
    assert reasons("cpu")["torch"] == ""


def test_a_self_test_leaves_the_random_numbers_alone() -> None:
    state = torch.get_rng_state()
    chosen("cpu")
    assert torch.equal(torch.get_rng_state(), state)
