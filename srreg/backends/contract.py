"""What every skull stripper and every segmenter must give; nothing less goes further down the build.

Log lines name the tool alone: whoever runs it puts the subject before them.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy import ndimage

from srreg.errors import DataError, ResultRefused
from srreg.io import read_labels
from srreg.labels import INDICES, LABELS, check_known
from srreg.subject import Subject
from srreg.volume import Grid, LabelMap

log = logging.getLogger(__name__)

# From a very small brain to a large head's whole cranial cavity. SynthRAD's patients are 3 to 93 years old; at 3 a brain
# has about 1.1 l.
SMALLEST_BRAIN_ML, LARGEST_BRAIN_ML = 600.0, 2200.0
_LEAST_OF_ONE_PIECE = 0.9  # a mask whose largest piece is less of it than this is broken, not speckled
_CSF = 24
_MOST_NAMED = 4


def read_result(tool: str, path: Path) -> LabelMap:
    """Read what a tool should have written.

    Raises:
        ResultRefused: it wrote nothing there, or no label map.
    """
    if not path.exists():
        raise ResultRefused(f"{tool} reported success but wrote no {path.name}")
    try:
        return read_labels(path)
    except DataError as error:
        what = str(error).removeprefix(f"{path}: ")
        raise ResultRefused(f"{tool} wrote a {path.name} that cannot be used: {what}") from error


def check_grid(tool: str, result: LabelMap, expected: Grid) -> None:
    """Refuse a result that does not lie on the grid of what the tool was given; nothing is resampled to fit.

    Raises:
        ResultRefused: with both grids.
    """
    if not result.grid.matches(expected):
        raise ResultRefused(
            f"{tool} gave another grid than its image's: {result.grid}, first voxel at {_origin(result.grid)} mm; "
            f"the image: {expected}, first voxel at {_origin(expected)} mm"
        )


def _origin(grid: Grid) -> list[float]:
    return [round(float(x), 2) for x in grid.affine[:3, 3]]


def checked_brain(tool: str, brain: LabelMap, subject: Subject) -> LabelMap:
    """The mask in one piece and without holes, if it can be a brain.

    The rule: everything that is not 0 is brain; the largest piece (voxels joined by their faces) stays, what it encloses
    on all sides is filled. A log line says what was changed.

    Raises:
        ResultRefused: another grid than the MR's, empty, full, in pieces of like size, or outside 0.6 to 2.2 l.
    """
    check_grid(tool, brain, subject.mr.grid)
    whole = _whole(tool, brain)
    _check_volume(tool, whole.volume_ml())
    return whole


def checked_labels(tool: str, labels: LabelMap, subject: Subject) -> LabelMap:
    """The labels themselves, if they can be a brain's; a log line names structures that are missing.

    Raises:
        ResultRefused: another grid than the MR's, values outside `srreg.labels`, empty, full, or tissue (CSF and background
            apart) outside 0.6 to 2.2 l.
    """
    check_grid(tool, labels, subject.mr.grid)
    try:
        check_known(labels)
    except DataError as error:
        raise ResultRefused(f"{tool} gave {error}") from error
    _check_extent(tool, labels)
    _check_volume(tool, LabelMap((labels.data != 0) & (labels.data != _CSF), labels.affine).volume_ml())
    missing = [label.name for label in LABELS if label.index in set(INDICES) - {0} - set(labels.values)]
    if missing:
        log.warning("%s found no %s", tool, _listed(missing))
    return labels


def _listed(names: Sequence[str]) -> str:
    """The first few by name; the QC report names them all."""
    more = len(names) - _MOST_NAMED
    return ", no ".join(names[:_MOST_NAMED]) + (f" and {more} more of {len(INDICES) - 1}" if more > 0 else "")


def _check_extent(tool: str, result: LabelMap) -> None:
    if not result.data.any():
        raise ResultRefused(f"{tool} found nothing: every voxel is background")
    if result.data.all():
        raise ResultRefused(f"{tool} took the whole image for brain: no voxel is background")


def _check_volume(tool: str, brain_ml: float) -> None:
    if not SMALLEST_BRAIN_ML <= brain_ml <= LARGEST_BRAIN_ML:
        raise ResultRefused(
            f"{tool} gave a brain of {brain_ml:.0f} ml; expected {SMALLEST_BRAIN_ML:.0f} to {LARGEST_BRAIN_ML:.0f} ml. "
            "Look at the image, or give files of your own: precomputed:DIR"
        )


def _whole(tool: str, brain: LabelMap) -> LabelMap:
    _check_extent(tool, brain)
    found = brain.data != 0
    pieces, count = ndimage.label(found)
    sizes = np.bincount(pieces.reshape(-1))
    sizes[0] = 0
    largest = pieces == int(sizes.argmax())
    if sizes.max() < _LEAST_OF_ONE_PIECE * sizes.sum():
        raise ResultRefused(f"{tool} gave a brain in {count} pieces, the largest only {sizes.max() / sizes.sum():.0%} of it")
    filled = ndimage.binary_fill_holes(largest)
    whole = LabelMap(filled, brain.affine)
    removed, added = int(found.sum() - largest.sum()), int(filled.sum() - largest.sum())
    if removed or added:
        log.info("%s: %d small pieces removed (%d voxels), holes of %d voxels filled", tool, count - 1, removed, added)
    return whole
