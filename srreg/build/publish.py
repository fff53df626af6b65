"""Write one built subject into the data set, and tell whether it is already there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from srreg import io
from srreg.build.head_measures import HeadMeasures
from srreg.build.step import digest
from srreg.dataset import SUFFIXES, file_of
from srreg.errors import DataError
from srreg.files import read_json, sha256, write_json
from srreg.subject import Subject

# The sidecar that is written last and removed first: while it is there, the subject's files are whole.
_LAST = "labels"


@dataclass(frozen=True)
class Provenance:
    """Where a subject's files came from.

    Args:
        build_key: digest of the source files and of the recipe.
        recipe_key: digest of the recipe.
        sources: file name -> sha256.
        recipe: step -> its parameters.
        steps: name, key and digests of the output of each, in order.
        brain_ml: volume of the brain mask before alignment.
        head: what was measured of the whole head; None where there was none.
        bias: what the MR was divided by, as `record_bias` gives it; None where it was not.
        frame: the space its images lie in.
        files: `mr`, `ct` and, where they came in files of their own, `labels` -> that file in the source; None: SynthRAD's.
    """

    build_key: str
    recipe_key: str
    sources: Mapping[str, str]
    recipe: Mapping[str, Mapping[str, object]]
    steps: Sequence[Mapping[str, object]]
    brain_ml: float
    head: HeadMeasures | None = None
    bias: Mapping[str, object] | None = None
    frame: str = "ICBM 152 2009a nonlinear symmetric"
    files: Mapping[str, str] | None = None

    def source_of(self, subject_id: str, kind: str) -> str:
        """Where in the source a file of the data set came from."""
        if self.files is None:
            return f"{subject_id}/{'ct' if kind == 'ct' else 'mr'}.nii.gz"
        return self.files.get(kind, self.files["mr"])


def publish(root: Path, subject: Subject, provenance: Provenance) -> None:
    """Write the four volumes, then their sidecars."""
    file_of(root, subject.id, _LAST, ".json").unlink(missing_ok=True)
    assert subject.brain is not None
    assert subject.labels is not None
    io.write_volume(file_of(root, subject.id, "mr"), subject.mr)
    io.write_volume(file_of(root, subject.id, "ct"), subject.ct)
    io.write_labels(file_of(root, subject.id, "brain"), subject.brain)
    io.write_labels(file_of(root, subject.id, "labels"), subject.labels)
    digests = {kind: sha256(file_of(root, subject.id, kind)) for kind in SUFFIXES}
    for kind in SUFFIXES:  # `labels` stands last
        write_json(file_of(root, subject.id, kind, ".json"), _sidecar(root, subject.id, kind, digests, provenance))


def _sidecar(root: Path, subject_id: str, kind: str, digests: Mapping[str, str], provenance: Provenance) -> dict[str, object]:
    of_mr = {"Bias": provenance.bias} if kind == "mr" and provenance.bias is not None else {}
    return of_mr | {
        "BrainVolumeMl": round(provenance.brain_ml, 2),
        "BuildKey": provenance.build_key,
        "GeneratedBy": {"Name": "srreg", "Version": version("srreg")},
        "Head": None if provenance.head is None else provenance.head.record(),
        "Recipe": provenance.recipe,
        "RecipeKey": provenance.recipe_key,
        "Sha256": digests[kind],
        "Size": file_of(root, subject_id, kind).stat().st_size,
        "SkullStripped": True,
        "Sources": [f"bids:source:{provenance.source_of(subject_id, kind)}"],
        "SourceSha256": dict(provenance.sources),
        "SpatialReference": provenance.frame,
        "Steps": provenance.steps,
        "SubjectKey": digest(dict(digests)),
    }


def is_published(root: Path, subject_id: str, build_key: str | None = None, deep: bool = False) -> bool:
    """True if a subject's files are all there and are those of the key.

    Args:
        root: the data set.
        subject_id: whose files.
        build_key: what they should have been made from; None: whatever they say.
        deep: hash every file again; else only its size is compared.
    """
    try:
        last = read_json(file_of(root, subject_id, _LAST, ".json"))
        sidecars = {kind: read_json(file_of(root, subject_id, kind, ".json")) for kind in SUFFIXES}
        wanted = last["BuildKey"] if build_key is None else build_key
        return all(_agrees(file_of(root, subject_id, kind), sidecar, wanted, deep) for kind, sidecar in sidecars.items())
    except (DataError, KeyError):
        return False


def _agrees(path: Path, sidecar: Mapping[str, object], build_key: object, deep: bool) -> bool:
    if sidecar["BuildKey"] != build_key or not path.is_file() or path.stat().st_size != sidecar["Size"]:
        return False
    return not deep or sha256(path) == sidecar["Sha256"]


def sidecar_of(root: Path, subject_id: str) -> dict[str, object]:
    """What a subject's last sidecar says.

    Raises:
        DataError: the subject is not published.
    """
    return read_json(file_of(root, subject_id, _LAST, ".json"))


def withdraw(root: Path, subject_id: str) -> None:
    """Take a subject's files out of the data set: it no longer is what its source and recipe would give."""
    if not (root / f"sub-{subject_id}").is_dir():
        return
    for kind in (_LAST, *(k for k in SUFFIXES if k != _LAST)):
        file_of(root, subject_id, kind, ".json").unlink(missing_ok=True)
        file_of(root, subject_id, kind).unlink(missing_ok=True)
    for folder in (root / f"sub-{subject_id}" / "anat", root / f"sub-{subject_id}"):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
