import gzip
import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from phantom import head

from srreg import io
from srreg.backends.contract import checked_brain, checked_labels, read_result
from srreg.errors import StepFailed
from srreg.labels import INDICES
from srreg.subject import Subject
from srreg.volume import LabelMap

# Voxels of 7 mm give the phantom a brain of about 1 l.
SUBJECT = head(spacing_mm=7.0)
assert SUBJECT.brain is not None
assert SUBJECT.labels is not None
BRAIN, LABELS = SUBJECT.brain, SUBJECT.labels


def _with(voxels: np.ndarray) -> LabelMap:
    return LabelMap(voxels, BRAIN.affine)


def test_a_good_mask_and_good_labels_come_back_as_they_are() -> None:
    np.testing.assert_array_equal(checked_brain("tool", BRAIN, SUBJECT).data, BRAIN.data)
    np.testing.assert_array_equal(checked_labels("tool", LABELS, SUBJECT).data, LABELS.data)


def test_any_value_but_0_is_brain() -> None:
    checked = checked_brain("tool", _with(BRAIN.data * 255), SUBJECT)
    assert checked.values == (0, 1)


@pytest.mark.parametrize("checked", [checked_brain, checked_labels])
def test_another_shape_is_refused(checked) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(StepFailed, match=r"tool gave another grid than its image's: 15x32x48 at 7 x 7 x 7 mm"):
        checked("tool", _with(BRAIN.data[1:]), SUBJECT)


@pytest.mark.parametrize("checked", [checked_brain, checked_labels])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_another_place_is_refused_even_if_only_an_axis_is_flipped(checked, axis: int) -> None:  # type: ignore[no-untyped-def]
    affine = BRAIN.affine.copy()
    affine[:, axis] *= -1
    with pytest.raises(StepFailed, match="another grid"):
        checked("tool", LabelMap(BRAIN.data, affine), SUBJECT)


@pytest.mark.parametrize("checked", [checked_brain, checked_labels])
@pytest.mark.parametrize(("value", "message"), [(0, "found nothing"), (2, "took the whole image for brain")])
def test_an_empty_and_a_full_image_are_refused(checked, value: int, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(StepFailed, match=message):
        checked("tool", _with(np.full(BRAIN.data.shape, value)), SUBJECT)


@pytest.mark.parametrize("checked", [checked_brain, checked_labels])
@pytest.mark.parametrize(("spacing_mm", "refused"), [(4.0, True), (6.0, False), (8.5, False), (9.5, True)])
def test_a_volume_no_brain_has_is_refused(checked, spacing_mm: float, refused: bool) -> None:  # type: ignore[no-untyped-def]
    subject = head(spacing_mm=spacing_mm)
    assert subject.labels is not None
    if refused:
        with pytest.raises(StepFailed, match=r"gave a brain of \d+ ml; expected 600 to 2200 ml"):
            checked("tool", subject.labels, subject)
    else:
        checked("tool", subject.labels, subject)


def test_cerebrospinal_fluid_is_no_tissue() -> None:
    with pytest.raises(StepFailed, match="a brain of 0 ml"):
        checked_labels("tool", _with(np.where(LABELS.data > 0, 24, 0)), SUBJECT)


def test_loose_pieces_go_and_holes_are_filled_and_the_log_says_so(caplog: pytest.LogCaptureFixture) -> None:
    voxels = BRAIN.data.copy()
    voxels[0, 0, 0] = 1  # beside an ear
    voxels[8, 16, 24] = 0  # in the middle
    with caplog.at_level(logging.INFO):
        checked = checked_brain("tool", _with(voxels), SUBJECT)
    np.testing.assert_array_equal(checked.data, BRAIN.data)
    assert caplog.messages == ["tool: 1 small pieces removed (1 voxels), holes of 1 voxels filled"]


def test_a_piece_joined_by_an_edge_alone_is_loose() -> None:
    voxels = np.zeros_like(BRAIN.data)
    voxels[2:14, 6:26, 10:34] = 1
    voxels[14, 26, 10:14] = 1
    checked = checked_brain("tool", _with(voxels), SUBJECT)
    assert checked.data[14, 26].sum() == 0


def test_a_mask_in_two_like_halves_is_refused() -> None:
    voxels = BRAIN.data.copy()
    voxels[:, :, 24] = 0
    with pytest.raises(StepFailed, match=r"in 2 pieces, the largest only 5\d% of it"):
        checked_brain("tool", _with(voxels), SUBJECT)


def test_unknown_labels_are_listed() -> None:
    voxels = LABELS.data.copy()
    voxels[0, 0, :2] = 99, 165
    with pytest.raises(StepFailed, match=r"tool gave unknown labels \[99, 165\]"):
        checked_labels("tool", _with(voxels), SUBJECT)


def test_missing_structures_are_named_in_the_log_the_first_of_them_and_the_subject_is_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    checked_labels("tool", LABELS, SUBJECT)
    (line,) = caplog.messages
    assert line.startswith("tool found no Inferior lateral ventricle, no Cerebellum white matter, no ")
    assert line.endswith(" and 11 more of 18")
    assert "Cerebral cortex" not in line


def test_one_missing_structure_is_named_alone(caplog: pytest.LogCaptureFixture) -> None:
    voxels = LABELS.data.copy()
    voxels.reshape(-1)[np.flatnonzero(LABELS.data)[: len(INDICES) - 1]] = INDICES[:-1]
    checked_labels("tool", _with(voxels), SUBJECT)
    assert caplog.messages == ["tool found no Ventral DC"]


def test_a_complete_map_is_not_worth_a_word(caplog: pytest.LogCaptureFixture) -> None:
    voxels = LABELS.data.copy()
    voxels.reshape(-1)[np.flatnonzero(LABELS.data)[: len(INDICES)]] = INDICES
    checked_labels("tool", _with(voxels), SUBJECT)
    assert not caplog.records


def test_the_input_is_left_as_it_was() -> None:
    voxels = BRAIN.data.copy()
    voxels[0, 0, 0] = 1
    given, before = _with(voxels), voxels.copy()
    checked_brain("tool", given, SUBJECT)
    np.testing.assert_array_equal(given.data, before)


def test_a_file_that_was_never_written_is_a_failure(tmp_path: Path) -> None:
    with pytest.raises(StepFailed, match=r"^tool reported success but wrote no brain.nii.gz$"):
        read_result("tool", tmp_path / "brain.nii.gz")


@pytest.mark.parametrize("content", [b"", b"garbage", gzip.compress(b"garbage")])
def test_a_file_of_garbage_is_a_failure_that_names_no_temporary_folder(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "brain.nii.gz"
    path.write_bytes(content)
    with pytest.raises(StepFailed, match=r"^tool wrote a brain.nii.gz that cannot be used: ") as caught:
        read_result("tool", path)
    assert str(tmp_path) not in str(caught.value)


def test_a_probability_map_is_no_mask(tmp_path: Path) -> None:
    io.write_volume(tmp_path / "brain.nii.gz", replace(SUBJECT.mr, data=BRAIN.data * np.float32(0.9999)))
    with pytest.raises(StepFailed, match=r"whole numbers from 0 to 32767, got \[0.9998"):
        read_result("tool", tmp_path / "brain.nii.gz")


def test_the_whole_subject_is_not_needed() -> None:
    bare = Subject("1BA001", SUBJECT.mr, SUBJECT.ct)
    assert checked_brain("tool", BRAIN, bare).grid.matches(bare.mr.grid)
