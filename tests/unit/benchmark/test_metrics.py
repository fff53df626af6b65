import numpy as np
import pytest

from benchmark.clock import Cost
from benchmark.metrics import METRICS, WHOLE, Case
from srreg.displacement import Displacement
from srreg.labels import SCORED
from srreg.volume import LabelMap

SHAPE = (12, 14, 16)
AFFINE = np.diag([2.0, 2.0, 2.0, 1.0])


def labels(offset=0):
    """Two of the scored structures, and one (24) that is not; moved along axis 1."""
    data = np.zeros(SHAPE, np.int16)
    data[2:6, 3 + offset : 7 + offset, 4:9] = 10
    data[7:10, 3 + offset : 7 + offset, 4:9] = 17
    data[2:6, 3 + offset : 7 + offset, 11:14] = 24
    return LabelMap(data, AFFINE)


def case(shift=0.0, parameters=None, moving=None):
    field = np.zeros((*SHAPE, 3), np.float32)
    field[..., 1] = shift
    return Case(Displacement(field, AFFINE), moving or labels(offset=2), labels(), Cost(1.5, 0.25), parameters)


def test_the_right_displacement_scores_100_percent_and_0_mm():
    found = case(shift=2)
    assert METRICS["dice"].measure(found)[WHOLE] == 100
    assert METRICS["hd95"].measure(found)[WHOLE] == 0


def test_no_displacement_scores_what_overlaps():
    found = case()
    assert METRICS["dice"].measure(found)[WHOLE] == pytest.approx(50)  # 4 planes against 4, 2 of them shared
    assert METRICS["hd95"].measure(found)[WHOLE] == pytest.approx(4)  # 2 voxels of 2 mm


def test_structures_have_their_names_and_only_the_16_are_scored():
    by_region = METRICS["dice"].measure(case())
    assert by_region["Thalamus"] == pytest.approx(50)
    assert len(by_region) == len(SCORED) + 1
    assert "CSF" not in by_region


def test_the_mean_leaves_out_structures_absent_from_both_and_counts_those_absent_from_one():
    without_hippocampus = LabelMap(np.where(labels().data == 17, 0, labels().data), AFFINE)
    found = METRICS["dice"].measure(case(moving=without_hippocampus))
    assert np.isnan(found["Putamen"])
    assert found["Hippocampus"] == 0
    assert found[WHOLE] == pytest.approx(50)


def test_without_any_structure_there_is_no_mean():
    nothing = LabelMap(np.zeros(SHAPE, np.int16), AFFINE)
    found = Case(Displacement.zero(nothing.grid), nothing, nothing, Cost(1, 1), None)
    assert np.isnan(METRICS["dice"].measure(found)[WHOLE])


def test_costs_and_parameters_are_handed_through_in_their_units():
    found = case(parameters=92_179)
    values = {name: METRICS[name].measure(found)[WHOLE] for name in ("seconds", "memory", "parameters")}
    assert values == {"seconds": 1.5, "memory": 0.25, "parameters": pytest.approx(0.092179)}
    assert np.isnan(METRICS["parameters"].measure(case())[WHOLE])


@pytest.mark.parametrize("name", list(METRICS))
def test_every_metric_has_its_name_and_a_value_for_the_whole(name):
    assert METRICS[name].name == name
    assert WHOLE in METRICS[name].measure(case())
