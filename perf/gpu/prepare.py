"""Label maps of a built data set as one small array file, perf/gpu/heads.npz, for `make gpu` and `make gpu-bench`.

python -m perf.gpu.prepare demo/sr-reg [FILE]
"""

import sys
from pathlib import Path

import numpy as np

from perf.gpu.heads import HEADS
from srreg.dataset import SPLITS, Dataset


def main() -> None:
    """Write labels [subjects, D, H, W] uint8 with each subject's id, person and split."""
    dataset = Dataset.open(Path(sys.argv[1]))
    path = Path(sys.argv[2]) if len(sys.argv) > 2 else HEADS
    person = {participant.id: participant.person for participant in dataset.participants}
    members = [(subject, split) for split in SPLITS for subject in dataset.split(split)]
    labels = np.stack([dataset.labels(subject).data.astype(np.uint8) for subject, _ in members])
    spacing = dataset.labels(members[0][0]).spacing_mm[0]
    subjects, splits = zip(*members, strict=True)
    people = [person[subject] for subject in subjects]
    np.savez_compressed(path, labels=labels, subjects=subjects, people=people, splits=splits, spacing_mm=spacing)
    print(f"{path}: {labels.shape}, {path.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
