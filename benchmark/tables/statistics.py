"""Whether one method is better than another: tests over pairs that share nobody, effect sizes, ranks, intervals.

Why so, with what was measured of the alternatives: docs/decisions/0014-statistics.md.
"""

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    import pandas as pd

People = tuple[str, str]  # of the moving and of the fixed image
Better = Literal["higher", "lower"]
K = TypeVar("K", bound=Hashable)

FEWEST_DIFFERENCES = 6  # with five, no two-sided p can be below 0.0625
FEWEST_PEOPLE = 3
DRAWS = 10_000
_DIGITS = 9  # beyond, a difference is rounding


def signed_rank_test(differences: ArrayLike) -> tuple[float, str]:
    """Wilcoxon's signed-rank test, two-sided and exact; differences of zero are left out, as by Wilcoxon.

    Args:
        differences: [N], of pairs that are independent of each other.

    Returns:
        p, or `nan` and the reason why there is none.
    """
    from scipy import stats

    values = _rounded(differences)
    sizes = np.abs(values[values != 0])
    if not values.size:
        return math.nan, "no pair in common"
    if not sizes.size:
        return math.nan, "all differences are zero"
    if sizes.size < FEWEST_DIFFERENCES:
        return math.nan, f"tested pairs that differ: {sizes.size}, fewer than {FEWEST_DIFFERENCES}"
    if np.unique(sizes).size < sizes.size:
        return math.nan, "ties: differences of one size, for which the test is not exact"
    return float(stats.wilcoxon(values[values != 0], method="exact").pvalue), ""


def holm(p_values: Mapping[K, float]) -> dict[K, float]:
    """Holm's step-down correction over one family; `nan` is in no family and stays `nan`.

    Source: Holm 1979, Scandinavian Journal of Statistics 6, 65-70.
    """
    tested = sorted((key for key, p in p_values.items() if not math.isnan(p)), key=lambda key: p_values[key])
    adjusted, largest = dict(p_values), 0.0
    for number, key in enumerate(tested):
        largest = max(largest, min(1.0, p_values[key] * (len(tested) - number)))
        adjusted[key] = largest
    return adjusted


def rank_biserial(differences: ArrayLike) -> float:
    """Matched-pairs rank-biserial correlation: from -1, all differences negative, to 1; `nan` where all are zero.

    Source: Kerby 2014, Comprehensive Psychology 3, doi:10.2466/11.IT.3.1.
    """
    from scipy import stats

    values = _rounded(differences)
    values = values[values != 0]
    if not values.size:
        return math.nan
    ranks = stats.rankdata(np.abs(values))
    return float((ranks * np.sign(values)).sum() / ranks.sum())


def ranks(values: "pd.DataFrame", better: Better) -> "pd.DataFrame":
    """The rank of each column in each row, 1 the best, ties at their mean; only rows in which every column has a number."""
    return values.dropna().round(_DIGITS).rank(axis=1, ascending=better == "lower")


def without_shared_people(people: Iterable[tuple[K, People]]) -> list[K]:
    """In the given order, each pair none of whose two persons is in one that was taken before."""
    taken, met = [], set[str]()
    for pair, both in people:
        if met.isdisjoint(both):
            taken.append(pair)
            met.update(both)
    return taken


def interval_of_mean(values: ArrayLike, people: Sequence[People], seed: int = 0) -> tuple[float, float] | None:
    """95 % bootstrap interval (percentiles) of the mean over pairs, where people are drawn, not pairs.

    From n people n are drawn with replacement. A pair counts as often as its moving person was drawn times as often as
    its fixed person was; somebody drawn twice makes no pair with himself. A draw that leaves no pair is left out.

    Source: Snijders and Borgatti 1999, Connections 22(2); Davezies et al. 2021, Annals of Statistics 49(2),
    arXiv:1906.11293.

    Args:
        values: [N], one a pair.
        people: [N], who each pair is of.
        seed: of the draws.

    Returns:
        The interval's ends; None for fewer than `FEWEST_PEOPLE` people.
    """
    names = sorted({name for both in people for name in both})
    if len(names) < FEWEST_PEOPLE:
        return None
    place = {name: number for number, name in enumerate(names)}
    at = [place[moving] for moving, _ in people], [place[fixed] for _, fixed in people]
    sums, counts = (np.zeros((len(names), len(names))) for _ in range(2))
    np.add.at(sums, at, np.asarray(values, dtype=float))
    np.add.at(counts, at, 1)
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=DRAWS).astype(float)  # [DRAWS, n]
    total, many = (((drawn @ of_pairs) * drawn).sum(axis=1) for of_pairs in (sums, counts))
    low, high = np.percentile(total[many > 0] / many[many > 0], (2.5, 97.5))
    return float(low), float(high)


def _rounded(differences: ArrayLike) -> NDArray[np.float64]:
    return np.round(np.asarray(differences, dtype=float), _DIGITS)
