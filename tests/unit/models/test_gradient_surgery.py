"""Two gradients in the plane, where one sees what a projection must give."""

import math

import pytest
import torch

from models.gradient_surgery import joined, without_conflict

ALONG_X = torch.tensor([2.0, 0.0])


def test_what_works_against_the_protected_gradient_is_cut() -> None:
    assert without_conflict(torch.tensor([-3.0, 4.0]), ALONG_X).tolist() == [0, 4]


def test_a_slanted_conflict_is_cut_at_a_right_angle() -> None:
    """g = (0, 1), p = (3, -4): g.p = -4, p.p = 25, so g + 4/25 p."""
    cut = without_conflict(torch.tensor([0.0, 1.0]), torch.tensor([3.0, -4.0]))
    assert cut.tolist() == pytest.approx([12 / 25, 9 / 25])


@pytest.mark.parametrize("gradient", [[3.0, 4.0], [0.0, 4.0], [0.0, 0.0]])
def test_what_does_not_conflict_is_left_alone(gradient: list[float]) -> None:
    assert without_conflict(torch.tensor(gradient), ALONG_X).tolist() == gradient


@pytest.mark.parametrize("size", [0.0, 1e-30])
def test_a_protected_gradient_of_almost_nothing_takes_almost_nothing(size: float) -> None:
    cut = without_conflict(torch.tensor([-3.0, 4.0]), torch.tensor([size, 0.0]))
    assert torch.isfinite(cut).all()
    assert cut.norm() <= 5


def test_a_step_along_both_lowers_the_protected_loss_as_fast_as_without_the_other() -> None:
    generator = torch.Generator().manual_seed(0)
    protected = [torch.randn(4, 5, 6, generator=generator) for _ in range(8)]
    lesser = [torch.randn(4, 5, 6, generator=generator) for _ in range(8)]
    for own, both in zip(protected, joined(protected, lesser), strict=True):
        assert both is not None
        assert (own * both).sum() >= own.square().sum() * (1 - 1e-5)


def test_each_parameter_is_looked_at_alone() -> None:
    protected = [ALONG_X, torch.tensor([0.0, 1.0])]
    both = joined(protected, [torch.tensor([-3.0, 4.0]), torch.tensor([-3.0, 4.0])])
    assert [gradient.tolist() for gradient in both if gradient is not None] == [[2, 4], [-3, 5]]


def test_a_parameter_that_one_loss_does_not_reach_has_the_others_gradient() -> None:
    first, second, neither = joined([ALONG_X, None, None], [None, -ALONG_X, None])
    assert first is ALONG_X
    assert second is not None
    assert second.tolist() == [-2, 0]
    assert neither is None


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("is_first", [True, False])
def test_what_is_not_finite_stays_so(bad: float, is_first: bool) -> None:
    """Or a bad step would go unseen."""
    pair = [torch.tensor([bad, 1.0])], [torch.tensor([-3.0, 4.0])]
    (both,) = joined(*pair) if is_first else joined(*pair[::-1])
    assert both is not None
    assert not torch.isfinite(both).all()
