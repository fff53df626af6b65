"""Seconds to read one training item (two images, two label maps) at full size: nibabel on `.nii.gz`, and the training cache.

python perf/reading.py

Goal: the cache is at least 20 times as fast. Both sides end with arrays in memory that may be written to: nibabel with the
float32 images and uint8 labels of the files, the cache with a batch as a training step takes it (images float32 in [0, 1],
dequantised from int16; labels uint8). Two subjects are made here: smooth noise with sharp edges in a third of the volume,
which packs about as well as a stripped head. Files lie in the page cache on both sides. Numbers are the best of items that
alternate between the two sides, both on one core: what others do on the machine only ever adds to a time.
"""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter, process_time

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import nibabel as nib
import numpy as np
from scipy import ndimage

from benchmark.training.pairs import SubjectArrays
from srreg import io
from srreg.dataset import Dataset, Participant, file_of
from srreg.files import tsv, write_json, write_text
from srreg.volume import LabelMap, Volume

SHAPE = (176, 208, 192)
SUBJECTS = ("1BA001", "1BA002")
REPEATS = 15
GOAL = 20


def main() -> None:
    """Make two subjects, read them both ways, print a Markdown table."""
    with tempfile.TemporaryDirectory() as folder:
        dataset = _dataset(Path(folder))
        arrays = SubjectArrays(dataset)
        filling = _seconds(lambda: arrays.batch(*SUBJECTS))[0]
        peer, ours = _best(lambda: _nibabel_item(dataset), lambda: arrays.batch(*SUBJECTS))
        error = _largest_error(dataset, arrays)
        kept = sum(path.stat().st_size for path in (dataset.root / ".arrays").iterdir()) / len(SUBJECTS)
    print(f"{SHAPE}, nibabel {nib.__version__}, numpy {np.__version__}\n")
    print("| one training item | wall (ms) | CPU (ms) |\n| --- | ---: | ---: |")
    for name, (wall, cpu) in {"nibabel, .nii.gz": peer, "training cache": ours}.items():
        print(f"| {name} | {1000 * wall:.1f} | {1000 * cpu:.1f} |")
    wall_ratio, cpu_ratio = peer[0] / ours[0], peer[1] / ours[1]
    print(f"| ratio | {wall_ratio:.1f} | {cpu_ratio:.1f} |")
    print(
        f"\ngoal {GOAL}: {'met' if wall_ratio >= GOAL else 'MISSED'}; filling the cache took {filling:.1f} s for two subjects"
    )
    print(f"largest error of an image in [0, 1]: {error:.1e}; {kept / 1e6:.1f} MB a subject")


def _dataset(root: Path) -> Dataset:
    for number, subject_id in enumerate(SUBJECTS):
        _write_subject(root, subject_id, np.random.default_rng(number))
    rows = [Participant(i, i, "A", "built", "", 1500.0, "n/a").row() for i in SUBJECTS]
    write_text(root / "participants.tsv", tsv(Participant.COLUMNS, rows))
    write_json(root / "dataset_description.json", {})
    return Dataset.open(root)


def _write_subject(root: Path, subject_id: str, rng: np.random.Generator) -> None:
    """A ball of tissues: noise for the images, cut into 18 values for the labels, all of it 0 outside."""
    smooth = ndimage.gaussian_filter(rng.random(SHAPE, np.float32), 4)
    offsets = np.ogrid[tuple(slice(-1, 1, size * 1j) for size in SHAPE)]
    inside = sum(offset**2 for offset in offsets) < 0.75
    tissue = np.digitize(smooth, np.quantile(smooth, np.linspace(0, 1, 19)[1:-1])) + 1
    noise = rng.normal(0, 0.02, SHAPE).astype(np.float32)
    for kind, contrast in (("mr", tissue), ("ct", (7 * tissue) % 19)):
        image = np.where(inside, (contrast / 19 + noise).clip(0, 1), 0)
        io.write_volume(file_of(root, subject_id, kind), Volume(image, np.eye(4)))
    io.write_labels(file_of(root, subject_id, "labels"), LabelMap(np.where(inside, tissue, 0), np.eye(4)))
    write_json(file_of(root, subject_id, "labels", ".json"), {"SubjectKey": subject_id})


def _nibabel_item(dataset: Dataset) -> list[np.ndarray]:
    files = [(SUBJECTS[0], "mr"), (SUBJECTS[1], "ct"), *((subject, "labels") for subject in SUBJECTS)]
    return [np.asanyarray(nib.load(dataset.file(subject, kind)).dataobj) for subject, kind in files]


def _largest_error(dataset: Dataset, arrays: SubjectArrays) -> float:
    mr = nib.load(dataset.file(SUBJECTS[0], "mr")).get_fdata()
    scaled = (mr - mr.min()) / (mr.max() - mr.min())
    return float(np.abs(arrays.batch(*SUBJECTS).moving[0, 0].numpy() - scaled).max())


def _best(*calls: Callable[[], object]) -> list[tuple[float, float]]:
    """Smallest wall and CPU seconds of each call, called in turns, after one round that warms up."""
    rounds = [[_seconds(call) for call in calls] for _ in range(REPEATS + 1)][1:]
    return [(min(wall for wall, _ in column), min(cpu for _, cpu in column)) for column in zip(*rounds, strict=True)]


def _seconds(call: Callable[[], object]) -> tuple[float, float]:
    wall, cpu = perf_counter(), process_time()
    call()
    return perf_counter() - wall, process_time() - cpu


if __name__ == "__main__":
    main()
