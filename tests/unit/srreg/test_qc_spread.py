import math

import pytest

from srreg.qc.checks import centre_offset
from srreg.qc.spread import Number, robust_z, strip_plot


def test_robust_z_is_the_distance_from_the_median_in_scaled_absolute_deviations() -> None:
    z = robust_z({"a": 1, "b": 2, "c": 3, "d": 4, "e": 103, "f": math.nan})
    assert z["c"] == 0  # the median; distances 2, 1, 0, 1, 100 have the median 1
    assert z["e"] == pytest.approx(100 / 1.4826)
    assert z["a"] == pytest.approx(-2 / 1.4826)
    assert "f" not in z


def test_too_few_numbers_or_equal_ones_have_no_z() -> None:
    assert robust_z({"a": 1, "b": 2, "c": 3, "d": 4}) == {}
    assert robust_z(dict.fromkeys("abcdef", 1.0) | {"g": 9.0}) == {}


def test_a_strip_plot_has_a_row_a_centre_and_marks_what_fails_or_lies_far_off() -> None:
    numbers = [Number(f"s{n}", f"s{n}.html", "AB"[n % 2], value, "pass") for n, value in enumerate((4, 5, 6, 5, 4, 6, 14))]
    plot = strip_plot(
        centre_offset, [*numbers, Number("f", "f.html", "C", 24.0, "fail"), Number("n", "", "C", math.nan, "n/a")]
    )
    assert plot is not None
    assert list(plot.rows) == ["A", "B", "C"]
    assert [p.subject for points in plot.rows.values() for p in points if p.is_outlier] == ["s6", "f"]
    assert plot.rows["A"][-1].subject == "s6"
    assert (plot.low, plot.high, plot.good) == (4, 24, (0, 0.8))  # passes from 0 to 20 mm
    assert plot.rows["A"][-1].across == 0.5
    assert strip_plot(centre_offset, [Number("n", "", "C", math.nan, "n/a")]) is None
