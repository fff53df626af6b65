"""The answers of MedPy, MONAI and digital-diffeomorphism, asked once by `make_other_tools.py`."""

import json
from pathlib import Path

import pytest
from label_pairs import CASES, field, pair_of

from srreg import measure

ANSWERS = json.loads(Path(__file__).with_name("other_tools.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", CASES)
def test_hd95_pooled_is_medpys(case):
    found = measure.hd95(*pair_of(case), range(1, 10), CASES[case][1], "pooled")
    assert {str(label): value for label, value in found.items()} == pytest.approx(ANSWERS["hd95"][case]["medpy"], abs=1e-9)


@pytest.mark.parametrize("case", CASES)
def test_hd95_max_is_monais(case):
    found = measure.hd95(*pair_of(case), range(1, 10), CASES[case][1], "max")
    # MONAI's percentile is one of float32.
    assert {str(label): value for label, value in found.items()} == pytest.approx(ANSWERS["hd95"][case]["monai"], abs=1e-5)


def test_the_nondiffeomorphic_volume_is_that_of_the_papers_authors():
    found = measure.nondiffeomorphic_volume_percent(field())
    assert found == pytest.approx(ANSWERS["nondiffeomorphic_volume_percent"], rel=1e-6)
