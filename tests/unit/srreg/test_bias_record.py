from dataclasses import replace

import numpy as np
import pytest
from phantom import head

from srreg.build.bias_record import bias_from_record, record_bias
from srreg.build.reference import grid_of
from srreg.build.steps.conform import Conform
from srreg.errors import DataError
from srreg.geometry import apply_affine
from srreg.qc.case import Case
from srreg.subject import Subject
from srreg.volume import Affine, Grid, Volume

GRID = grid_of("half")  # 96 x 112 x 96
TURNED: Affine = np.array(
    [[1.05, -0.17, 0.03, 4.0], [0.18, 0.98, 0.06, -7.0], [-0.04, -0.05, 0.93, 11.0], [0.0, 0.0, 0.0, 1.0]]
)


def bias_at(world: np.ndarray) -> np.ndarray:
    """A field as coils give it: brighter towards one corner, with a saddle."""
    x, y, z = (world[..., k] / 100 for k in range(3))
    return np.exp(0.25 * x - 0.2 * y + 0.3 * z * x - 0.15 * y**2)


def sampled(grid: Grid) -> Volume:
    places = apply_affine(grid.affine, np.stack(np.indices(grid.shape), axis=-1).astype(float))
    return Volume(bias_at(places).astype(np.float32), grid.affine)


def with_bias() -> Subject:
    """A head of 44 x 58 x 50 voxels; the field on another, coarser grid."""
    subject = head("1BA001", 1, shape=(44, 58, 50), spacing_mm=4.0)
    affine = np.diag([5.0, 6.0, 7.0, 1.0])
    affine[:3, 3] = -130
    return replace(subject, bias=sampled(Grid((53, 45, 39), affine)), to_reference=TURNED)


def test_the_knots_give_back_the_field_in_the_data_sets_frame() -> None:
    built = Conform("half")(with_bias())
    found = bias_from_record(record_bias(built), GRID)
    inside = built.brain.data > 0
    places = np.argwhere(inside).astype(float)
    expected = bias_at(apply_affine(np.linalg.inv(TURNED), apply_affine(GRID.affine, places)))
    np.testing.assert_allclose(found.data[inside], expected, rtol=0.01)


def test_with_them_the_mr_is_what_it_was_before_its_correction() -> None:
    subject = with_bias()
    corrected, plain = Conform("half")(subject), Conform("half")(replace(subject, bias=None))
    case = Case(corrected, bias=bias_from_record(record_bias(corrected), GRID))
    before, expected = case.uncorrected, plain.mr.data
    assert before is not None
    shown = (expected > 0.05) & (expected < 1) & (corrected.mr.data < 1)  # what neither clipped
    ratio = before[shown] / expected[shown]
    assert shown.sum() > 10_000
    np.testing.assert_allclose(ratio, np.median(ratio), rtol=0.02)


def test_a_subject_without_a_field_has_no_record_and_no_picture_of_before() -> None:
    built = Conform("quarter")(replace(with_bias(), bias=None))
    assert record_bias(built) is None
    assert Case(built).uncorrected is None


@pytest.mark.parametrize(
    "record",
    [
        [],
        {},
        {"Shape": [1, 1, 3], "Slabs": ["one two three"]},
        {"Shape": [2, 1, 2], "Slabs": ["1 1", "1"]},
        {"Shape": [2, 15, 13], "Slabs": 7},
        {"Shape": [1, 1, 1], "Slabs": ["1"]},
        {"Shape": [13, 15, 13], "Slabs": [" ".join(["0"] * 195)] * 13},
        {"Shape": [13, 15, 13], "Slabs": [" ".join(["nan"] * 195)] * 13},
    ],
)
def test_a_record_that_is_no_field_of_this_grid_is_refused(record: object) -> None:
    with pytest.raises(DataError, match="bias field"):
        bias_from_record(record, GRID)
