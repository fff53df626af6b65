"""The scan: by hand, against SciPy's filter, and every back end of a CPU against the reference in float64."""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import NamedTuple

import numpy as np
import pytest
import scipy.signal
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from models.selective_scan import chunked, reasons, selective_scan

FAST = ("torch", "cpp")
ORDER = ("u", "delta", "A", "B", "C", "D", "z", "delta_bias")


class Sizes(NamedTuple):
    """Sizes of a problem."""

    batch: int
    channels: int
    states: int
    length: int


SIZES = (
    Sizes(3, 19, 5, 67),  # nothing fills a vector or a chunk
    Sizes(1, 33, 16, 129),  # two vectors of channels and two chunks, and one more of each
    Sizes(2, 3, 2, 1),  # a single token
)
OPTIONS = (
    (),
    ("D",),
    ("z",),
    ("delta_bias",),
    ("delta_softplus",),
    ("D", "z", "delta_bias", "delta_softplus"),
)
ALL = OPTIONS[-1]

Arguments = dict[str, Tensor]


def problem(sizes: Sizes, options: tuple[str, ...] = ALL, seed: int = 0) -> Arguments:
    """Float64 arguments; step sizes are positive where no softplus makes them so."""
    generator = torch.Generator().manual_seed(seed)
    batch, channels, states, length = sizes
    long, wide = (batch, channels, length), (batch, states, length)
    shapes = (long, long, (channels, states), wide, wide, (channels,), long, (channels,))
    given = {
        name: torch.randn(shape, generator=generator, dtype=torch.float64)
        for name, shape in zip(ORDER, shapes, strict=True)
        if name in ("u", "delta", "A", "B", "C") or name in options
    }
    given["A"] = -given["A"].exp()
    if "delta_softplus" not in options:
        given |= {name: given[name].abs() for name in ("delta", "delta_bias") if name in given}
    return given


def answers(arguments: Mapping[str, Tensor], softplus: bool, backend: str, dtype: torch.dtype) -> Arguments:
    """The output and the gradient of every argument."""
    given = {name: x.to(dtype).detach().requires_grad_() for name, x in arguments.items()}
    y = selective_scan(**given, delta_softplus=softplus, backend=backend)
    weights = torch.arange(y.numel(), dtype=torch.float64).cos().view_as(y)
    gradients = torch.autograd.grad((y * weights).sum(), list(given.values()))
    return {"y": y.detach(), **dict(zip(given, gradients, strict=True))}


@cache
def truth(sizes: Sizes, options: tuple[str, ...]) -> Arguments:
    return answers(problem(sizes, options), "delta_softplus" in options, "reference", torch.float64)


def assert_close(found: Mapping[str, Tensor], expected: Mapping[str, Tensor], tolerance: float) -> None:
    """Every tensor, to a part of its largest value."""
    assert found.keys() == expected.keys()
    for name, want in expected.items():
        error, largest = (found[name].double() - want).abs().max(), want.abs().max()
        assert error <= tolerance * largest, f"{name}: {float(error):.2e} of {float(largest):.2e}"


@pytest.fixture(params=FAST)
def backend(request: pytest.FixtureRequest) -> str:
    return usable(request.param)


@pytest.fixture(params=["reference", *FAST])
def backend_or_reference(request: pytest.FixtureRequest) -> str:
    return usable(request.param)


def usable(name: str, device: str = "cpu") -> str:
    if reason := reasons(device)[name]:
        pytest.skip(f"{name}: {reason}")
    return name


@pytest.fixture
def three_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def test_three_steps_of_one_state_by_hand(backend_or_reference: str) -> None:
    u, delta, b, c = (
        torch.tensor(x, dtype=torch.float64).view(1, 1, 3) for x in ([1, 2, 3], [1, 2, 1], [1, 0.5, 2], [1, 3, 2])
    )
    a, d = torch.tensor([[-np.log(2)]]), torch.tensor([10.0], dtype=torch.float64)
    # s: 1; 1 / 4 + 2 x 0.5 x 2 = 2.25; 2.25 / 2 + 2 x 3 = 7.125.  y: s C + 10 u.
    y = selective_scan(u, delta, a, b, c, d, backend=backend_or_reference)
    assert y.flatten().tolist() == pytest.approx([1 + 10, 6.75 + 20, 14.25 + 30], rel=1e-12)


