import math
from dataclasses import replace

import numpy as np
import pytest

from benchmark import fields
from benchmark.clock import Cost
from benchmark.fields import KeptField, Origin
from srreg.displacement import Displacement

ORIGIN = Origin("data", "weights", "cpu")


def some_field(peak_gib=0.5, parameters=92_179, load=math.nan):
    data = np.random.default_rng(0).normal(size=(6, 7, 8, 3)).astype(np.float32)
    return KeptField(Displacement(data, np.diag([2.0, 2.0, 2.0, 1.0])), Cost(1.25, peak_gib, load), parameters)


@pytest.mark.parametrize(("peak_gib", "parameters", "load"), [(0.5, 92_179, 1.75), (math.nan, None, math.nan)])
def test_a_field_comes_back_with_what_it_took(tmp_path, peak_gib, parameters, load):
    path = fields.field_file(tmp_path, "voxelmorph", 1, "a-mr_b-ct")
    fields.save(path, some_field(peak_gib, parameters, load), ORIGIN)
    found = fields.load(path)
    np.testing.assert_allclose(found.displacement.data, some_field().displacement.data, atol=1e-6)
    assert str(found.cost) == str(Cost(1.25, peak_gib, load))
    assert found.parameters == parameters


@pytest.mark.parametrize("changed", ["dataset", "weights", "device"])
def test_a_field_of_another_origin_does_not_count(tmp_path, changed):
    path = fields.field_file(tmp_path, "voxelmorph", 0, "a-mr_b-ct")
    fields.save(path, some_field(), ORIGIN)
    assert fields.is_kept(path, ORIGIN)
    assert not fields.is_kept(path, replace(ORIGIN, **{changed: "other"}))


def test_a_field_without_its_note_does_not_count(tmp_path):
    path = fields.field_file(tmp_path, "voxelmorph", 0, "a-mr_b-ct")
    fields.save(path, some_field(), ORIGIN)
    path.with_name("a-mr_b-ct.json").unlink()
    assert not fields.is_kept(path, ORIGIN)


@pytest.mark.parametrize("note", ["{", "{}", "[]", '{"dataset": "data", "weights": "weights", "device": "cpu"}'])
def test_a_field_with_a_damaged_note_does_not_count(tmp_path, note):
    path = fields.field_file(tmp_path, "voxelmorph", 0, "a-mr_b-ct")
    fields.save(path, some_field(), ORIGIN)
    path.with_name("a-mr_b-ct.json").write_text(note)
    assert not fields.is_kept(path, ORIGIN)
