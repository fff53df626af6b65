from pathlib import Path

import numpy as np
import phantom
import pytest
from PIL import Image

from srreg.errors import UnknownName
from srreg.qc.montage import write_montage


def test_a_montage_has_a_row_a_subject_and_grey_mr_grey_ct_and_coloured_labels_in_each_plane(tmp_path: Path) -> None:
    dataset = phantom.write_dataset(tmp_path / "sr-reg", subjects=5)
    write_montage(dataset, tmp_path / "figure.png", dataset.subjects[1:3])
    pixels = np.asarray(Image.open(tmp_path / "figure.png")).astype(int)
    height = pixels.shape[0] // 2
    assert pixels.shape == (2 * height, 9 * height, 3)
    tiles = [pixels[:height, n * height : (n + 1) * height] for n in range(9)]
    assert all(tile.max() > 100 for tile in tiles)
    assert [bool(np.ptp(tile, axis=-1).any()) for tile in tiles] == [False, False, True] * 3


def test_a_montage_of_somebody_who_is_not_built_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="1BZ001"):
        write_montage(phantom.write_dataset(tmp_path / "sr-reg"), tmp_path / "figure.png", ["1BZ001"])
    assert not (tmp_path / "figure.png").exists()
