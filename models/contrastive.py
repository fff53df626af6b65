"""The supervised contrastive loss: voxels of one structure look alike in both images, those of two do not.

As `ContrastiveSem` in the code of arXiv 2401.13934, which counts the positive twice, draws without regard to
class, and gives nan where a class is in one image only. Here such a class is left out and counted.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

_TEMPERATURE = 0.25


@dataclass(frozen=True, eq=False)
class Contrast:
    """How far classes are from lying apart.

    Args:
        loss: mean over the items; 0 for one whose images share no class.
        left_out: how many classes, over all items, only one of the two images has.
    """

    loss: Tensor
    left_out: Tensor


def contrast(
    moving_embedding: Tensor,
    fixed_embedding: Tensor,
    moving_labels: Tensor,
    fixed_labels: Tensor,
    keep: Tensor | None = None,
    points: int = 10_000,
    generator: torch.Generator | None = None,
) -> Contrast:
    """The loss of `models.losses.contrastive_loss`, with its arguments, and what was left out of it.

    Computed in float32 or better, under autocast too.

    Raises:
        ValueError: embeddings of two shapes, label maps that are not twice their size, or no points.
    """
    _check(moving_embedding, fixed_embedding, moving_labels, fixed_labels, points)
    with torch.autocast(moving_embedding.device.type, enabled=False):
        moving, fixed = _foregrounds(moving_embedding, moving_labels, keep), _foregrounds(fixed_embedding, fixed_labels, keep)
        losses = [_loss(first, second, points, generator) for first, second in zip(moving, fixed, strict=True)]
    left_out = [(first.has ^ second.has).sum() for first, second in zip(moving, fixed, strict=True)]
    return Contrast(torch.stack(losses).mean(), torch.stack(left_out).sum())


@dataclass(frozen=True, eq=False)
class _Foreground:
    """The voxels of one image that belong to exactly one class.

    Args:
        features: [F, 3], of unit length.
        classes: [F], each voxel's.
        means: [K, 3], of the features of each class.
        has: bool [K], whether there is a voxel of it.
    """

    features: Tensor
    classes: Tensor
    means: Tensor
    has: Tensor

    def draw(self, usable: Tensor, points: int, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
        """Features and classes of so many voxels of the usable classes (bool [K]), or of all if there are fewer."""
        voxels = usable[self.classes].nonzero().squeeze(1)
        device = "cpu" if generator is None else generator.device  # the same points whatever the images lie on
        order = torch.randperm(len(voxels), generator=generator, device=device)[:points].to(voxels.device)
        chosen = voxels[order]
        return self.features.index_select(0, chosen), self.classes[chosen]


def _foregrounds(embedding: Tensor, labels: Tensor, keep: Tensor | None) -> list[_Foreground]:
    """Of each item; of the labels every second voxel of each axis, which is nearest interpolation by 0.5."""
    half = labels[..., ::2, ::2, ::2]
    return [_foreground(*item) for item in zip(embedding, half if keep is None else half[:, keep], strict=True)]


def _foreground(embedding: Tensor, labels: Tensor) -> _Foreground:
    """Of an embedding [3, d, h, w] and one-hot labels [K, d, h, w]."""
    maps = labels.flatten(1)  # [K, N]
    voxels = (maps.sum(0) == 1).nonzero().squeeze(1)
    precise = embedding.to(torch.promote_types(embedding.dtype, torch.float32))
    features = _unit(precise.flatten(1).index_select(1, voxels).T)  # [F, 3]
    members = maps.index_select(1, voxels).to(features.dtype)  # [K, F]
    counts = members.sum(1, keepdim=True)
    return _Foreground(features, members.argmax(0), members @ features / counts.clamp(min=1), counts.squeeze(1) > 0)


def _loss(moving: _Foreground, fixed: _Foreground, points: int, generator: torch.Generator | None) -> Tensor:
    """-log(exp(p) / (exp(p) + sum over classes)), p the logit of a point's own class; mean over the points of both images."""
    shared = moving.has & fixed.has
    prototypes = _unit((moving.means + fixed.means) / 2)  # [K, 3]
    drawn = [image.draw(shared, points, generator) for image in (moving, fixed)]
    features, classes = (torch.cat(parts) for parts in zip(*drawn, strict=True))
    if len(features) == 0:
        return 0 * (moving.features.sum() + fixed.features.sum())  # so that every weight still gets a gradient
    logits = features @ prototypes.T / _TEMPERATURE  # [P, K]
    logits = logits.masked_fill(~shared, -torch.inf)
    own = logits.gather(1, classes[:, None]).squeeze(1)
    return (torch.logaddexp(own, logits.logsumexp(1)) - own).mean()


def _unit(vectors: Tensor) -> Tensor:
    """Each of length 1; one of no length has no direction, stays 0 and gets no endless gradient."""
    length = torch.linalg.vector_norm(vectors, dim=1, keepdim=True)
    return vectors / torch.where(length > 1e-12, length, 1)


def _check(moving_embedding: Tensor, fixed_embedding: Tensor, moving_labels: Tensor, fixed_labels: Tensor, points: int) -> None:
    shape, size = moving_embedding.shape, moving_labels.shape
    if len(shape) != 5 or fixed_embedding.shape != shape:
        raise ValueError(f"expected two embeddings of one shape, got {list(shape)} and {list(fixed_embedding.shape)}")
    if fixed_labels.shape != size or (size[0], *size[2:]) != (shape[0], *(2 * n for n in shape[2:])):
        raise ValueError(
            f"expected two label maps [B, K, D, H, W] of twice the size of the embeddings {list(shape)}, "
            f"got {list(size)} and {list(fixed_labels.shape)}"
        )
    if points < 1:
        raise ValueError(f"expected at least one point, got {points}")
