"""Two losses, one step: the gradient of the lesser one loses what works against the greater one.

Gradient surgery by the projection of PCGrad (Yu et al. 2020, arXiv:2001.06782), layer by layer and one-sided as in GSMorph
(Dou et al. 2023, arXiv:2306.14687), which the paper lists. The authors' code has none: docs/decisions/0013-gradient-surgery.md.
"""

from collections.abc import Sequence

import torch
from torch import Tensor


def without_conflict(gradient: Tensor, protected: Tensor) -> Tensor:
    """The gradient projected onto the plane normal to the protected one if the two conflict; else as it is.

    With g and p: g - (g.p / p.p) p where g.p < 0.

    Args:
        gradient: of any shape.
        protected: of the same shape.
    """
    along = (gradient * protected).sum()
    square = protected.square().sum().clamp(min=torch.finfo(protected.dtype).tiny)
    return gradient - torch.where(along < 0, along / square, 0) * protected


def joined(protected: Sequence[Tensor | None], lesser: Sequence[Tensor | None]) -> list[Tensor | None]:
    """The sum of two losses' gradients, a parameter at a time, the lesser one's without what conflicts.

    Where one of them is not finite, neither is the sum.

    Args:
        protected: of each parameter; None where the loss does not reach it.
        lesser: of the same parameters.
    """
    return [_joined(first, second) for first, second in zip(protected, lesser, strict=True)]


def _joined(protected: Tensor | None, lesser: Tensor | None) -> Tensor | None:
    if protected is None or lesser is None:
        return lesser if protected is None else protected
    return protected + without_conflict(lesser, protected)
