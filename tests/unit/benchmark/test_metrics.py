from unittest.mock import Mock

import numpy as np
import pytest

from benchmark.clock import Cost
from benchmark.metrics import METRICS, WHOLE, Case
from srreg import measure
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


def test_structures_missing_from_one_image_or_from_both_are_counted():
    without_hippocampus = LabelMap(np.where(labels().data == 17, 0, labels().data), AFFINE)
    found = case(moving=without_hippocampus)
    assert METRICS["structures_lost"].measure(found)[WHOLE] == 1
    assert METRICS["structures_absent"].measure(found)[WHOLE] == len(SCORED) - 2


def test_the_larger_directed_distance_is_measured_beside_the_pooled_one():
    bar, dot = np.zeros(SHAPE, np.int16), np.zeros(SHAPE, np.int16)
    bar[0, 0, 0:4], dot[0, 0, 0] = 10, 10
    found = Case(Displacement.zero(labels().grid), LabelMap(dot, AFFINE), LabelMap(bar, AFFINE), Cost(1, 1), None)
    # There: 0; back: 0, 2, 4, 6 mm. Pooled: 0, 0, 2, 4, 6 at position 0.95 * 4 = 3.8.
    assert METRICS["hd95"].measure(found)["Thalamus"] == pytest.approx(5.6)
    assert METRICS["hd95_max"].measure(found)["Thalamus"] == pytest.approx(5.7)


def test_a_fold_in_the_brain_is_found_in_it_and_not_outside():
    field = np.zeros((*SHAPE, 3), np.float32)
    field[3, 4, 5, 0] = 3  # within the thalamus
    found = Case(Displacement(field, AFFINE), labels(), labels(), Cost(1, 1), None)
    for name in ("folding", "folding_published", "nondiffeomorphic_volume", "log_jacobian_std"):
        by_region = METRICS[name].measure(found)
        assert set(by_region) == {WHOLE, "Inside the brain", "Outside the brain"}
        if name != "folding_published":
            assert by_region["Inside the brain"] > by_region[WHOLE] > 0
            assert by_region["Outside the brain"] == pytest.approx(0, abs=1e-9)


def test_a_case_is_measured_once_for_all_metrics(monkeypatch):
    overlap, regularity = Mock(wraps=measure.overlap), Mock(wraps=measure.regularity)
    monkeypatch.setattr(measure, "overlap", overlap)
    monkeypatch.setattr(measure, "regularity", regularity)
    found = case()
    for metric in METRICS.values():
        metric.measure(found)
    assert (overlap.call_count, regularity.call_count) == (1, 1)


def test_costs_and_parameters_are_handed_through_in_their_units():
    found = case(parameters=92_179)
    values = {name: METRICS[name].measure(found)[WHOLE] for name in ("seconds", "memory", "parameters")}
    assert values == {"seconds": 1.5, "memory": 0.25, "parameters": pytest.approx(0.092179)}
    assert np.isnan(METRICS["parameters"].measure(case())[WHOLE])


@pytest.mark.parametrize("name", list(METRICS))
def test_every_metric_has_its_name_and_a_value_for_the_whole(name):
    assert METRICS[name].name == name
    assert WHOLE in METRICS[name].measure(case())
