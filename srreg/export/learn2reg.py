"""The layout of a Learn2Reg task, and the settings its evaluation reads.

<out>/
  SRReg_dataset.json                     images, labels, pairs to register
  SRReg_{VAL,TEST}_evaluation_config.json   what evaluation.py takes as --config
  imagesTr/SRReg_0001_0000.nii.gz  ...   training and validation: 0000 is the CT, 0001 the MR
  labelsTr/SRReg_0001_0000.nii.gz  ...   of the same names
  imagesTs/  labelsTs/                   test
  subjects.tsv                           which number is which subject

The fixed image is modality 0000, so that the evaluation looks for a pair's field under the short name
`disp_<fixed>_<moving>.nii.gz`: an array [D, H, W, 3] in voxels of the fixed image, fixed to moving, component k along axis k.
Source: evaluation.py and create_evaluation_config.py of github.com/MDL-UzL/L2R, and the dataset.json of the ThoraxCBCT task.
What belongs into `labels` of dataset.json is not laid down there; ours names each value.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

from srreg import io
from srreg.dataset import SPLITS, Dataset, Split
from srreg.errors import UsageError
from srreg.export.registry import Tell
from srreg.export.target import once, target
from srreg.files import tsv, write_json, write_text
from srreg.labels import LABELS, SCORED
from srreg.subject import ImageRef, Modality, Pair

NAME = "SRReg"
_CHANNELS: Mapping[Modality, str] = {"ct": "0000", "mr": "0001"}
_ENDING: Mapping[Split, str] = {"train": "Tr", "val": "Tr", "test": "Ts"}
_MOST_SUBJECTS = 9999  # a number has four digits, wherever the evaluation looks for it
_ENOUGH_PAIRS = 10  # as many as the paper has; `bench run` chooses by the same rule
Json = dict[str, object]


def export(dataset: Dataset, out: Path, tell: Tell | None = None) -> None:
    """Write a data set in this layout; see `srreg.export.registry.Layout`."""
    if len(dataset.subjects) > _MOST_SUBJECTS:
        raise UsageError(
            f"Learn2Reg's names number {_MOST_SUBJECTS} subjects at most, {dataset.root} has {len(dataset.subjects)}"
        )
    with target(dataset, out, "learn2reg"):
        names = _Names(dataset)
        for number, subject_id in enumerate(names.numbers, start=1):
            _write_subject(dataset, names, subject_id, out)
            if tell is not None:
                tell(subject_id, number, len(names.numbers))
        write_text(out / "subjects.tsv", tsv(("number", "participant_id", "split"), names.table()))
        write_json(out / f"{NAME}_dataset.json", _described(dataset, names))
        for split in ("val", "test"):
            write_json(out / f"{NAME}_{split.upper()}_evaluation_config.json", _evaluation(dataset, names, split))


class _Names:
    """Numbers for subjects, in the order of their ids, and where that puts their files."""

    def __init__(self, dataset: Dataset) -> None:
        self.splits: dict[str, Split] = {subject_id: name for name in SPLITS for subject_id in dataset.split(name)}
        self.numbers = {subject_id: f"{n:04d}" for n, subject_id in enumerate(sorted(self.splits), start=1)}

    def path(self, folder: Literal["images", "labels"], ref: ImageRef) -> str:
        """Of one image or of its labels, as the JSON files have it."""
        ending = _ENDING[self.splits[ref.subject]]
        return f"./{folder}{ending}/{NAME}_{self.numbers[ref.subject]}_{_CHANNELS[ref.modality]}.nii.gz"

    def pair(self, pair: Pair) -> dict[str, str]:
        """As the JSON files have it."""
        return {"fixed": self.path("images", pair.fixed), "moving": self.path("images", pair.moving)}

    def table(self) -> list[dict[str, object]]:
        """A row for each subject."""
        return [
            {"number": number, "participant_id": f"sub-{subject_id}", "split": self.splits[subject_id]}
            for subject_id, number in self.numbers.items()
        ]


def _write_subject(dataset: Dataset, names: _Names, subject_id: str, out: Path) -> None:
    """Both images, and for each its labels: in Learn2Reg every image has its own."""
    for modality in _CHANNELS:
        ref = ImageRef(subject_id, modality)
        once(out / names.path("images", ref), partial(_write_image, dataset, ref))
        once(out / names.path("labels", ref), partial(_write_labels, dataset, subject_id))


def _write_image(dataset: Dataset, ref: ImageRef, path: Path) -> None:
    io.write_volume(path, dataset.image(ref))


def _write_labels(dataset: Dataset, subject_id: str, path: Path) -> None:
    io.write_labels(path, dataset.labels(subject_id))


def _described(dataset: Dataset, names: _Names) -> Json:
    training = _images(names, [*dataset.split("train"), *dataset.split("val")])
    test, pairs = _images(names, dataset.split("test")), {s: _pairs(dataset, names, s) for s in ("val", "test")}
    return {
        "name": NAME,
        "release": "1.0",
        "description": str(dataset.description.get("Name", NAME)),
        "licence": str(dataset.description.get("License", "n/a")),
        "reference": "Guo et al. 2024, arXiv:2401.13934; Thummerer et al. 2023, doi:10.1002/mp.16529",
        "pairings": "unpaired",
        "provided_data": {"0": ["image", "label"], "1": ["image", "label"]},
        "registration_direction": {"fixed": 0, "moving": 1},
        "modality": {"0": "CT", "1": "MR"},
        "img_shift": {"fixed": "CT", "moving": "MR of another person"},
        "labels": {channel: {str(label.index): label.name for label in LABELS} for channel in ("0", "1")},
        "tensorImageSize": {"0": "3D", "1": "3D"},
        "tensorImageShape": {"0": list(dataset.grid.shape), "1": list(dataset.grid.shape)},
        "numTraining": len(training),
        "training": training,
        "numTest": len(test),
        "test": test,
        "numPairedTraining": 0,
        "training_paired_images": [],
        "numPairedTest": 0,
        "test_paired_images": [],
        "numRegistration_val": len(pairs["val"]),
        "registration_val": pairs["val"],
        "numRegistration_test": len(pairs["test"]),
        "registration_test": pairs["test"],
    }


def _images(names: _Names, subjects: Sequence[str]) -> list[Json]:
    refs = [ImageRef(subject_id, modality) for subject_id in subjects for modality in _CHANNELS]
    return [{"image": names.path("images", ref), "label": names.path("labels", ref)} for ref in refs]


def _pairs(dataset: Dataset, names: _Names, split: Literal["val", "test"]) -> list[dict[str, str]]:
    """The paper's, or all ordered pairs of different people where these are few."""
    paper = dataset.pairs(split, "paper")
    return [names.pair(pair) for pair in (paper if len(paper) >= _ENOUGH_PAIRS else dataset.pairs(split, "all"))]


def _evaluation(dataset: Dataset, names: _Names, split: Literal["val", "test"]) -> Json:
    """Smoothness, overlap and distance of the scored labels, for each pair."""
    labels = list(SCORED)
    return {
        "task_name": NAME,
        "evaluation_methods": [
            {"name": "LogJacDetStd", "metric": "sdlogj"},
            {"name": "DSC", "metric": "dice", "labels": labels},
            {"name": "HD95", "metric": "hd95", "labels": labels},
        ],
        "expected_shape": [*dataset.grid.shape, 3],
        "eval_pairs": _pairs(dataset, names, split),
        "eval_config_version": 0.1,
    }
