import math
from dataclasses import replace

import numpy as np
import phantom
import pytest

from srreg.errors import DataError
from srreg.labels import INDICES
from srreg.qc import checks
from srreg.qc.case import Case
from srreg.qc.finding import INFINITY, Limits, Verdict, worst
from srreg.subject import Subject
from srreg.volume import LabelMap, Volume

SHAPE = (24, 32, 40)


def built(**changes: object) -> Subject:
    """A phantom as the build leaves it: images in [0, 1], 0 outside the brain."""
    head = phantom.head(shape=SHAPE)
    assert head.brain is not None
    inside = head.brain.data > 0
    mr = Volume(np.where(inside, head.mr.data / 130, 0).clip(0, 1), head.mr.affine)
    ct = Volume(np.where(inside, head.ct.data / 80, 0).clip(0, 1), head.mr.affine)
    return replace(head, mr=mr, ct=ct, **changes)


def mask(data: np.ndarray) -> LabelMap:
    return LabelMap(data, built().mr.affine)


def block(*slices: slice) -> np.ndarray:
    data = np.zeros(SHAPE, dtype=bool)
    data[slices] = True
    return data


@pytest.mark.parametrize(
    ("value", "verdict"), [(10, "pass"), (20, "pass"), (20.1, "warn"), (5, "warn"), (4.9, "fail"), (math.nan, "n/a")]
)
def test_limits_judge_a_number_and_their_ends_belong_to_them(value: float, verdict: Verdict) -> None:
    assert Limits(good=(10, 20), tolerated=(5, 30)).judge(value) == verdict


def test_limits_read_as_words() -> None:
    assert str(Limits((10, 20), (5, 30))) == "pass 10 to 20, warn 5 to 30"
    assert str(Limits((1, INFINITY), (0.5, INFINITY))) == "pass at least 1, warn at least 0.5"


def test_the_worst_verdict_counts_and_what_cannot_be_measured_does_not() -> None:
    assert worst(["pass", "n/a", "warn"]) == "warn"
    assert worst([]) == "n/a"


def test_every_check_has_a_name_of_its_own_a_meaning_and_a_finding() -> None:
    findings = checks.examine(Case(built(), 1300))
    assert [f.check for f in findings] == [c.name for c in checks.CHECKS]
    assert len({c.name for c in checks.CHECKS}) == len(checks.CHECKS)
    assert all(c.meaning for c in checks.CHECKS)


@pytest.mark.parametrize(("ml", "verdict"), [(1300, "pass"), (1000, "warn"), (700, "fail"), (3000, "fail"), (None, "n/a")])
def test_brain_volume_is_that_before_alignment(ml: float | None, verdict: str) -> None:
    assert checks.brain_volume(Case(built(), ml)).verdict == verdict


def test_a_mask_in_two_pieces_gives_the_share_of_the_larger() -> None:
    pieces = block(slice(2, 6), slice(2, 12), slice(2, 12)) | block(slice(10, 12), slice(2, 7), slice(2, 12))
    finding = checks.brain_in_one_piece(Case(built(brain=mask(pieces))))
    assert finding.value == pytest.approx(80)
    assert (finding.verdict, finding.note) == ("fail", "2 pieces")


def test_a_whole_mask_is_one_piece() -> None:
    assert checks.brain_in_one_piece(Case(built())).verdict == "pass"


def test_contact_with_the_frame_is_an_area() -> None:
    touching = block(slice(0, 5), slice(4, 14), slice(4, 9))  # 10 x 5 faces of 4 mm x 4 mm
    finding = checks.edge_contact(Case(built(brain=mask(touching))))
    assert finding.value == pytest.approx(8.0)
    assert finding.verdict == "warn"
    assert checks.edge_contact(Case(built())).verdict == "pass"


def test_the_offset_from_the_frames_centre_is_in_millimetres() -> None:
    aside = block(slice(11, 13), slice(15, 17), slice(28, 32))  # 10 voxels of 4 mm above the middle
    finding = checks.centre_offset(Case(built(brain=mask(aside))))
    assert finding.value == pytest.approx(40)
    assert finding.verdict == "fail"
    assert checks.centre_offset(Case(built())).verdict == "pass"


def test_missing_labels_are_named() -> None:
    all_but_one = np.zeros(SHAPE, dtype=int)
    all_but_one.reshape(-1)[: len(INDICES) - 1] = INDICES[:-1]
    finding = checks.labels_present(Case(built(labels=mask(all_but_one))))
    assert (finding.value, finding.verdict, finding.note) == (18, "warn", "missing: Ventral DC")
    assert checks.labels_present(Case(built())).verdict == "fail"


def test_a_region_of_impossible_size_is_named() -> None:
    labels = np.where(block(slice(4, 20), slice(4, 28), slice(4, 20)), 2, 0)
    labels[4:20, 4:28, 20:36] = 3
    assert checks.odd_region_count(Case(built(labels=mask(labels)))).verdict == "pass"
    labels[4:20, 4:28, 28:36] = 12  # a quarter of the brain is putamen
    finding = checks.odd_region_count(Case(built(labels=mask(labels))))
    assert (finding.value, finding.note) == (1, "look at: Putamen")


def test_labels_beside_the_brain_are_found() -> None:
    head = built()
    assert head.labels is not None
    shifted = LabelMap(np.roll(head.labels.data, 3, axis=0), head.mr.affine)
    assert checks.labels_inside_brain(Case(built())).value == 100
    assert checks.labels_inside_brain(Case(built(labels=shifted))).verdict == "fail"
    assert checks.brain_labelled(Case(built(labels=shifted))).verdict == "warn"


