"""Heads simulated from label maps of real people, built as a person would."""

import numpy as np
import pytest

from srreg import measure
from srreg.backends.protocol import Resources
from srreg.backends.registry import SEGMENTERS, SKULL_STRIPPERS, make
from srreg.build.runner import build
from srreg.build.settings import BuildSettings
from srreg.dataset import Dataset
from srreg.labels import INDICES, SCORED
from srreg.simulate.tree import Simulation, simulate

pytestmark = pytest.mark.real


def test_real_people_build_into_a_data_set_they_overlap_in(real_data, tmp_path):
    settings = Simulation(subjects=2, size="quarter", label_maps=real_data / "synthseg_label_maps")
    simulate(tmp_path / "heads", settings)
    truth = f"precomputed:{tmp_path / 'heads'}"
    stripper, segmenter = (make(registry, truth, Resources()) for registry in (SKULL_STRIPPERS, SEGMENTERS))
    report = build(BuildSettings(tmp_path / "heads", tmp_path / "sr-reg", stripper, segmenter, size="quarter", n_procs=2))
    assert not report.failed
    dataset = Dataset.open(tmp_path / "sr-reg")
    first, second = (dataset.read(subject) for subject in dataset.subjects)
    assert set(first.labels.values) == set(INDICES)
    assert all(1000 < p.brain_ml < 1900 for p in dataset.participants)
    overlap = np.nanmean(list(measure.dice(first.labels.data, second.labels.data, SCORED).values()))
    assert 0.4 < overlap < 0.75  # two people, affinely aligned, at 4 mm
