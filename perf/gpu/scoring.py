"""What a row is judged by where numba and SciPy may be absent: hard Dice by structure and folding, on the device."""

import torch
from torch import Tensor

from models.spatial import warp
from models.training_settings import Batch
from srreg.labels import SCORED


def dice(displacement: Tensor, batch: Batch) -> dict[str, float]:
    """Dice of each scored structure, labels moved by nearest neighbour; nan where neither map has it.

    Args:
        displacement: [1, 3, D, H, W], voxels.
        batch: one pair.
    """
    moved = warp(batch.moving_labels[:, None].float(), displacement, "nearest")[:, 0].to(torch.uint8)
    found = {}
    for label in SCORED:
        ours, theirs = moved == label, batch.fixed_labels == label
        total = int(ours.sum() + theirs.sum())
        found[str(label)] = 2 * int((ours & theirs).sum()) / total if total else float("nan")
    return found


def folding_percent(displacement: Tensor) -> float:
    """Share of voxels with det(I + grad u) <= 0: central differences, one-sided at the borders.

    Args:
        displacement: [1, 3, D, H, W], voxels.
    """
    rows = [torch.stack(torch.gradient(component)) for component in displacement[0].float()]  # each [3, D, H, W]
    jacobian = torch.stack(rows) + torch.eye(3, device=displacement.device).view(3, 3, 1, 1, 1)
    determinant = torch.linalg.det(jacobian.permute(2, 3, 4, 0, 1))
    return 100 * float((determinant <= 0).float().mean())
