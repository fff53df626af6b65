import math
from dataclasses import replace

import numpy as np
import phantom
import pytest

from srreg.build.head_measures import HeadMeasures, measure_head
from srreg.errors import DataError
from srreg.geometry import reorient_to_ras
from srreg.subject import Subject
from srreg.volume import LabelMap, Volume

SHAPE = (40, 44, 52)
SPACING = (2.0, 2.5, 3.0)  # mm; a face to the top is 0.05 cm², one to the right 0.075 cm², one to the front 0.06 cm²
PARTS = ("mr", "ct", "brain", "labels")
BRAIN = (slice(10, 30), slice(10, 30), slice(12, 40))  # 40 x 50 x 84 mm, 20 mm and more from any border


def sound() -> Subject:
    """A block of a brain in a larger block of a head; noise in both images, zeros and air around."""
    rng = np.random.default_rng(4)
    head, brain = np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)
    head[4:36, 5:35, 7:45], brain[BRAIN] = True, True
    affine = np.diag([*SPACING, 1.0])
    mr = np.where(head, rng.normal(100, 3, SHAPE), 0)
    ct = np.where(head, 35.0, -1000) + rng.normal(0, 5, SHAPE)
    labels = np.where(brain, rng.choice([2, 3], SHAPE), 0)
    return Subject("1BA001", Volume(mr, affine), Volume(ct, affine), LabelMap(brain, affine), LabelMap(labels, affine))


def with_values(subject: Subject, name: str, place: tuple[slice, ...], value: float) -> Subject:
    image = getattr(subject, name)
    data = image.data.copy()
    data[place] = value
    return replace(subject, **{name: type(image)(data, image.affine)})


def test_a_sound_head_is_not_cut_has_no_blank_and_nothing_beside_it() -> None:
    found = measure_head(sound())
    assert found.cut_cm2 == {}
    assert (found.mr_blank_ml, found.ct_blank_ml, found.beside_ml) == (0, 0, 0)
    assert found.mr_stairs < 20
    assert found.mr_bends < 20
    assert found.ct_stairs < 20
    assert found.label_stairs < 20


ENDS = [
    ("left", (slice(0, 10),), 20 * 28 * 0.075),
    ("right", (slice(30, None),), 20 * 28 * 0.075),
    ("back", (slice(None), slice(0, 10)), 20 * 28 * 0.06),
    ("front", (slice(None), slice(30, None)), 20 * 28 * 0.06),
    ("bottom", (slice(None), slice(None), slice(0, 12)), 20 * 20 * 0.05),
    ("top", (slice(None), slice(None), slice(40, None)), 20 * 20 * 0.05),
]


@pytest.mark.parametrize(("side", "gone", "area"), ENDS)
def test_an_mr_that_ends_at_the_brain_cuts_it_at_that_side(side: str, gone: tuple[slice, ...], area: float) -> None:
    assert measure_head(with_values(sound(), "mr", gone, 0)).cut_cm2 == {side: pytest.approx(area)}


@pytest.mark.parametrize("side", ["left", "back", "top"])
def test_a_grid_that_ends_at_the_brain_cuts_it_too(side: str) -> None:
    keep = {"left": (slice(10, None),), "back": (slice(None), slice(10, None)), "top": (slice(None),) * 2 + (slice(None, 40),)}
    head = sound()
    images = {n: getattr(head, n) for n in PARTS}
    cropped = replace(head, **{n: type(i)(i.data[keep[side]], i.affine) for n, i in images.items()})
    areas = {name: area for name, _, area in ENDS}
    assert measure_head(cropped).cut_cm2 == {side: pytest.approx(areas[side])}


def test_an_end_further_off_than_3_mm_and_a_hollow_that_reaches_no_border_cut_nothing() -> None:
    one_voxel_above = (slice(None), slice(None), slice(41, None))
    assert measure_head(with_values(sound(), "mr", one_voxel_above, 0)).cut_cm2 == {}
    sinus = (slice(14, 20), slice(30, 34), slice(20, 30))
    assert measure_head(with_values(sound(), "mr", sinus, 0)).cut_cm2 == {}


def test_brain_without_image_is_a_volume_of_either_image_and_specks_are_none() -> None:
    block = (slice(12, 16), slice(12, 17), slice(20, 26))
    block_ml = 4 * 5 * 6 * np.prod(SPACING) / 1000
    found = measure_head(with_values(sound(), "mr", block, 0))
    assert found.mr_blank_ml == pytest.approx(block_ml)
    assert found.cut_cm2 == {}
    assert measure_head(with_values(sound(), "ct", block, -1000)).ct_blank_ml == pytest.approx(block_ml)
    assert measure_head(with_values(sound(), "mr", (slice(12, 20), slice(12, 20), slice(20, 22)), 0)).mr_blank_ml == 0


def test_a_couch_behind_the_head_is_measured_and_the_nose_in_front_is_not() -> None:
    head, beyond = sound(), ((0, 0), (20, 20), (0, 0))  # 50 mm
    parts = {n: np.pad(getattr(head, n).data, beyond, constant_values=-1000 if n == "ct" else 0) for n in PARTS}
    padded = replace(head, **{n: type(getattr(head, n))(data, head.mr.affine) for n, data in parts.items()})
    couch = (slice(8, 32), slice(2, 10), slice(30, 40))  # 50 to 70 mm behind, above the middle
    assert measure_head(with_values(padded, "ct", couch, 80)).beside_ml == pytest.approx(24 * 8 * 10 * 0.015, rel=0.05)
    nose = (slice(8, 32), slice(72, 80), slice(30, 40))
    assert measure_head(with_values(padded, "ct", nose, 80)).beside_ml == 0
    neck = (slice(8, 32), slice(2, 10), slice(0, 24))
    assert measure_head(with_values(padded, "ct", neck, 80)).beside_ml == 0


def test_a_head_without_a_brain_has_nothing_to_lose_and_nothing_to_look_at() -> None:
    found = measure_head(with_values(sound(), "brain", (slice(None),), 0))
    assert (found.cut_cm2, found.mr_blank_ml, found.ct_blank_ml, found.beside_ml) == ({}, 0, 0, 0)
    assert np.isnan([found.mr_stairs, found.mr_bends, found.ct_stairs, found.label_stairs]).all()


@pytest.mark.parametrize("orientation", ["LPS", "PSR", "IAL"])
def test_measures_are_the_same_from_a_file_of_any_orientation(orientation: str) -> None:
    head = with_values(sound(), "mr", (slice(None), slice(None), slice(38, None)), 0)
    turned = replace(head, **{n: reorient_to_ras(phantom.turned(getattr(head, n), orientation)) for n in PARTS})
    assert measure_head(turned).record() == measure_head(head).record()


def test_a_record_reads_back_with_what_could_not_be_measured() -> None:
    found = HeadMeasures({"top": 12.5}, 0.0, 3.25, 0.0, 12.0, math.nan, 11.0, 9.0)
    again = HeadMeasures.from_record(found.record())
    assert math.isnan(again.mr_bends)
    assert replace(again, mr_bends=0) == replace(found, mr_bends=0)


@pytest.mark.parametrize(
    "record", [[], "top", {"cut_cm2": {}}, {**HeadMeasures({}, *[0.0] * 7).record(), "ct_stairs": "steep"}]
)
def test_a_record_that_is_something_else_is_refused(record: object) -> None:
    with pytest.raises(DataError, match="measures of a head"):
        HeadMeasures.from_record(record)
