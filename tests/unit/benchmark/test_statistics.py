import itertools
import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from benchmark.tables.statistics import (
    DRAWS,
    holm,
    interval_of_mean,
    rank_biserial,
    ranks,
    signed_rank_test,
    without_shared_people,
)

DIFFERENCES = [1.5, -0.3, 2.2, 4.1, -0.9, 3.0, 0.7]


def every_sign(differences):
    """p by trying out all signs the differences could have had."""
    sizes = stats.rankdata(np.abs(differences))
    found = sum(sizes[np.array(differences) > 0])
    middle = sizes.sum() / 2
    sums = [np.dot(signs, sizes) for signs in itertools.product((0, 1), repeat=len(sizes))]
    return np.mean([abs(one - middle) >= abs(found - middle) - 1e-9 for one in sums])


class TestSignedRank:
    def test_p_is_the_share_of_all_signs_that_are_as_far_out(self):
        p, reason = signed_rank_test(DIFFERENCES)
        assert p == pytest.approx(every_sign(DIFFERENCES), abs=1e-12)
        assert p == stats.wilcoxon(DIFFERENCES, method="exact").pvalue
        assert reason == ""

    def test_differences_of_zero_are_left_out(self):
        assert signed_rank_test([0.0, *DIFFERENCES, 0.0]) == signed_rank_test(DIFFERENCES)

    @pytest.mark.parametrize(
        ("differences", "reason"),
        [
            ([], "no pair in common"),
            ([0.0] * 10, "all differences are zero"),
            ([0.0, 1.0, 2.0, 3.0, 4.0, 5.0], "tested pairs that differ: 5, fewer than 6"),
            ([1.0, 2.0, 3.0, 4.0, 5.0, -5.0], "ties"),
            ([1.0, 2.0, 3.0, 4.0, 5.0, 0.1 + 0.2, -0.3], "ties"),  # equal but for rounding
        ],
    )
    def test_where_there_is_no_p_there_is_a_reason(self, differences, reason):
        p, told = signed_rank_test(differences)
        assert math.isnan(p)
        assert told.startswith(reason)

    def test_six_differences_of_one_sign_can_be_significant(self):
        assert signed_rank_test([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])[0] == 2 / 2**6


class TestHolm:
    def test_a_case_done_by_hand(self):
        # 0.01 x 4; 0.02 x 3; then 0.03 x 2 = 0.06, no less than before; 0.2 x 1.
        found = holm({"d": 0.2, "a": 0.01, "c": 0.03, "b": 0.02})
        assert found == pytest.approx({"a": 0.04, "b": 0.06, "c": 0.06, "d": 0.2})
        assert list(found) == ["d", "a", "c", "b"]

    def test_none_is_above_one_and_nan_is_no_test(self):
        assert holm({"a": 0.9, "b": 0.7, "c": math.nan}) == pytest.approx({"a": 1.0, "b": 1.0, "c": math.nan}, nan_ok=True)

    def test_statsmodels_agrees(self):
        multitest = pytest.importorskip("statsmodels.stats.multitest")
        p_values = np.random.default_rng(0).uniform(0, 0.2, 12)
        ours = holm(dict(enumerate(p_values)))
        assert list(ours.values()) == pytest.approx(multitest.multipletests(p_values, method="holm")[1])


class TestRankBiserial:
    def test_a_case_done_by_hand(self):
        # Sizes 1, 2, 3 have ranks 1, 2, 3: (1 + 3 - 2) / 6.
        assert rank_biserial([1.0, -2.0, 3.0]) == pytest.approx(1 / 3)

    @pytest.mark.parametrize(("differences", "value"), [([1.0, 5.0], 1), ([-1.0, -5.0, 0.0], -1), ([1.0, -1.0], 0)])
    def test_its_ends_and_its_middle(self, differences, value):
        assert rank_biserial(differences) == value

    def test_of_no_difference_there_is_none(self):
        assert math.isnan(rank_biserial([0.0, 0.0]))


class TestRanks:
    VALUES = pd.DataFrame({"x": [90.0, 80.0, 70.0], "y": [95.0, 80.0, math.nan], "z": [85.0, 70.0, 60.0]})

    def test_the_highest_is_first_and_ties_share(self):
        assert ranks(self.VALUES, "higher").to_numpy().tolist() == [[2, 1, 3], [1.5, 1.5, 3]]

    def test_the_lowest_is_first_where_low_is_better(self):
        assert ranks(self.VALUES, "lower").to_numpy().tolist() == [[2, 3, 1], [2.5, 2.5, 1]]


def test_each_person_is_tested_once():
    pairs = [(1, ("a", "b")), (2, ("b", "c")), (3, ("c", "d")), (4, ("d", "a")), (5, ("e", "f"))]
    assert without_shared_people(pairs) == [1, 3, 5]


PEOPLE = "abcdef"
ORDERED = list(itertools.permutations(PEOPLE, 2))


class TestInterval:
    def test_a_pair_counts_as_often_as_its_people_were_drawn_multiplied(self):
        values = np.random.default_rng(1).normal(60, 5, len(ORDERED))
        by_pair = dict(zip(ORDERED, values, strict=True))
        drawn = np.random.default_rng(0).multinomial(6, np.full(6, 1 / 6), size=DRAWS)
        means = []
        for counts in drawn:  # the plain way: list everybody who was drawn, and every pair of two of them
            crowd = [person for person, count in zip(PEOPLE, counts, strict=True) for _ in range(count)]
            found = [by_pair[a, b] for a, b in itertools.permutations(crowd, 2) if a != b]
            means += [np.mean(found)] if found else []
        assert interval_of_mean(values, ORDERED) == pytest.approx(np.percentile(means, (2.5, 97.5)))

    def test_equal_values_leave_no_doubt(self):
        assert interval_of_mean(np.full(len(ORDERED), 7.0), ORDERED) == pytest.approx((7, 7))

    def test_it_is_as_wide_as_theory_says_where_people_alone_differ(self):
        people = [f"p{number:03d}" for number in range(80)]
        easy = dict(zip(people, np.random.default_rng(2).normal(0, 1, 80), strict=True))
        pairs = list(itertools.permutations(people, 2))
        low, high = interval_of_mean([easy[a] + easy[b] for a, b in pairs], pairs)
        error = 2 * np.std(list(easy.values())) / np.sqrt(80)  # of the mean of easy[a] + easy[b]
        assert high - low == pytest.approx(2 * 1.96 * error, rel=0.05)

    def test_of_too_few_people_there_is_none(self):
        pairs = list(itertools.permutations("ab", 2))
        assert interval_of_mean(range(len(pairs)), pairs) is None

    def test_it_is_the_same_each_time(self):
        values = np.arange(len(ORDERED))
        assert interval_of_mean(values, ORDERED) == interval_of_mean(values, ORDERED)
