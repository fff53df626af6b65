import hashlib
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from phantom import head

from srreg import io
from srreg.backends.protocol import Backend, Resources
from srreg.backends.segmenters.precomputed import Precomputed as Segmenter
from srreg.backends.skull_strippers.precomputed import Precomputed as SkullStripper
from srreg.errors import DataError, StepFailed, UsageError
from srreg.geometry import reorient_to_ras
from srreg.labels import RIGHT_TO_LEFT
from srreg.subject import Subject
from srreg.volume import LabelMap, Volume

HEAD = head(spacing_mm=7.0)
assert HEAD.labels is not None
LABELS = HEAD.labels

_angle = np.deg2rad(12)
OBLIQUE = np.eye(4)
OBLIQUE[:2, :2] = [[np.cos(_angle), -np.sin(_angle)], [np.sin(_angle), np.cos(_angle)]]

Kind = Callable[[Resources], Backend]


def _stored(image: LabelMap | Volume, codes: str) -> LabelMap | Volume:
    """The same head with its voxels stored along other axes."""
    wanted = nib.orientations.axcodes2ornt(codes)
    turn = nib.orientations.ornt_transform(nib.orientations.io_orientation(image.affine), wanted)
    data = nib.orientations.apply_orientation(image.data, turn)
    return type(image)(data, image.affine @ nib.orientations.inv_ornt_aff(turn, image.data.shape))


def _write(folder: Path, labels: LabelMap, subject_id: str = HEAD.id) -> None:
    io.write_labels(folder / subject_id / "labels.nii.gz", labels)
    io.write_labels(folder / subject_id / "brain.nii.gz", LabelMap(labels.data > 0, labels.affine))


@pytest.mark.parametrize("world", [np.eye(4), OBLIQUE], ids=["straight", "oblique"])
@pytest.mark.parametrize("mr_codes", ["RAS", "LAS", "LPS", "SRA"])
@pytest.mark.parametrize("file_codes", ["RAS", "LAS", "LPS", "PIL"])
def test_any_orientation_of_the_file_gives_the_same_voxels(
    tmp_path: Path, file_codes: str, mr_codes: str, world: np.ndarray
) -> None:
    labels = LabelMap(LABELS.data, world @ LABELS.affine)
    stored_mr = _stored(Volume(HEAD.mr.data, world @ HEAD.mr.affine), mr_codes)
    subject = Subject(HEAD.id, reorient_to_ras(stored_mr), reorient_to_ras(stored_mr))
    _write(tmp_path, _stored(labels, file_codes))  # type: ignore[arg-type]
    resources = Resources(directory=tmp_path)
    np.testing.assert_array_equal(Segmenter(resources)(subject).data, LABELS.data)
    np.testing.assert_array_equal(SkullStripper(resources)(subject).data, LABELS.data > 0)


@pytest.mark.parametrize("below", ["", "brain", "Task1/brain"])
@pytest.mark.parametrize("kind", [SkullStripper, Segmenter])
def test_the_folder_may_be_the_release_or_a_part_of_it(tmp_path: Path, below: str, kind: Kind) -> None:
    _write(tmp_path / below, LABELS)
    backend = kind(Resources(directory=tmp_path))
    assert backend.check() == []
    assert backend(HEAD).data.any()


@pytest.mark.parametrize("kind", [SkullStripper, Segmenter])
def test_a_file_on_another_grid_is_refused_and_not_resampled(tmp_path: Path, kind: Kind) -> None:
    _write(tmp_path, LabelMap(LABELS.data[::2, ::2, ::2], LABELS.affine @ np.diag([2.0, 2, 2, 1])))
    with pytest.raises(StepFailed, match=r"precomputed gave another grid than its image's: 8x16x24 at 14 x 14 x 14 mm"):
        kind(Resources(directory=tmp_path))(HEAD)


def test_right_hand_labels_become_left_hand_ones(tmp_path: Path) -> None:
    left_to_right = {left: right for right, left in RIGHT_TO_LEFT.items()}
    both = LABELS.data.copy()
    right = both[8:]
    for left in (2, 3):
        right[right == left] = left_to_right[left]
    _write(tmp_path, LabelMap(both, LABELS.affine))
    np.testing.assert_array_equal(Segmenter(Resources(directory=tmp_path))(HEAD).data, LABELS.data)


def test_unknown_labels_are_refused_with_the_list(tmp_path: Path) -> None:
    voxels = LABELS.data.copy()
    voxels[0, 0, :3] = 77, 85, 1000
    _write(tmp_path, LabelMap(voxels, LABELS.affine))
    with pytest.raises(StepFailed, match=r"precomputed gave unknown labels \[77, 85, 1000\]"):
        Segmenter(Resources(directory=tmp_path))(HEAD)


def test_labels_that_are_not_whole_numbers_are_refused_with_the_file(tmp_path: Path) -> None:
    io.write_volume(tmp_path / HEAD.id / "labels.nii.gz", Volume(LABELS.data * np.float32(0.99997), LABELS.affine))
    with pytest.raises(DataError, match=r"1BA001/labels.nii.gz: labels must be whole numbers .* got \[1.99994"):
        Segmenter(Resources(directory=tmp_path))(HEAD)


@pytest.mark.parametrize("kind", [SkullStripper, Segmenter])
def test_the_fingerprint_is_of_the_file_and_not_of_its_place(tmp_path: Path, kind: Kind) -> None:
    _write(tmp_path / "one", LABELS)
    _write(tmp_path / "two" / "brain", LABELS)
    _write(tmp_path / "two" / "brain", LabelMap(np.roll(LABELS.data, 1, axis=0), LABELS.affine), "1BA002")
    one, two = (kind(Resources(directory=tmp_path / name)) for name in ("one", "two"))
    assert one.fingerprint(HEAD.id) == two.fingerprint(HEAD.id) != two.fingerprint("1BA002")
    file_name = "brain.nii.gz" if kind is SkullStripper else "labels.nii.gz"
    digest = hashlib.sha256((tmp_path / "one" / HEAD.id / file_name).read_bytes()).hexdigest()
    assert one.fingerprint(HEAD.id) == f"precomputed {digest}"


@pytest.mark.parametrize("kind", [SkullStripper, Segmenter])
def test_a_subject_without_a_file_is_named_with_the_path(tmp_path: Path, kind: Kind) -> None:
    _write(tmp_path, LABELS, "1BA002")
    backend = kind(Resources(directory=tmp_path))
    for ask in (lambda: backend(HEAD), lambda: backend.fingerprint(HEAD.id)):
        with pytest.raises(DataError, match=r"1BA001/(brain|labels).nii.gz is missing"):
            ask()


@pytest.mark.parametrize(("kind", "option"), [(SkullStripper, "--skull-stripper"), (Segmenter, "--segmenter")])
def test_a_folder_must_be_named_and_be_there(tmp_path: Path, kind: Kind, option: str) -> None:
    with pytest.raises(UsageError, match=f"{option} precomputed:DIR"):
        kind(Resources())
    with pytest.raises(UsageError, match=f"{option} precomputed:.*nowhere: there is no such folder"):
        kind(Resources(directory=tmp_path / "nowhere"))


@pytest.mark.parametrize("kind", [SkullStripper, Segmenter])
def test_an_empty_folder_is_noticed_before_any_subject(tmp_path: Path, kind: Kind) -> None:
    (missing,) = kind(Resources(directory=tmp_path)).check()
    assert "holds no <ID>/" in missing
