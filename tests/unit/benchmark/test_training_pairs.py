"""What a training draws, what it is validated on, and how images are prepared."""

import numpy as np
import pytest
import torch

from benchmark.network_input import min_max, padded
from benchmark.training.draw import TrainingPairs
from benchmark.training.pairs import SubjectArrays, ValidationPairs
from srreg.dataset import Dataset
from srreg.subject import ImageRef


def test_the_mr_moves_and_the_ct_stays(eight: Dataset) -> None:
    batch = SubjectArrays(eight).batch("1BA001", "1BA003")
    inside = (0, 0, slice(12), slice(14), slice(10))
    assert batch.moving.shape == batch.fixed.shape == (1, 1, 16, 16, 16)
    mr, ct = eight.image(ImageRef("1BA001", "mr")).data, eight.image(ImageRef("1BA003", "ct")).data
    np.testing.assert_allclose(batch.moving[inside].float(), mr / mr.max(), atol=1e-3)
    np.testing.assert_allclose(batch.fixed[inside].float(), ct / ct.max(), atol=1e-3)
    assert np.array_equal(batch.moving_labels[0, :12, :14, :10], eight.labels("1BA001").data)
    assert np.array_equal(batch.fixed_labels[0, :12, :14, :10], eight.labels("1BA003").data)


def test_a_batch_is_named_by_all_its_pairs(eight: Dataset) -> None:
    pairs = TrainingPairs(SubjectArrays(eight), ("1BA001",), seed=0, both_ways=True, bend_voxels=1.0)
    assert pairs(0).name == "1BA001-mr_1BA001-ct 1BA001-mr_1BA001-ct"


def test_two_subjects_are_drawn_independently(eight: Dataset) -> None:
    drawn = set()

    class Recorder(SubjectArrays):
        def batch(self, moving: str, fixed: str):  # type: ignore[no-untyped-def]
            drawn.add((moving, fixed))

    pairs = TrainingPairs(Recorder(eight), ("a", "b"), seed=0)
    for number in range(40):
        pairs(number)
    assert drawn == {("a", "a"), ("a", "b"), ("b", "a"), ("b", "b")}


def test_a_number_always_gives_the_same_pair(eight: Dataset) -> None:
    arrays = SubjectArrays(eight)
    first, second = (TrainingPairs(arrays, eight.split("train"), seed=1)(5) for _ in range(2))
    assert torch.equal(first.moving, second.moving)
    assert torch.equal(first.fixed, second.fixed)


def test_validation_takes_the_pairs_of_the_data_set(eight: Dataset) -> None:
    validation = ValidationPairs.of(SubjectArrays(eight), eight)
    assert [pair.id for pair in validation.pairs] == ["1BA005-mr_1BA006-ct", "1BA006-mr_1BA005-ct"]
    assert len(list(validation)) == 2
    assert len(validation[:1]) == 1


def test_many_validation_pairs_are_thinned_to_ten(eight: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    every = eight.pairs("val", "all") * 45
    monkeypatch.setattr(Dataset, "pairs", lambda *_: every)
    assert len(ValidationPairs.of(SubjectArrays(eight), eight)) == 10


def test_images_are_scaled_by_their_own_extremes() -> None:
    image = np.array([[[-2.0, 0.0, 6.0]]], np.float32)
    assert min_max(image).tolist() == [[[0.0, 0.25, 1.0]]]


def test_a_constant_image_becomes_zero() -> None:
    assert not min_max(np.full((2, 3, 4), 7.0, np.float32)).any()


def test_padding_is_zeros_at_the_end() -> None:
    image = padded(np.ones((16, 17, 5), np.float32))
    assert image.shape == (16, 32, 16)
    assert image[:, :17, :5].all()
    assert not image[:, 17:].any()
    assert not image[..., 5:].any()
