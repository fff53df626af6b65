import numpy as np
import pytest
from phantom import head

from srreg import modality
from srreg.errors import DataError
from srreg.volume import Volume


def test_a_ct_is_told_by_its_air():
    assert modality.guess(head().ct) == "ct"


@pytest.mark.parametrize("scale", [1.0, 0.01, 100.0])
def test_an_mr_is_told_in_any_unit(scale):
    mr = head().mr
    assert modality.guess(Volume(mr.data * scale - 0.3 * scale, mr.affine)) == "mr"


@pytest.mark.parametrize("change", [lambda hu: hu + 1024, lambda hu: (hu + 1000) / 2000, lambda hu: np.where(hu < -900, 0, hu)])
def test_a_ct_that_is_not_in_hounsfield_units_is_refused(change):
    ct = head().ct
    modality.check_hounsfield(ct, "fixed")
    with pytest.raises(DataError, match="fixed: expected a CT in Hounsfield units"):
        modality.check_hounsfield(Volume(change(ct.data), ct.affine), "fixed")
