"""The 3 x 3 x 3 convolution that the networks' blocks share, around a defect of torch on a CPU."""

import torch
import torch.nn.functional as F
from torch import Tensor


def convolved(image: Tensor, weight: Tensor, bias: Tensor | None = None, stride: int = 1) -> Tensor:
    """With zeros around the image, one voxel wide.

    In bf16 on a CPU, oneDNN 3.12 (torch 2.13) does not write all of the weight's gradient where the first axis has two voxels:
    it comes out as whatever the memory held. Such images are convolved in single precision.

    Args:
        image: [B, in, D, H, W].
        weight: [out, in, 3, 3, 3].
        bias: [out].
        stride: along every axis.

    Returns:
        [B, out, D / stride, H / stride, W / stride], rounded up; under autocast of its type, else of the image's.
    """
    if image.device.type != "cpu" or image.shape[2] != 2:
        return F.conv3d(image, weight, bias, stride=stride, padding=1)
    dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else image.dtype
    precise = torch.promote_types(image.dtype, torch.float32)
    with torch.autocast("cpu", enabled=False):
        made = F.conv3d(
            image.to(precise), weight.to(precise), None if bias is None else bias.to(precise), stride=stride, padding=1
        )
    return made.to(dtype)
