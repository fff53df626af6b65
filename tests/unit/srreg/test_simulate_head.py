"""The analytic head: volumes, places, grey values, the same anatomy at every size."""

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from srreg.geometry import apply_affine
from srreg.labels import INDICES, SCORED
from srreg.simulate.centres import CENTRES
from srreg.simulate.draw import Drawing, FieldOfView, Person, draw, draw_person, field_of_view
from srreg.simulate.paint import body_mask, labels_of, paint_ct, paint_mr
from srreg.simulate.tissues import LABEL_OF, LOOKS, Tissue

# Both sides together, ml; people differ, so a little wider than what is usual.
VOLUMES_ML = {
    2: (380, 540), 3: (430, 590), 4: (11, 38), 5: (0.5, 4), 7: (22, 50), 8: (75, 120), 10: (11, 17.5), 11: (6, 10),
    12: (7, 12), 13: (2.6, 4.8), 14: (0.9, 2.6), 15: (1.3, 2.9), 16: (18, 27), 17: (6.5, 9.8), 18: (2.6, 4.6),
    24: (170, 400), 26: (0.8, 1.9), 28: (6.8, 11),
}  # fmt: skip


@dataclass(frozen=True)
class Head:
    person: Person
    view: FieldOfView
    half: Drawing
    labels: NDArray[np.uint8]


@pytest.fixture(scope="module")
def head() -> Head:
    person = draw_person(np.random.SeedSequence(11), None)
    view = field_of_view(person)
    half = draw(person, view, "half")
    return Head(person, view, half, labels_of(half))


def centroids(labels: NDArray[np.uint8], drawing: Drawing) -> NDArray[np.float64]:
    """World mm of each scored structure's middle."""
    return apply_affine(drawing.affine, np.array([np.argwhere(labels == index).mean(axis=0) for index in SCORED]))


def test_every_tissue_has_a_look_and_every_label_a_tissue() -> None:
    assert set(LOOKS) == set(Tissue)
    assert set(LABEL_OF.tolist()) == set(INDICES)


def test_all_labels_have_plausible_volumes(head: Head) -> None:
    counts = np.bincount(head.labels.reshape(-1), minlength=29) * 8 / 1000
    assert set(np.flatnonzero(counts)) == set(INDICES)
    odd = {i: counts[i] for i, (low, high) in VOLUMES_ML.items() if not low < counts[i] < high}
    assert odd == {}
    assert 1200 < counts[1:].sum() < 1750


def test_the_field_of_view_is_that_of_a_head(head: Head) -> None:
    left_right, front_back, up_down = head.view.edges
    assert 160 <= left_right <= 208
    assert 204 <= front_back <= 252
    assert 200 <= up_down <= 224


def test_structures_lie_where_they_belong(head: Head) -> None:
    middle = dict(zip(SCORED, centroids(head.labels, head.half), strict=True))
    assert middle[8][2] < middle[10][2]  # the cerebellum below the thalamus
    assert middle[8][1] < middle[16][1]  # and behind the brain-stem
    assert middle[11][1] > middle[10][1]  # the caudate before the thalamus
    split = round(np.argwhere(head.labels == 16)[:, 0].mean())
    right, left = (np.count_nonzero(half == 12) for half in (head.labels[:split], head.labels[split:]))
    assert 0.6 < left / right < 1.6  # a putamen on each side


def test_another_size_shows_the_same_anatomy(head: Head) -> None:
    quarter = draw(head.person, head.view, "quarter")
    labels = labels_of(quarter)
    apart = np.linalg.norm(centroids(labels, quarter) - centroids(head.labels, head.half), axis=1)
    assert apart.max() < 2.0
    corners = np.array([[-0.5, -0.5, -0.5]]), np.array(labels.shape) - 0.5
    half_corners = np.array([[-0.5, -0.5, -0.5]]), np.array(head.labels.shape) - 0.5
    for this, that in zip(corners, half_corners, strict=True):
        assert apply_affine(quarter.affine, this) == pytest.approx(apply_affine(head.half.affine, that))


def test_the_mask_covers_the_head_and_some_air(head: Head) -> None:
    mask = body_mask(head.half)
    solid = head.half.tissue.reshape(mask.shape[0], 2, mask.shape[1], 2, mask.shape[2], 2).all(axis=(1, 3, 5))
    assert mask[solid].all()
    assert 1.1 < np.count_nonzero(mask) / np.count_nonzero(solid) < 1.8
    assert not mask.all()
    assert all(ndimage.binary_fill_holes(plane).sum() == plane.sum() for plane in np.moveaxis(mask, 2, 0))


@pytest.mark.parametrize("centre", CENTRES, ids=lambda centre: centre.letter)
def test_ct_values_are_those_of_the_tissues(head: Head, centre: object) -> None:
    mask = body_mask(head.half)
    ct = paint_ct(head.half, centre, mask, np.random.SeedSequence(1))  # type: ignore[arg-type]
    means = {index: ct[inner(head.labels == index)].mean() for index in (2, 3, 4, 13)}
    assert means[4] < 14 < 25 < means[2] < 31 < 34 < means[3] < means[13] < 48
    assert 4 < ct[inner(head.labels == 2)].std() < 9
    assert 1100 < np.percentile(ct, 99.5) < 2200
    assert ct[~mask].mean() == pytest.approx(-1000, abs=1)
    assert np.array_equal(ct, np.rint(ct))


@pytest.mark.parametrize("centre", CENTRES, ids=lambda centre: centre.letter)
def test_mr_contrast_is_that_of_the_centre(head: Head, centre: object) -> None:
    mask = body_mask(head.half)
    mr = paint_mr(head.half, centre, mask, np.random.SeedSequence(1))  # type: ignore[arg-type]
    white, grey, fluid = (np.median(mr[inner(head.labels == index)]) for index in (2, 3, 4))
    assert fluid < 0.5 * grey < grey < 0.85 * white
    assert 0.5 < white / centre.scale < 1.7  # type: ignore[attr-defined]
    blood = whole(head.half, Tissue.BLOOD)
    assert (np.median(mr[blood]) > white) == centre.has_contrast  # type: ignore[attr-defined]
    assert np.median(mr[~mask]) == 0
    assert mr.min() == 0


def whole(drawing: Drawing, tissue: Tissue) -> NDArray[np.bool_]:
    """Voxels that are nothing else."""
    d, h, w = (n // 2 for n in drawing.tissue.shape)
    return (drawing.tissue == tissue).reshape(d, 2, h, 2, w, 2).all(axis=(1, 3, 5))


def inner(region: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Without its border, where the partial volume effect is."""
    eroded = ndimage.binary_erosion(region)
    return eroded if np.count_nonzero(eroded) > 50 else region


def test_the_bias_field_is_smooth_and_moderate(head: Head) -> None:
    mr = paint_mr(head.half, CENTRES[0], body_mask(head.half), np.random.SeedSequence(2))
    white = np.where(inner(head.labels == 2), mr, np.nan)
    octants = [np.nanmedian(part) for half in np.array_split(white, 3, axis=1) for part in np.array_split(half, 2, axis=0)]
    assert 0.05 < np.ptp(octants) / np.mean(octants) < 0.8