def test_with_a_constant_step_it_is_a_recursive_filter(backend_or_reference: str) -> None:
    u, step, rates, b, c = np.random.default_rng(0).normal(size=200), 0.1, -np.array([0.5, 1.0, 4.0]), 0.7, 1.3
    each = [scipy.signal.lfilter([c * step * b], [1, -np.exp(step * rate)], u) for rate in rates]
    scanned, wide = torch.from_numpy(u).view(1, 1, 200), torch.ones(1, 3, 200, dtype=torch.float64)
    y = selective_scan(
        scanned,
        torch.full_like(scanned, step),
        torch.from_numpy(rates)[None],
        b * wide,
        c * wide,
        backend=backend_or_reference,
    )
    np.testing.assert_allclose(y.flatten().numpy(), sum(each), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("options", OPTIONS, ids="+".join)
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_output_and_every_gradient_agree_with_the_reference(sizes: Sizes, options: tuple[str, ...], backend: str) -> None:
    found = answers(problem(sizes, options), "delta_softplus" in options, backend, torch.float32)
    assert_close(found, truth(sizes, options), 1e-5)


def test_in_float64_they_agree_to_float64(backend: str) -> None:
    found = answers(problem(SIZES[0]), True, backend, torch.float64)
    assert_close(found, truth(SIZES[0], ALL), 1e-13)


def test_gradients_are_those_of_finite_differences(backend_or_reference: str) -> None:
    given = [x.requires_grad_() for x in problem(Sizes(1, 2, 2, 19)).values()]

    def scan(*arguments: Tensor) -> Tensor:
        return selective_scan(*arguments, delta_softplus=True, backend=backend_or_reference)

    assert torch.autograd.gradcheck(scan, given)


def test_the_reference_is_differentiable_twice() -> None:
    given = [x.requires_grad_() for x in problem(Sizes(1, 2, 2, 3)).values()]

    def scan(*arguments: Tensor) -> Tensor:
        return selective_scan(*arguments, delta_softplus=True, backend="reference")

    assert torch.autograd.gradgradcheck(scan, given)


def test_arguments_may_lie_anywhere_in_memory(backend: str) -> None:
    sizes = Sizes(2, 40, 3, 70)
    given = problem(sizes, ("D", "z", "delta_bias"))
    given["B"] = given["B"][:, :1].expand(-1, 3, -1)
    expected = answers(given, True, "reference", torch.float64)
    scattered = dict(given)
    scattered["u"] = given["u"].transpose(1, 2).contiguous().transpose(1, 2)  # channels last, as a linear layer gives them
    scattered["delta"] = torch.stack([given["delta"], given["delta"]], dim=-1)[..., 0]
    scattered["z"] = torch.cat([given["u"], given["z"]], dim=1).chunk(2, dim=1)[1]
    scattered["A"] = given["A"].t().contiguous().t()
    scattered["D"] = given["D"].repeat_interleave(2)[::2]
    assert_close(answers(scattered, True, backend, torch.float32), expected, 1e-5)


def test_the_gradient_that_comes_in_may_lie_anywhere_in_memory(backend: str) -> None:
    given = {name: x.requires_grad_() for name, x in problem(SIZES[0], ("z",)).items()}
    by_sum = torch.autograd.grad(selective_scan(**given, backend=backend).sum(), list(given.values()))  # a view of one number
    y = selective_scan(**given, backend="reference")
    expected = torch.autograd.grad(y, list(given.values()), torch.ones_like(y))
    assert_close(dict(zip(given, by_sum, strict=True)), dict(zip(given, expected, strict=True)), 1e-12)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_single(backend: str, dtype: torch.dtype) -> None:
    rounded = {name: x.to(dtype) for name, x in problem(SIZES[1]).items()}
    found = answers(rounded, True, backend, dtype)
    expected = answers(rounded, True, "reference", torch.float64)
    assert {x.dtype for x in found.values()} == {dtype}
    assert_close(found, expected, torch.finfo(dtype).eps)


def test_autocast_changes_nothing(backend: str) -> None:
    given = {name: x.float() for name, x in problem(SIZES[1]).items()}
    with torch.autocast("cpu", torch.bfloat16):
        inside = selective_scan(**given, delta_softplus=True, backend=backend)
    assert torch.equal(inside, selective_scan(**given, delta_softplus=True, backend=backend))


def test_a_state_that_is_forgotten_at_once_stays_finite(backend_or_reference: str) -> None:
    given = problem(Sizes(1, 17, 3, 1000), ("D", "z"))
    given["A"] *= torch.tensor([1.0, 1e3, 1e30], dtype=torch.float64)  # delta A down to -1e31
    found = answers(given, False, backend_or_reference, torch.float32)
    assert all(x.isfinite().all() for x in found.values())
    assert_close(found, answers(given, False, "reference", torch.float64), 1e-5)


def test_large_steps_and_gates_stay_finite(backend: str) -> None:
    given = problem(Sizes(1, 2, 3, 402), ("z",))
    given["delta"] = torch.linspace(-200, 200, 2 * 402, dtype=torch.float64).view(1, 2, 402)
    given["z"] = given["delta"].flip(2)
    assert_close(answers(given, True, backend, torch.float32), answers(given, True, "reference", torch.float64), 1e-5)


def test_nan_spreads_to_later_tokens_of_its_channel_alone(backend: str) -> None:
    given = {name: x.float() for name, x in problem(SIZES[0]).items()}
    for name in ("u", "delta", "z"):
        broken = {**given, name: given[name].clone()}
        broken[name][1, 4, 30] = torch.nan
        is_nan = selective_scan(**broken, delta_softplus=True, backend=backend).isnan()
        expected = torch.zeros_like(is_nan)
        expected[1, 4, 30 : 31 if name == "z" else None] = True
        assert torch.equal(is_nan, expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_exponentials_are_exact_to_rounding(backend: str, dtype: torch.dtype) -> None:
    # Two tokens, a channel for every x: a state of 1 that decays by exp(-x).
    x = torch.linspace(0, 80, 3001, dtype=dtype)
    u = torch.tensor([1.0, 0.0], dtype=dtype).expand(1, len(x), 2)
    delta = torch.stack([torch.ones_like(x), x], dim=1)[None]
    one = torch.ones(1, 1, 2, dtype=dtype)
    y = selective_scan(u, delta, -torch.ones(len(x), 1, dtype=dtype), one, one, backend=backend)[0, :, 1]
    relative = (y.double() / torch.exp(-x.double()) - 1).abs()
    assert (relative <= torch.finfo(dtype).eps * (2 + x)).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_softplus_is_exact_to_rounding(backend: str, dtype: torch.dtype) -> None:
    x = torch.linspace(-60, 60, 4001, dtype=dtype)
    one = torch.ones(1, 1, 1, dtype=dtype)
    y = selective_scan(
        torch.ones(1, len(x), 1, dtype=dtype),
        x.view(1, -1, 1),
        -torch.ones(len(x), 1, dtype=dtype),
        one,
        one,
        delta_softplus=True,
        backend=backend,
    )
    expected = np.logaddexp(0, x.double().numpy())
    # torch's own softplus is x above 20, in every precision
    np.testing.assert_allclose(y.flatten().double().numpy(), expected, rtol=max(8 * torch.finfo(dtype).eps, 2e-10))


def test_two_calls_are_equal_bit_for_bit(backend: str, three_threads: None) -> None:
    given = problem(Sizes(2, 40, 16, 300))
    first, second = (answers(given, True, backend, torch.float32) for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_any_number_of_threads_gives_the_same(backend: str, three_threads: None) -> None:
    given = problem(Sizes(1, 50, 4, 150))
    many = answers(given, True, backend, torch.float64)
    torch.set_num_threads(1)
    assert_close(many, answers(given, True, backend, torch.float64), 1e-14)


def test_without_gradients_nothing_is_kept(backend: str) -> None:
    kept: list[Tensor] = []
    given = {name: x.requires_grad_() for name, x in problem(SIZES[0]).items()}
    with torch.no_grad(), torch.autograd.graph.saved_tensors_hooks(kept.append, lambda x: x):
        y = selective_scan(**given, delta_softplus=True, backend=backend)
    assert not y.requires_grad
    assert kept == []


class LargestTensor(TorchDispatchMode):
    """Notes how many numbers the largest result of any operation has."""

    largest = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        result = func(*args, **(kwargs or {}))
        outputs = result if isinstance(result, (list, tuple)) else (result,)
        self.largest = max([self.largest, *(x.numel() for x in outputs if isinstance(x, Tensor))])
        return result


def test_no_tensor_has_tokens_times_channels_times_states(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunked, "_NUMBERS", 2**13)
    sizes = Sizes(1, 8, 16, 999)
    with LargestTensor() as watch:
        answers(problem(sizes), True, backend, torch.float32)
    assert watch.largest <= 2 * sizes.states * sizes.length  # B and C, and their gradients together
    assert watch.largest < sizes.channels * sizes.states * sizes.length / 3


def test_what_is_kept_for_the_way_back_grows_with_the_tokens_alone(backend: str) -> None:
    def kept_bytes(length: int) -> int:
        kept: dict[int, int] = {}

        def note(x: Tensor) -> Tensor:
            kept[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
            return x

        given = {name: x.float().requires_grad_() for name, x in problem(Sizes(1, 64, 16, length)).items()}
        with torch.autograd.graph.saved_tensors_hooks(note, lambda x: x):
            selective_scan(**given, delta_softplus=True, backend=backend)
        return sum(kept.values())

    short, long = kept_bytes(2000), kept_bytes(4000)
    assert long <= 2 * short
    assert long <= 8 * (4 * 64 * 4000)  # bytes; the states of all tokens alone would be 16 times u


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["torch", "mamba-ssm"])
def test_on_a_gpu_output_and_gradients_agree_with_the_reference(name: str) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    usable(name, "cuda")
    on_device = {key: x.cuda() for key, x in problem(SIZES[0]).items()}
    given = {key: x.float().requires_grad_() for key, x in on_device.items()}
    y = selective_scan(**given, delta_softplus=True, backend=name)
    weights = torch.arange(y.numel(), dtype=torch.float64, device="cuda").cos().view_as(y)
    gradients = torch.autograd.grad((y * weights).sum(), list(given.values()))
    found = {"y": y.detach(), **dict(zip(given, gradients, strict=True))}
    assert_close({key: x.cpu() for key, x in found.items()}, truth(SIZES[0], ALL), 1e-5)


ARGUMENTS_THAT_DO_NOT_FIT = {
    "u": (torch.zeros(3, 4), r"expected u \[batch, channels, L\].*got \[3, 4\]"),
    "delta": (torch.zeros(2, 3, 7), r"expected delta \[batch, channels, L\] = \[2, 3, 8\], got \[2, 3, 7\]"),
    "A": (torch.zeros(4, 5), r"expected A \[channels, states\] = \[3, 5\], got \[4, 5\]"),
    "B": (torch.zeros(2, 1, 5, 8), r"expected B \[batch, states, L\] = \[2, 5, 8\], got \[2, 1, 5, 8\]"),
    "C": (torch.zeros(2, 8, 5), r"expected C .* = \[2, 5, 8\], got \[2, 8, 5\]"),
    "D": (torch.zeros(1, 3), r"expected D \[channels\] = \[3\], got \[1, 3\]"),
    "z": (torch.zeros(2, 3, 8, dtype=torch.int64), "expected z of real floating-point numbers, got torch.int64"),
    "delta_bias": (torch.zeros(3, device="meta"), "expected delta_bias on the device of u, cpu, got meta"),
}


@pytest.mark.parametrize("name", ARGUMENTS_THAT_DO_NOT_FIT)
def test_an_argument_that_does_not_fit_is_refused(name: str) -> None:
    wrong, message = ARGUMENTS_THAT_DO_NOT_FIT[name]
    given = {**problem(Sizes(2, 3, 5, 8)), name: wrong}
    with pytest.raises(ValueError, match=message):
        selective_scan(**given)


def test_no_tokens_are_refused() -> None:
    with pytest.raises(ValueError, match="none of them 0"):
        selective_scan(**problem(Sizes(1, 2, 3, 0)))
