"""What a training lowers: overlap of labels, smoothness of the field or its distance from a known one, likeness of images.

Each is computed in float32 or better, whatever it is given (arXiv 2401.13934 and its code; see each).
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from models.contrastive import contrast


def one_hot(labels: Tensor, values: Sequence[int]) -> Tensor:
    """One channel a value: 1 where the map has it, 0 elsewhere.

    Args:
        labels: [B, D, H, W], whole numbers of any integer type.
        values: the channels, in order; other values end in no channel.

    Returns:
        [B, len(values), D, H, W] float32.
    """
    channels = torch.tensor(values, device=labels.device, dtype=labels.dtype).view(1, -1, 1, 1, 1)
    return (labels.unsqueeze(1) == channels).to(torch.float32)


def dice_loss(warped: Tensor, fixed: Tensor, keep: Tensor | None = None) -> Tensor:
    """Minus the mean Dice over items and kept classes: -1 is perfect, 0 is no overlap.

    A class absent from both maps counts as 0, as in the authors' code.

    Args:
        warped: [B, K, ...], one-hot or soft.
        fixed: as warped.
        keep: bool [K], the classes in the mean; None: all.

    Raises:
        ValueError: shapes that differ, or a mask of another length.
    """
    if warped.shape != fixed.shape:
        raise ValueError(f"expected two label maps of one shape, got {list(warped.shape)} and {list(fixed.shape)}")
    if keep is not None:
        _check_mask(keep, warped.shape[1])
        warped, fixed = warped[:, keep], fixed[:, keep]
    warped, fixed = _precise(warped), _precise(fixed)
    voxels = tuple(range(2, warped.ndim))
    overlap = 2 * (warped * fixed).sum(voxels)  # [B, K]
    total = warped.sum(voxels) + fixed.sum(voxels)
    return -(overlap / total.clamp(min=1e-5)).mean()


def smoothness_loss(field: Tensor, multiplier: float = 1.0) -> Tensor:
    """Mean squared forward difference of a field, averaged over the three axes.

    Args:
        field: [B, 3, D, H, W], voxels; at least two voxels an axis.
        multiplier: on the result.

    Raises:
        ValueError: an axis of one voxel, which has no difference.
    """
    if field.ndim != 5 or min(field.shape[2:]) < 2:
        raise ValueError(f"expected a field [B, 3, D, H, W] with axes of at least two voxels, got {list(field.shape)}")
    by_axis = [_precise(field).diff(dim=axis).square().mean() for axis in (2, 3, 4)]
    return multiplier * torch.stack(by_axis).mean()


def displacement_loss(displacement: Tensor, known: Tensor, keep: Tensor) -> Tensor:
    """Mean squared distance of a field from the one that is known, as of images that were bent.

    Learning from known fields: Sokooti et al., MICCAI 2017 (doi:10.1007/978-3-319-66182-7_27).

    Args:
        displacement: [B, 3, D, H, W], voxels.
        known: as displacement.
        keep: bool [B, D, H, W], the voxels that count; with none of them the loss is 0.

    Raises:
        ValueError: shapes that differ.
    """
    if displacement.shape != known.shape or keep.shape != (len(known), *known.shape[2:]):
        shapes = [list(tensor.shape) for tensor in (displacement, known, keep)]
        raise ValueError(f"expected two fields of one shape and a mask of theirs, got {shapes[0]}, {shapes[1]} and {shapes[2]}")
    squares = (_precise(displacement) - _precise(known)).square().sum(dim=1)  # [B, D, H, W]
    return (squares * keep).sum() / keep.sum().clamp(min=1)


def contrastive_loss(
    moving_embedding: Tensor,
    fixed_embedding: Tensor,
    moving_labels: Tensor,
    fixed_labels: Tensor,
    keep: Tensor | None = None,
    points: int = 10_000,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Supervised contrast of features: low where voxels of one class look alike in both images, those of two do not.

    Both embeddings are made unit vectors; the prototype of a class is the direction of its mean over both images. A
    point's feature is held against its own prototype and, once more, against all of them, at a temperature of 0.25; the
    cross-entropy, which therefore stays above log 2, is averaged over points and items. A class that only one image
    has at the embeddings' size is left out, where the authors' code gives nan; images that share no class give 0.
    Gradients flow through points and prototypes.

    Args:
        moving_embedding: [B, 3, d, h, w].
        fixed_embedding: as moving_embedding.
        moving_labels: one-hot [B, K, 2d, 2h, 2w]; of each axis every second voxel is taken.
        fixed_labels: as moving_labels.
        keep: bool [K], the classes that count; None: all. Voxels of the others are background.
        points: drawn at most from each image, without regard to class.
        generator: what they are drawn from, the moving image's first; None: torch's own.

    Raises:
        ValueError: shapes that do not fit, no points, or a mask of another length.
    """
    if keep is not None:
        _check_mask(keep, moving_labels.shape[1])
    return contrast(moving_embedding, fixed_embedding, moving_labels, fixed_labels, keep, points, generator).loss


def mse_loss(moved: Tensor, fixed: Tensor) -> Tensor:
    """Mean squared difference of two images of one shape."""
    if moved.shape != fixed.shape:
        raise ValueError(f"expected two images of one shape, got {list(moved.shape)} and {list(fixed.shape)}")
    return F.mse_loss(_precise(moved), _precise(fixed))


def ncc_loss(moved: Tensor, fixed: Tensor, window: int = 9) -> Tensor:
    """Minus the mean squared local correlation of two images.

    Windows reach over the border into zeros and are as large there, as in VoxelMorph.

    Args:
        moved: [B, 1, D, H, W].
        fixed: as moved.
        window: edge of the cube in voxels; odd.
    """
    if moved.shape != fixed.shape or window % 2 == 0:
        raise ValueError(
            f"expected two images of one shape and an odd window, got {list(moved.shape)}, {list(fixed.shape)} and {window}"
        )

    def local_mean(image: Tensor) -> Tensor:
        return F.avg_pool3d(image, window, stride=1, padding=window // 2, count_include_pad=True)

    moved, fixed, voxels = _precise(moved), _precise(fixed), window**3
    mean_moved, mean_fixed = local_mean(moved), local_mean(fixed)
    cross = voxels * (local_mean(moved * fixed) - mean_moved * mean_fixed)
    variance_moved = voxels * (local_mean(moved.square()) - mean_moved.square())
    variance_fixed = voxels * (local_mean(fixed.square()) - mean_fixed.square())
    return -(cross.square() / (variance_moved * variance_fixed + 1e-5)).mean()


def _precise(tensor: Tensor) -> Tensor:
    """At least float32: a sum over a volume does not fit into half precision."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def _check_mask(keep: Tensor, classes: int) -> None:
    if keep.dtype != torch.bool or keep.shape != (classes,):
        raise ValueError(f"expected a bool mask of {classes} classes, got {keep.dtype} {list(keep.shape)}")
