"""Which rows and columns the tables of metrics have."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from benchmark.metrics import METRICS, WHOLE
from benchmark.tables.scores import How


@dataclass(frozen=True)
class Shown:
    """What a column shows.

    Args:
        title: its heading.
        metric: as in `METRICS`.
        how: mean and standard deviation over pairs, or the largest value of any pair.
        region: a structure's name.
        has_interval: whether all pairs give it an interval of confidence too.
    """

    title: str
    metric: str
    how: How = "mean"
    region: str = WHOLE
    has_interval: bool = False


@dataclass(frozen=True)
class Layout:
    """A table before it has numbers.

    Args:
        caption: what it shows.
        headings: of the columns before the numbers.
        names: method -> its cells under these headings.
        has_others: whether methods that `names` does not list have a row here too.
        columns: the numbers.
    """

    caption: str
    headings: tuple[str, ...]
    names: Mapping[str, tuple[str, ...]]
    has_others: bool
    columns: tuple[Shown, ...]

    def name_of(self, method: str) -> tuple[str, ...]:
        """The cells before the numbers."""
        return self.names.get(method, (method, *[""] * (len(self.headings) - 1)))


_TITLES: Mapping[str, str] = {
    "initial": "Affine initialization",
    "syn": "ANTs SyN",
    "syn-tuned": "ANTs SyN, tuned",
    "voxelmorph": "VoxelMorph",
    "voxelmorph-features": "VoxelMorph, with feature extractor",
    "transmorph": "TransMorph",
    "transmorph-features": "TransMorph, with feature extractor",
    "mambamorph-original": "MambaMorph, original",
    "mambamorph-plain": "MambaMorph, without feature extractor",
    "mambamorph": "MambaMorph, complete",
}
_DICE = Shown("Dice (%)", "dice", has_interval=True)
_HD95 = Shown("HD95 (mm)", "hd95", has_interval=True)
_FOLDING = Shown("% |J| ≤ 0", "folding", has_interval=True)
_COSTS = (
    Shown("Time (s)", "seconds"),
    Shown("Memory (GiB)", "memory", "largest"),
    Shown("Param. (M)", "parameters", "largest"),
)
_FURTHER = (  # that no table of the paper has
    Shown("HD95, max (mm)", "hd95_max", has_interval=True),
    Shown("Structures lost", "structures_lost"),
    Shown("Structures absent", "structures_absent"),
    Shown("% |J| < 0, authors' script", "folding_published"),
    Shown("Non-diffeomorphic volume (%)", "nondiffeomorphic_volume", has_interval=True),
    Shown("SD of log |J|", "log_jacobian_std", has_interval=True),
    Shown("Load of the machine", "load"),
)
TABLE_1 = Layout(  # columns in the paper's order, as in table 2
    caption="Table 1: registration of MR to CT",
    headings=("Method",),
    names={method: (title,) for method, title in _TITLES.items()},
    has_others=True,
    columns=(_DICE, _HD95, _FOLDING, *_COSTS),
)
TABLE_2 = Layout(
    caption="Table 2: with and without the feature extractor",
    headings=("Method", "Feature extractor"),
    names={
        "voxelmorph": ("VoxelMorph", "w/o"),
        "voxelmorph-features": ("VoxelMorph", "w/"),
        "transmorph": ("TransMorph", "w/o"),
        "transmorph-features": ("TransMorph", "w/"),
        "mambamorph-plain": ("MambaMorph", "w/o"),
        "mambamorph": ("MambaMorph", "w/"),
    },
    has_others=False,
    columns=(_DICE, *_COSTS),
)


def title_of(method: str) -> str:
    """What table 1 calls a method."""
    return TABLE_1.name_of(method)[0]


def column_of(metric: str) -> Shown:
    """The column of a metric as table 1 has it, or one of its name and unit."""
    known = {column.metric: column for column in (*TABLE_1.columns, *_FURTHER)}
    unit = METRICS[metric].unit
    return known.get(metric) or Shown(f"{metric} ({unit})" if unit else metric, metric)


def every_metric() -> Layout:
    """Table 1 with a column for every metric there is."""
    return replace(TABLE_1, caption="Every metric", columns=tuple(column_of(metric) for metric in METRICS))


def structures(metric: str, regions: tuple[str, ...]) -> Layout:
    """Table 1 with a column for every structure."""
    columns = tuple(Shown(region, metric, region=region) for region in regions)
    return replace(TABLE_1, caption=f"{column_of(metric).title} by structure", columns=columns)
