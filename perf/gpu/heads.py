"""A data set that needs no image files: heads painted on the device from their label maps.

What differs from SR-Reg: nothing outside the 19 labels is seen (skull, scanner artefacts), no step of the build is run, and
grey values are those of the label but for texture, blur, bias and noise. T1 signals and Hounsfield units are the simulator's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from models.training_settings import Batch
from srreg.simulate.tissues import HU, LABEL_OF, T1

HEADS = Path(__file__).parent / "heads.npz"

_BIAS_SD = 0.11  # of the logarithm, before correction
_TEXTURE_MM = 4.0
_T1_TEXTURE, _HU_TEXTURE = 0.03, 1.5
_T1_NOISE, _HU_NOISE = 0.03, 7.0  # at 1 mm
_CONTRAST = 0.15  # standard deviation of the logarithm of the power that T1 signals are taken to
_CT_WINDOW = 80.0  # HU, as in the build


@dataclass(frozen=True, eq=False)
class Heads:
    """Subjects on one device.

    Args:
        mr: [N, D, H, W] float16 in [0, 1], 0 outside the brain.
        ct: as mr.
        labels: [N, D, H, W] uint8.
        subjects: ids.
        people: who each subject is.
        splits: train, val or test, of each.
    """

    mr: Tensor
    ct: Tensor
    labels: Tensor
    subjects: Sequence[str]
    people: Sequence[str]
    splits: Sequence[str]

    @classmethod
    def load(cls, path: Path, device: torch.device) -> "Heads":
        """Paint those of a file that `python -m perf.gpu.prepare` made; the same file gives the same images on one device.

        Raises:
            FileNotFoundError: no such file.
        """
        with np.load(path, allow_pickle=False) as found:
            labels = torch.from_numpy(found["labels"]).to(device)
            names = [[str(name) for name in found[key]] for key in ("subjects", "people", "splits")]
            spacing_mm = float(found["spacing_mm"])
        painted = [_painted(one, spacing_mm, seed) for seed, one in enumerate(labels)]
        mr, ct = (torch.stack(images) for images in zip(*painted, strict=True))
        return cls(mr, ct, labels, *names)

    def of(self, split: str) -> list[int]:
        """The numbers of a split's subjects."""
        return [number for number, name in enumerate(self.splits) if name == split]

    def pairs(self, split: str) -> list[tuple[int, int]]:
        """Every ordered pair of two subjects of a split who are different people."""
        return [(a, b) for a, b in permutations(self.of(split), 2) if self.people[a] != self.people[b]]

    def batch(self, moving: int, fixed: int) -> Batch:
        """The MR of one subject to the CT of another."""
        images = self.mr[moving][None, None].float(), self.ct[fixed][None, None].float()
        return Batch(*images, self.labels[moving][None], self.labels[fixed][None])


def _painted(labels: Tensor, spacing_mm: float, seed: int) -> tuple[Tensor, Tensor]:
    """MR and CT of a label map [D, H, W]."""
    generator = torch.Generator(labels.device).manual_seed(seed)
    brain = labels > 0

    def drawn(*size: int) -> Tensor:
        return torch.randn(size or labels.shape, generator=generator, device=labels.device)

    def smooth(*knots: int) -> Tensor:
        return F.interpolate(drawn(1, 1, *knots), labels.shape, mode="trilinear", align_corners=True)[0, 0]

    def texture() -> Tensor:
        return smooth(*(max(2, round(size * spacing_mm / _TEXTURE_MM)) for size in labels.shape))

    power = float(torch.exp(_CONTRAST * drawn(1)))
    signal = _by_label(T1, labels) ** power * (1 + _T1_TEXTURE * texture())
    mr = _blurred(signal) * torch.exp(_BIAS_SD * smooth(5, 5, 5))
    mr = (mr + _T1_NOISE / spacing_mm**0.5 * drawn()).clamp(min=0)
    ct = _blurred(_by_label(HU, labels) + _HU_TEXTURE * texture()) + _HU_NOISE / spacing_mm**0.5 * drawn()
    mr = torch.where(brain, mr / torch.quantile(mr[brain][::97], 0.999), 0.0).clamp(0, 1)
    ct = torch.where(brain, ct / _CT_WINDOW, 0.0).clamp(0, 1)
    return mr.half(), ct.half()


def _by_label(values: np.ndarray, labels: Tensor) -> Tensor:
    """[D, H, W]: the value of each label's first tissue in the simulator's table."""
    table = torch.zeros(256)
    for tissue in reversed(range(len(LABEL_OF))):
        table[int(LABEL_OF[tissue])] = float(values[tissue])
    table[0] = 0.0
    return table.to(labels.device)[labels.int()]


def _blurred(image: Tensor) -> Tensor:
    """By a quarter, a half and a quarter along each axis: the partial volume of neighbours."""
    for axis in range(3):
        padded = torch.cat([image.narrow(axis, 0, 1), image, image.narrow(axis, image.shape[axis] - 1, 1)], dim=axis)
        size = image.shape[axis]
        image = 0.25 * padded.narrow(axis, 0, size) + 0.5 * image + 0.25 * padded.narrow(axis, 2, size)
    return image
