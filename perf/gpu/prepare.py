"""Label maps of a built data set as one small array file, perf/gpu/heads.npz, for `make gpu` to take along.

python -m perf.gpu.prepare demo/sr-reg
"""

import sys
from pathlib import Path

import numpy as np

from srreg.dataset import Dataset
from srreg.labels import SCORED


def main() -> None:
    """Write [people, D, H, W] uint8: 0, or 1 to 16 in the order of the scored labels."""
    dataset = Dataset.open(Path(sys.argv[1]))
    number = np.zeros(256, np.uint8)
    number[list(SCORED)] = np.arange(1, len(SCORED) + 1)
    heads = np.stack([number[dataset.labels(subject).data] for subject in dataset.subjects])
    path = Path(__file__).parent / "heads.npz"
    np.savez_compressed(path, labels=heads)
    print(f"{path}: {heads.shape}, {path.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
