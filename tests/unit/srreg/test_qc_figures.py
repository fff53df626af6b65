import base64
import io
import re
from dataclasses import replace

import numpy as np
import phantom
import pytest
from PIL import Image

from srreg.qc.case import Case
from srreg.qc.figures import draw
from srreg.qc.planes import cuts_of
from srreg.volume import LabelMap, Volume

SHAPE = (24, 32, 40)


def case(spacing_mm: float = 4.0) -> Case:
    return Case(phantom.head(shape=SHAPE, spacing_mm=spacing_mm))


def picture(data_uri: str) -> np.ndarray:
    return np.array(Image.open(io.BytesIO(base64.b64decode(data_uri.partition("base64,")[2]))).convert("RGBA"))


def test_pictures_are_radiological() -> None:
    """A mark at the patient's right, front and top appears left, up and up; sagittal ones face left."""
    subject = case().subject
    marked = np.zeros(SHAPE)
    marked[-8:, -8:, -8:] = 1  # RAS: the ends of the axes are right, front, top
    whole = LabelMap(np.ones(SHAPE, dtype=bool), subject.mr.affine)
    for cut in cuts_of(Case(replace(subject, brain=whole))):
        tile = cut.tiles(marked)[-1]
        rows, columns = (np.nonzero(tile.any(axis=a))[0].mean() for a in (1, 0))
        down, right = rows > tile.shape[0] / 2, columns > tile.shape[1] / 2
        assert f"{'bottom' if down else 'top'} {'right' if right else 'left'}" == "top left"


def test_letters_name_the_sides_as_they_are_drawn() -> None:
    letters = {cut.plane.name: cut.plane.letters for cut in cuts_of(case())}
    assert letters == {"axial": ("R", "L", "A", "P"), "coronal": ("R", "L", "S", "I"), "sagittal": ("A", "P", "S", "I")}


def test_slices_lie_in_the_brain_and_say_where() -> None:
    it = case()
    for cut, strip in zip(cuts_of(it), draw(it).strips, strict=True):
        axis = cut.plane.axis
        assert all(it.brain_map.data.take(i, axis).any() for i in cut.indices)
        world = [it.brain_map.affine[axis, 3] + 4 * i for i in cut.indices]
        assert strip.places_mm == pytest.approx(world)


def test_voxels_of_any_size_are_drawn_at_one_size() -> None:
    coarse, fine = (draw(case(mm)).strips[0] for mm in (4.0, 2.0))
    assert coarse.tile_mm == pytest.approx(2 * fine.tile_mm, abs=20)  # the same voxels, half as large: half the head
    width = picture(coarse.images["mr"]).shape[1]
    assert width * 4.0 == pytest.approx(coarse.tile_mm * len(coarse.places_mm))


def test_the_outline_of_a_box_runs_along_its_edges() -> None:
    subject = case().subject
    box = np.zeros(SHAPE, dtype=bool)
    box[8:16, 10:20, 12:28] = True
    strip = draw(
        Case(replace(subject, brain=LabelMap(box, subject.mr.affine), labels=LabelMap(box * 2, subject.mr.affine)))
    ).strips[0]
    first = strip.lines["brain"].split("z")[0]
    numbers = [int(n) for n in re.findall(r"-?\d+", first)]
    points = np.array(numbers).reshape(-1, 2).cumsum(axis=0) / 10  # tenths of a millimetre, relative
    margin = round(6 / 4) * 4  # the frame's margin around the brain, in whole voxels
    assert np.allclose(points.min(axis=0), [margin, margin], atol=0.5)
    assert np.allclose(points.max(axis=0), [margin + 8 * 4, margin + 10 * 4], atol=0.5)


def test_labels_have_the_tables_colours_and_an_unknown_one_is_red() -> None:
    it = case()
    labels = it.label_map.data.copy()
    labels[labels == 4] = 99
    strip = draw(Case(replace(it.subject, labels=LabelMap(labels, it.subject.mr.affine)))).strips[0]
    colours = {tuple(c) for c in picture(strip.images["labels"]).reshape(-1, 4).tolist()}
    assert colours == {(0, 0, 0, 0), (0xF5, 0xF5, 0xF5, 255), (0xCD, 0x3E, 0x4E, 255), (255, 0, 0, 255)}


def test_images_are_black_outside_the_brain() -> None:
    it = case()
    strip = draw(it).strips[0]
    outside = cuts_of(it)[0].strip(it.brain_map.data) == 0
    assert picture(strip.images["ct"])[outside][:, :3].max() == 0


def test_bone_in_the_mask_does_not_darken_the_ct() -> None:
    it = case()
    ct = it.subject.ct.data.copy()
    places = np.argwhere(it.brain_map.data)
    ct[tuple(places[: len(places) // 10].T)] = 900
    grey = picture(draw(Case(replace(it.subject, ct=Volume(ct, it.subject.ct.affine)))).strips[0].images["ct"])
    assert np.median(grey[..., 0][grey[..., 0] > 0]) > 80


def test_an_empty_brain_can_be_drawn() -> None:
    it = case()
    empty = LabelMap(np.zeros(SHAPE, dtype=bool), it.subject.mr.affine)
    drawing = draw(Case(replace(it.subject, brain=empty, labels=empty)))
    assert drawing.strips[0].lines["brain"] == ""
    assert drawing.thumbnail.startswith("data:image/jpeg;base64,")