def test_half_a_brain_without_labels_is_asymmetric() -> None:
    head = built()
    assert head.labels is not None
    half = head.labels.data.copy()
    half[: SHAPE[0] // 2] = 0
    assert checks.asymmetry(Case(built())).value < 20
    assert checks.asymmetry(Case(built(labels=mask(half)))).verdict == "fail"


def test_an_image_cut_by_its_field_of_view_has_no_signal_there() -> None:
    head = built()
    cut = head.mr.data.copy()
    cut[:, :, :18] = 0
    assert checks.mr_clipped(Case(built())).verdict == "pass"
    assert checks.mr_clipped(Case(replace(head, mr=Volume(cut, head.mr.affine)))).verdict == "fail"


def test_a_ct_beyond_its_window_is_clipped() -> None:
    head = built()
    inside = head.ct.data > 0
    assert checks.ct_clipped(Case(head)).verdict == "pass"
    assert checks.ct_clipped(Case(replace(head, ct=Volume(inside, head.mr.affine)))).verdict == "fail"


def test_contrast_is_the_difference_in_standard_deviations_with_its_sign() -> None:
    head = built()
    assert head.labels is not None
    noise = np.random.default_rng(1).normal(0, 0.1, SHAPE)
    image = Volume(np.where(head.labels.data == 2, 0.6, 0.4) + noise, head.mr.affine)
    case = Case(replace(head, mr=image, ct=image))
    assert checks.mr_contrast(case).value == pytest.approx(2, abs=0.1)
    assert checks.mr_contrast(case).verdict == "pass"
    assert checks.ct_contrast(case).value == pytest.approx(-2, abs=0.1)
    assert checks.ct_contrast(case).verdict == "fail"


def test_an_empty_mask_fails_and_nothing_divides_by_zero() -> None:
    empty = mask(np.zeros(SHAPE, dtype=bool))
    findings = checks.examine(Case(built(brain=empty, labels=empty), 0.0))
    verdicts = {f.check: f.verdict for f in findings}
    assert verdicts["brain-in-one-piece"] == verdicts["labels-present"] == "fail"
    assert verdicts["misalignment"] == verdicts["centre-offset"] == "n/a"


def test_images_on_different_grids_are_refused() -> None:
    head = built()
    moved = head.mr.affine.copy()
    moved[0, 3] += 4
    with pytest.raises(DataError, match="ct lies on another grid"):
        Case(replace(head, ct=Volume(head.ct.data, moved)))


def test_a_subject_without_labels_is_refused() -> None:
    with pytest.raises(DataError, match="no labels"):
        Case(replace(built(), labels=None))


def finding(name: str, subject: Subject, is_in_frame: bool = True) -> float:
    check = next(c for c in checks.CHECKS if c.name == name)
    return check(Case(subject, 1300, is_in_frame)).value


def test_the_largest_hole_counts_and_a_bay_is_none() -> None:
    brain = block(slice(2, 22), slice(2, 30), slice(2, 38))
    brain[5:8, 5:8, 5:8] = False
    brain[15, 15, 15] = False
    brain[2:6, 20, 20] = False
    voxel_ml = float(np.prod(mask(brain).spacing_mm)) / 1000
    assert finding("holes", built(brain=mask(brain))) == pytest.approx(27 * voxel_ml)


def test_far_from_labels_is_the_largest_distance_in_the_mask() -> None:
    labels = block(slice(2, 12), slice(2, 30), slice(2, 38)).astype(np.int16) * 2
    brain = block(slice(2, 17), slice(2, 30), slice(2, 38))
    assert finding("far-from-labels", built(brain=mask(brain), labels=mask(labels))) == pytest.approx(
        5 * built().mr.spacing_mm[0]
    )


def test_the_ct_level_is_told_in_hu_and_only_where_the_window_is_ours() -> None:
    subject = built()
    level = Volume(np.where(subject.ct.data > 0, 0.4, 0).astype(np.float32), subject.mr.affine)
    assert finding("ct-level", replace(subject, ct=level)) == pytest.approx(32)
    assert math.isnan(finding("ct-level", replace(subject, ct=level), is_in_frame=False))
    assert math.isnan(finding("ct-noise", subject, is_in_frame=False))


def test_a_slope_across_white_matter_is_uneven() -> None:
    brain = block(slice(2, 22), slice(2, 30), slice(2, 38))
    slope = np.where(brain, np.linspace(0.2, 0.6, 24)[:, None, None], 0).astype(np.float32)
    white = built(brain=mask(brain), labels=mask(brain.astype(np.int16) * 2))
    uneven = replace(white, mr=Volume(slope, white.mr.affine))
    lower, upper = slope[2:12].max(axis=(1, 2)), slope[12:22].max(axis=(1, 2))
    expected = 100 * (np.median(upper) - np.median(lower)) / np.mean([np.median(lower), np.median(upper)])
    assert finding("mr-evenness", uneven) == pytest.approx(expected, abs=0.5)


def test_shifted_labels_are_found() -> None:
    subject = built()
    assert subject.labels is not None
    moved = replace(subject, labels=mask(np.roll(subject.labels.data, 2, axis=1)))
    assert finding("label-shift", subject) < 0.1
    assert finding("label-shift", moved) == pytest.approx(2 * subject.mr.spacing_mm[1], abs=0.2)
