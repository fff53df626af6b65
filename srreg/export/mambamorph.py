"""The layout of SR-Reg as the authors of MambaMorph released it, and as their scripts read it.

<out>/
  vol/<ID>_mr.nii.gz  vol/<ID>_ct.nii.gz  seg/<ID>.nii.gz   all float32; the arrays are in the data set's order
  {train,val,test}_subj.txt                                 an id a line
  splits.tsv  participants.tsv  dataset_description.json     for `srreg import`

Their scripts read lists of ids from pickles, which we do not write (a pickle can run code); README.txt has the line
that makes them. Source: the loader of Guo et al. 2024 (arXiv:2401.13934).
"""

from functools import partial
from pathlib import Path

from srreg import io
from srreg.dataset import SPLITS, Dataset
from srreg.export.registry import Tell
from srreg.export.target import once, target
from srreg.files import tsv, write_json, write_text
from srreg.labels import INDICES
from srreg.subject import ImageRef, Modality
from srreg.volume import Volume

_MODALITIES: tuple[Modality, ...] = ("mr", "ct")
_README = """SR-Reg in the layout of MambaMorph's authors, written by `srreg export --to mambamorph`.

vol/ holds <ID>_mr.nii.gz and <ID>_ct.nii.gz, seg/ the labels of both as <ID>.nii.gz. All are float32 arrays of {shape};
the authors' networks take 176 x 208 x 192. Labels: {labels}.

Their scripts read the lists of subjects from pickles. This makes them:

    python -c "import pickle; [pickle.dump(open(f'{{s}}_subj.txt').read().split(), open(f'{{s}}_subj_v2.pkl', 'wb')) \
    for s in ('train', 'val', 'test')]"

`srreg import --from mambamorph DIR --splits DIR/splits.tsv` reads the folder back.
"""


def export(dataset: Dataset, out: Path, tell: Tell | None = None) -> None:
    """Write a data set in this layout; see `srreg.export.registry.Layout`."""
    with target(dataset, out, "mambamorph"):
        for number, subject_id in enumerate(dataset.subjects, start=1):
            _write_subject(dataset, subject_id, out)
            if tell is not None:
                tell(subject_id, number, len(dataset.subjects))
        _write_lists(dataset, out)
        write_json(out / "dataset_description.json", dataset.description)
        shape, labels = " x ".join(map(str, dataset.grid.shape)), ", ".join(map(str, INDICES))
        write_text(out / "README.txt", _README.format(shape=shape, labels=labels))


def _write_subject(dataset: Dataset, subject_id: str, out: Path) -> None:
    for modality in _MODALITIES:
        image = partial(_write_image, dataset, ImageRef(subject_id, modality))
        once(out / "vol" / f"{subject_id}_{modality}.nii.gz", image)
    once(out / "seg" / f"{subject_id}.nii.gz", partial(_write_labels, dataset, subject_id))


def _write_image(dataset: Dataset, ref: ImageRef, path: Path) -> None:
    io.write_volume(path, dataset.image(ref))


def _write_labels(dataset: Dataset, subject_id: str, path: Path) -> None:
    """As floats: their loader takes nothing else."""
    labels = dataset.labels(subject_id)
    io.write_volume(path, Volume(labels.data, labels.affine))


def _write_lists(dataset: Dataset, out: Path) -> None:
    person_of = {p.id: p.person for p in dataset.participants}
    split_of = {subject_id: name for name in SPLITS for subject_id in dataset.split(name)}
    for name in SPLITS:
        write_text(out / f"{name}_subj.txt", "".join(f"{subject_id}\n" for subject_id in dataset.split(name)))
    rows = sorted({(person_of[subject_id], split) for subject_id, split in split_of.items()})
    write_text(out / "splits.tsv", tsv(("person", "split"), [{"person": person, "split": split} for person, split in rows]))
    people = [{"participant_id": f"sub-{subject_id}", "person": person_of[subject_id]} for subject_id in dataset.subjects]
    write_text(out / "participants.tsv", tsv(("participant_id", "person"), people))
