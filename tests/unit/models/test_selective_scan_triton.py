"""The Triton scan, held against the reference in double precision, and its kernels compiled for GPUs that need not be there.

Triton decides at its import whether it compiles kernels or interprets them. So the tests that run kernels do so on a GPU,
or in Triton's interpreter, in a process of their own that the first test starts; elsewhere they are skipped.
"""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from models.selective_scan import reference
from models.selective_scan import triton as scan_on_gpu

pytest.importorskip("triton")

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
DEVICE = "cuda" if torch.cuda.is_available() and not INTERPRETED else "cpu"
TILE = ("UNIT", "SOFTPLUS", "CHANNELS", "TOKENS", "CHUNKS")  # what kernels are compiled for
OPTIONS = ("D", "z", "delta_bias", "delta_softplus")


@pytest.fixture
def back_end(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The back end; to be interpreted, which is slow, with small tiles."""
    if DEVICE == "cpu" and not INTERPRETED:
        pytest.skip("runs on a GPU, or started by test_the_kernels_pass_in_tritons_interpreter")
    if INTERPRETED:
        small = {"CHANNELS": 4, "TOKENS": 8, "CARRIED": 4, "CHUNKS": 2, "PROGRAMS": 4}
        for name, value in small.items():
            monkeypatch.setattr(scan_on_gpu, name, value)
    return scan_on_gpu


def problem(batch: int, blocks: float, chunks: float, states: int, *options: str) -> dict[str, Any]:
    """Inputs in double precision, sized in the tiles of the back end."""
    channels, length = round(blocks * scan_on_gpu.CHANNELS), round(chunks * scan_on_gpu.TOKENS)
    normal = partial(torch.randn, dtype=torch.float64, device=DEVICE, generator=torch.Generator(DEVICE).manual_seed(0))
    softplus = "delta_softplus" in options
    inputs = {
        "u": normal(batch, channels, length),
        "delta": normal(batch, channels, length) if softplus else normal(batch, channels, length).abs() / 2,
        "A": -normal(channels, states).abs() - 0.1,
        "B": normal(batch, states, length),
        "C": normal(batch, states, length),
        "D": normal(channels),
        "z": normal(batch, channels, length),
        "delta_bias": normal(channels) - 1 if softplus else normal(channels).abs() / 10,
    }
    return {name: x for name, x in inputs.items() if name in options or name not in OPTIONS} | {"delta_softplus": softplus}


def results(scan: Any, inputs: Mapping[str, Any], dtypes: Mapping[str, torch.dtype]) -> dict[str, Tensor]:
    """y, and the gradient of each input for a gradient of y that is as random."""
    given = {name: x if isinstance(x, bool) else x.to(dtypes.get(name, dtypes["A"])) for name, x in inputs.items()}
    leaves = {name: x.requires_grad_() for name, x in given.items() if isinstance(x, Tensor)}
    y = scan(**given)
    dy = torch.randn(y.shape, device=DEVICE, generator=torch.Generator(DEVICE).manual_seed(1)).to(dtypes.get("u", dtypes["A"]))
    return {"y": y.detach()} | dict(zip(leaves, torch.autograd.grad(y, list(leaves.values()), dy.to(y.dtype)), strict=True))


def errors(back_end: ModuleType, inputs: Mapping[str, Any], half: torch.dtype | None = None) -> dict[str, float]:
    """Largest error over largest value; with `half`, of inputs that come in it."""
    dtypes = {"A": torch.float32} | ({} if half is None else dict.fromkeys(("u", "delta", "z", "B", "C"), half))
    rounded = {name: x.to(dtypes.get(name, torch.float32)) if isinstance(x, Tensor) else x for name, x in inputs.items()}
    truth = results(reference.scan, rounded, {"A": torch.float64})
    found = results(back_end.scan, inputs, dtypes)
    assert found["y"].dtype == dtypes.get("u", torch.float32)
    return {name: ((found[name] - truth[name]).abs().max() / truth[name].abs().max()).item() for name in truth}


@pytest.mark.skipif(INTERPRETED or DEVICE == "cuda", reason="the kernels run in this process")
def test_the_kernels_pass_in_tritons_interpreter() -> None:
    harmless = "ignore::DeprecationWarning:triton.runtime.interpreter"  # older ones warn of what NumPy will no longer take
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", harmless, __file__]
    environment = os.environ | {"TRITON_INTERPRET": "1"}
    done = subprocess.run(command, env=environment, cwd=Path(__file__).parents[3], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("batch", "blocks", "chunks", "states", "options"),
    [
        pytest.param(2, 1.25, 2.6, 3, OPTIONS, id="all options, parts of tiles, 3 states"),
        pytest.param(3, 0.75, 2, 2, (), id="no option, 3 items, whole chunks"),
        pytest.param(1, 1, 1.5, 16, OPTIONS, id="16 states"),
        pytest.param(1, 0.5, 1.5, 2, ("D",), id="only D"),
        pytest.param(1, 0.5, 1.5, 2, ("z",), id="only z"),
        pytest.param(1, 0.5, 1.5, 2, ("delta_bias",), id="only delta_bias"),
        pytest.param(1, 0.5, 1.5, 2, ("delta_softplus",), id="only delta_softplus"),
        pytest.param(1, 0.5, 5, 1, ("D", "z"), id="5 chunks, 1 state"),
    ],
)
def test_output_and_every_gradient_agree_with_the_reference(
    back_end: ModuleType, batch: int, blocks: float, chunks: float, states: int, options: tuple[str, ...]
) -> None:
    found = errors(back_end, problem(batch, blocks, chunks, states, *options))
    assert max(found.values()) < 1e-5, found


def test_one_token_agrees_with_the_reference(back_end: ModuleType) -> None:
    inputs = problem(2, 0.5, 1 / back_end.TOKENS, 2, *OPTIONS)
    found = results(back_end.scan, inputs, {"A": torch.float32})
    assert found.pop("A").abs().max() == 0  # no state before it that could decay
    truth = results(reference.scan, inputs, {"A": torch.float64})
    for name, value in found.items():
        torch.testing.assert_close(value.double(), truth[name], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("half", "tolerance"), [(torch.bfloat16, 2**-8), (torch.float16, 2**-11)])
def test_half_precision_costs_one_rounding_of_each_result(back_end: ModuleType, half: torch.dtype, tolerance: float) -> None:
    found = errors(back_end, problem(1, 0.5, 2.5, 2, *OPTIONS), half)
    assert max(found.values()) < tolerance, found


def test_decay_to_nothing_within_a_token_stays_exact(back_end: ModuleType) -> None:
    inputs = problem(1, 0.5, 2.5, 2, *OPTIONS)
    inputs["A"] *= 300
    inputs["delta"][..., ::3] *= 30  # steps from none at all to 50
    found = errors(back_end, inputs)
    assert max(found.values()) < 1e-5, found


def test_inputs_and_gradients_may_lie_in_memory_as_they_like(back_end: ModuleType) -> None:
    inputs = problem(2, 0.75, 1.5, 2, *OPTIONS)
    scattered = {name: x.mT.contiguous().mT if isinstance(x, Tensor) and x.dim() > 1 else x for name, x in inputs.items()}
    assert not scattered["u"].is_contiguous()
    expected = results(back_end.scan, inputs, {"A": torch.float32})
    found = results(lambda **given: back_end.scan(**given).mT.contiguous().mT, scattered, {"A": torch.float32})
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_of_the_states_only_those_between_chunks_are_kept(back_end: ModuleType) -> None:
    inputs = {name: x.float() if isinstance(x, Tensor) else x for name, x in problem(2, 0.75, 5, 4).items()}
    kept: list[int] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda x: kept.append(x.numel()), lambda _: None):
        back_end.scan(**inputs | {"u": inputs["u"].requires_grad_()})
    given = sum(x.numel() for x in inputs.values() if isinstance(x, Tensor))
    assert sum(kept) - given == len(inputs["u"]) * 6 * inputs["A"].numel()


def test_double_precision_is_refused(back_end: ModuleType) -> None:
    with pytest.raises(TypeError, match="expected float32 or half.*got float64"):
        back_end.scan(**problem(1, 0.5, 1, 2))


def test_what_is_missing_on_a_cpu_is_a_gpu() -> None:
    assert "GPU" in scan_on_gpu.missing(torch.device("cpu"))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_what_is_missing_without_a_gpu_is_said_not_raised() -> None:
    assert "GPU" in scan_on_gpu.missing(torch.device("cuda"))


def test_a_missing_triton_comes_with_the_line_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (9, 0))
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert "pip install triton" in scan_on_gpu.missing(torch.device("cuda"))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU, so its driver starts")
def test_a_driver_that_does_not_start_is_said_not_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (9, 0))
    assert "Triton does not start" in scan_on_gpu.missing(torch.device("cuda"))


@pytest.mark.gpu
@pytest.mark.skipif(DEVICE == "cpu", reason="needs a CUDA device")
def test_on_a_gpu_nothing_is_missing() -> None:
    assert scan_on_gpu.missing(torch.device("cuda")) == ""


@pytest.fixture
def launches(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any], dict[str, int]]]:
    """What a scan would launch, is listed here instead: a kernel, its arguments by name, options of the compiler."""
    if INTERPRETED:
        pytest.skip("Triton interprets in this process")
    from models.selective_scan import triton_kernels

    listed: list[tuple[str, dict[str, Any], dict[str, int]]] = []

    def launch(kernel: str, grid: tuple[int, ...], *positional: Any, **named: Any) -> None:
        names = getattr(triton_kernels, kernel).arg_names
        arguments = dict(zip(names, positional, strict=False)) | {name: named.pop(name) for name in names if name in named}
        listed.append((kernel, arguments, named))

    monkeypatch.setattr(scan_on_gpu, "launch", launch)
    return listed


def compiled(kernel: str, arguments: Mapping[str, Any], options: dict[str, Any], capability: int) -> Any:
    """The kernel as it would be compiled for these arguments, for a GPU of this capability."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from models.selective_scan import triton_kernels

    function = getattr(triton_kernels, kernel)
    types = {torch.float32: "*fp32", torch.bfloat16: "*bf16", torch.float16: "*fp16"}
    signature, aligned = {}, {}
    for place, name in enumerate(function.arg_names):
        x = arguments[name]
        if isinstance(x, Tensor):
            signature[name], is_aligned = types[x.dtype], True
        else:  # as Triton does when it is called: 1 is a constant, multiples of 16 are known to be
            signature[name], is_aligned = "constexpr" if x is None or x == 1 or name in TILE else "i32", (x or 1) % 16 == 0
        if signature[name] != "constexpr" and is_aligned:
            aligned[place,] = [["tt.divisibility", 16]]
    constants = {name: arguments[name] for name, kind in signature.items() if kind == "constexpr"}
    source = ASTSource(function, signature, constants, aligned)
    return triton.compile(source, GPUTarget("cuda", capability, 32), options | {"enable_fp_fusion": True})


@pytest.mark.parametrize(
    ("capability", "kind", "length", "options"),
    [
        pytest.param(90, torch.float32, 109_824, OPTIONS, id="Hopper, float32, the paper's first stage"),
        pytest.param(80, torch.bfloat16, 1_716, OPTIONS, id="Ampere, bfloat16, the paper's last stage"),
        pytest.param(90, torch.float16, 77, (), id="Hopper, float16, odd length, no option"),
    ],
)
def test_every_kernel_compiles_for_a_gpu(
    launches: list[Any],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capability: int,
    kind: torch.dtype,
    length: int,
    options: tuple[str, ...],
) -> None:
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    shapes = {"u": (1, 192, length), "delta": (1, 192, length), "A": (192, 16), "B": (1, 16, length), "C": (1, 16, length)}
    shapes |= {"D": (192,), "z": (1, 192, length), "delta_bias": (192,)}
    shapes = {name: shape for name, shape in shapes.items() if name in options or name not in OPTIONS}
    inputs = {name: torch.empty(shape, dtype=kind, requires_grad=True) for name, shape in shapes.items()}
    y = scan_on_gpu.scan(**inputs, delta_softplus="delta_softplus" in options)
    y.backward(torch.empty_like(y))
    assert {kernel for kernel, _, _ in launches} == {"chunk_ends", "carry", "outputs", "gradients"}
    distinct = {(kernel, arguments.get("dy") is None): arguments for kernel, arguments, _ in launches}
    for kernel, arguments, compiler in launches:
        if distinct.pop((kernel, arguments.get("dy") is None), None) is not None:
            assert compiled(kernel, arguments, compiler, capability).asm["cubin"]


@pytest.mark.gpu
@pytest.mark.skipif(DEVICE == "cpu", reason="needs a CUDA device")
def test_a_long_sequence_agrees_with_the_reference(back_end: ModuleType) -> None:
    found = errors(back_end, problem(1, 6, 64.5, 16, *OPTIONS))
    assert max(found.values()) < 1e-5, found


@pytest.mark.gpu
@pytest.mark.skipif(DEVICE == "cpu", reason="needs a CUDA device")
def test_the_same_inputs_give_the_same_bits(back_end: ModuleType) -> None:
    inputs = problem(2, 6, 40, 16, *OPTIONS)
    first, second = (results(back_end.scan, inputs, {"A": torch.float32}) for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.gpu
@pytest.mark.skipif(DEVICE == "cpu", reason="needs a CUDA device")
def test_arrays_of_more_than_two_to_the_31_elements_are_addressed(back_end: ModuleType) -> None:
    channels, length = 2_200, 1_000_000
    if torch.cuda.mem_get_info()[0] < 20 * 2**30:
        pytest.skip("needs 20 GB of GPU memory")
    u = torch.zeros(1, channels, length, dtype=torch.float16, device=DEVICE)
    u[0, -1] = torch.randn(length, device=DEVICE)
    delta = torch.full_like(u, 0.1)
    rates, weights = -torch.ones(channels, 2, device=DEVICE), torch.ones(1, 2, length, device=DEVICE)
    y = back_end.scan(u, delta, rates, weights, weights)
    assert torch.equal(y[:, -1:], back_end.scan(u[:, -1:], delta[:, -1:], rates[-1:], weights, weights))
    assert not y[:, :-1].any()
