"""SynthRAD 2023 Task 1 brain as it is released: find each subject's files, read and prove them.

`Task1/brain/<ID>/{mr,ct,mask}.nii.gz`; an `overview` folder lies among the patients; ids are not
contiguous (1BA001, 1BA014 ...), their third letter is the centre; MR and CT share one grid; the
mask is a dilated outline of the body with air in it, and the images may or may not be blanked
outside it. Source: Thummerer et al. 2023, doi:10.1002/mp.16529; the release at zenodo 7260705.
"""

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from srreg import io
from srreg.errors import DataError, GeometryError
from srreg.files import read_json, read_tsv
from srreg.geometry import itk_header, reorient_to_ras
from srreg.modality import check_hounsfield
from srreg.subject import Subject, checked_id
from srreg.volume import LabelMap, Volume

_NOT_PATIENTS = {"overview", "overviews"}
_SYNTHRAD_ID = re.compile(r"[12]B([A-E])\d+", re.IGNORECASE)
_PARTS = ("mr", "ct", "mask")


@dataclass(frozen=True)
class Case:
    """One patient's folder, before anything in it is read.

    Args:
        id: the folder's name.
        folder: where the files lie.
        person: whom it shows; the id itself unless the source's `participants.tsv` says otherwise.
    """

    id: str
    folder: Path
    person: str

    @property
    def centre(self) -> str:
        """A, B, C ... as in SynthRAD's ids; `n/a` for other ids."""
        match = _SYNTHRAD_ID.fullmatch(self.id)
        return match.group(1).upper() if match else "n/a"

    def file(self, part: str) -> Path:
        """Path of `mr`, `ct` or `mask`."""
        return self.folder / f"{part}.nii.gz"


def brain_folder(directory: Path) -> Path:
    """The folder that holds the patients: the given one, its `brain`, or its `Task1/brain`.

    Raises:
        DataError: none of them holds a patient.
    """
    if not directory.is_dir():
        raise DataError(f"{directory}: no such folder. Give the folder of the SynthRAD download: .../Task1/brain")
    for candidate in (directory / "Task1" / "brain", directory / "brain", directory):
        if candidate.is_dir() and any(_is_patient(folder) for folder in candidate.iterdir()):
            return candidate
    raise DataError(f"{directory}: expected SynthRAD's layout, Task1/brain/<ID>/mr.nii.gz, and found no such folder in it")


def _is_patient(folder: Path) -> bool:
    if folder.name.lower() in _NOT_PATIENTS or folder.name.startswith(".") or not folder.is_dir():
        return False
    return _SYNTHRAD_ID.fullmatch(folder.name) is not None or any((folder / f"{part}.nii.gz").is_file() for part in _PARTS)


def find_cases(directory: Path) -> list[Case]:
    """Every patient of a SynthRAD folder, in the order of their ids.

    Raises:
        DataError: no patient, an id that cannot be one, or two ids that differ by case alone.
    """
    brain = brain_folder(directory)
    folders = sorted((f for f in brain.iterdir() if _is_patient(f)), key=lambda f: f.name)
    ids = [checked_id(folder.name) for folder in folders]
    doubles = [name for name, count in Counter(i.lower() for i in ids).items() if count > 1]
    if doubles:
        raise DataError(f"{brain}: two folders have the same id but for upper and lower case: {', '.join(doubles)}")
    persons = read_persons(brain)
    return [Case(i, folder, persons.get(i, i)) for i, folder in zip(ids, folders, strict=True)]


def read_persons(folder: Path) -> dict[str, str]:
    """Subject -> person, where a source says so (simulated trees; SynthRAD has one subject a person)."""
    table = folder / "participants.tsv"
    if not table.is_file():
        return {}
    rows = [(row.get("participant_id", ""), row.get("person", "")) for row in read_tsv(table)]
    return {subject.removeprefix("sub-"): person for subject, person in rows if person not in ("", "n/a")}


def is_simulated(directory: Path) -> bool:
    """True for a tree that `srreg simulate` made."""
    marker = brain_folder(directory) / "simulation.json"
    return marker.is_file() and bool(read_json(marker))


def read_case(case: Case) -> Subject:
    """MR and CT of a patient, proved, in RAS; whole heads, no voxel changed.

    Raises:
        DataError: a file is missing or damaged, or the CT is not in Hounsfield units.
        GeometryError: MR, CT and mask do not lie on one grid, or it is sheared.
    """
    missing = [case.file(part).name for part in _PARTS if not case.file(part).is_file()]
    if missing:
        raise DataError(f"incomplete: {', '.join(missing)} missing in {case.folder}")
    mr, ct = io.read_volume(case.file("mr")), io.read_volume(case.file("ct"))
    mask = io.read_labels(case.file("mask"))
    _check_same_grid("CT", mr, ct)
    _check_same_grid("mask", mr, mask)
    itk_header(mr.grid)  # refuses shear before any tool meets it
    check_hounsfield(ct, str(case.file("ct")))
    return Subject(id=case.id, mr=reorient_to_ras(mr), ct=reorient_to_ras(ct))


def _check_same_grid(what: str, mr: Volume, other: Volume | LabelMap) -> None:
    if not mr.grid.matches(other.grid, tolerance_mm=0.01):
        raise GeometryError(
            f"MR and {what} lie on different grids (MR {mr.grid}, {what} {other.grid}). "
            'SR-Reg needs the rigidly registered release; see README, "Getting the data".'
        )
