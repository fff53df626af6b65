from dataclasses import replace

import numpy as np
import pytest
import torch
from phantom import write_dataset
from scipy import ndimage

from benchmark.training.augmentation import bent, grey_varied, joined, with_known_fields
from benchmark.training.draw import TrainingPairs
from benchmark.training.pairs import SubjectArrays
from benchmark.training.profiles import PROFILES
from models.training_settings import Batch, TrainingSettings

SHAPE = (16, 24, 32)


def batch(seed=0):
    """Images that show their labels, smoothly."""
    labels = torch.from_numpy((np.random.default_rng(seed).random((1, *SHAPE)) > 0.5).astype(np.int16))
    labels = torch.from_numpy(ndimage.grey_dilation(labels[0].numpy(), 5)[None]) * 3
    return Batch(labels[:, None].float(), labels[:, None].float(), labels, labels)


def drawn(seed):
    return torch.Generator().manual_seed(seed)


def test_an_image_and_its_labels_are_bent_alike():
    made = bent(batch(), 1.0, drawn(0))
    for image, labels in ((made.moving, made.moving_labels), (made.fixed, made.fixed_labels)):
        assert (torch.round(image[:, 0] / 3) * 3 == labels).float().mean() > 0.99
    assert (made.moving_labels != batch().moving_labels).float().mean() > 0.01
    assert (made.moving_labels != made.fixed_labels).float().mean() > 0.01  # each by a field of its own


def test_labels_stay_labels_of_their_own_type():
    made = bent(batch(), 2.0, drawn(0))
    assert made.moving_labels.dtype == torch.int16
    assert set(made.moving_labels.unique().tolist()) <= {0, 3}


def test_no_amplitude_bends_nothing():
    made = bent(batch(), 0.0, drawn(0))
    torch.testing.assert_close(made.moving, batch().moving)
    assert torch.equal(made.fixed_labels, batch().fixed_labels)


def test_the_same_generator_bends_alike():
    first, again, other = (bent(batch(), 1.0, drawn(seed)) for seed in (0, 0, 1))
    assert torch.equal(first.moving, again.moving)
    assert not torch.equal(first.moving, other.moving)


def test_two_batches_are_joined_in_order():
    both = joined(batch(0), batch(1))
    assert torch.equal(both.fixed[1], batch(1).fixed[0])
    assert both.moving_labels.shape == (2, *SHAPE)


def test_both_ways_are_one_pair_and_its_reverse(tmp_path):
    dataset = write_dataset(tmp_path)
    arrays = SubjectArrays(dataset)
    once, twice = (TrainingPairs(arrays, dataset.split("train"), 3, both_ways=way) for way in (False, True))
    pair, both = once(5), twice(5)
    assert torch.equal(both.moving[:1], pair.moving)
    assert torch.equal(both.moving_labels[1], pair.fixed_labels[0])
    assert torch.equal(both.fixed_labels[1], pair.moving_labels[0])


def test_a_number_always_gives_the_same_batch_bent_or_not(tmp_path):
    dataset = write_dataset(tmp_path)
    pairs = TrainingPairs(SubjectArrays(dataset), dataset.split("train"), 0, both_ways=True, bend_voxels=1.0)
    assert torch.equal(pairs(7).moving, pairs(7).moving)
    assert not torch.equal(pairs(7).moving, pairs(8).moving)


def test_the_published_profiles_change_nothing_of_the_authors_recipe():
    for name in ("standard", "paper"):
        profile = PROFILES[name]
        assert (profile.epochs, profile.steps_per_epoch, profile.learning_rate) == (100, 150, 1e-4)
        assert (profile.schedule, profile.both_ways, profile.bend_voxels) == ("constant", False, 0.0)
        assert profile.second_moment_decay == 0.999
        assert profile.gradient_norm_limit == 0.0
        assert profile.precision_on("cpu") == "fp32"
    assert PROFILES["paper"].precision_on("cuda:1") == "fp16"


def test_a_cosine_schedule_falls_from_the_rate_to_zero():
    settings = TrainingSettings(labels=(2,), epochs=1, steps_per_epoch=1, learning_rate=0.4, schedule="cosine")
    assert [settings.learning_rate_at(done) for done in (0, 0.5, 1)] == pytest.approx([0.4, 0.2, 0])
    constant = TrainingSettings(labels=(2,), epochs=1, steps_per_epoch=1, learning_rate=0.4)
    assert constant.learning_rate_at(0.7) == 0.4


def test_a_known_field_leads_from_each_bent_fixed_image_to_the_moving_one():
    made = with_known_fields(batch(), 1.0, drawn(0))
    assert made.displacement is not None
    assert 0.3 < float(made.displacement.std()) < 1.0  # knots of 1, lower between them
    back = ndimage.map_coordinates(
        made.moving[0, 0].numpy(), np.indices(SHAPE) + made.displacement[0].numpy(), order=1, mode="nearest"
    )
    inner = (slice(3, -3),) * 3  # at the border the two have conventions of their own
    np.testing.assert_allclose(made.fixed[0, 0].numpy()[inner], back[inner], atol=1e-4)
    assert torch.equal(made.moving, batch().moving)


def test_grey_values_vary_and_the_background_and_the_labels_do_not():
    given = batch()
    given = replace(given, moving=given.moving / 4, fixed=given.fixed / 4)
    made = grey_varied(given, 0.5, drawn(0))
    for image, before in ((made.moving, given.moving), (made.fixed, given.fixed)):
        assert (image[before == 0] == 0).all()
        assert 0.02 < float((image - before)[before > 0].abs().mean()) < 0.5
    assert not torch.equal(made.moving, made.fixed)  # each in its own way
    assert torch.equal(made.moving_labels, given.moving_labels)
    torch.testing.assert_close(grey_varied(given, 0.0, drawn(0)).moving, given.moving)


def test_the_first_batches_are_of_people_to_themselves_and_know_their_fields(tmp_path):
    dataset = write_dataset(tmp_path)
    arrays, people = SubjectArrays(dataset), dataset.split("train")
    pairs = TrainingPairs(arrays, people, 0, both_ways=True, bend_voxels=1.0, grey_variation=0.5, known_fields=3)
    plain = TrainingPairs(arrays, people, 0, both_ways=True)
    assert [pairs(number).displacement is None for number in range(5)] == [False, False, False, True, True]
    assert torch.equal(pairs(2).moving_labels, plain(2).moving_labels)  # the same two people, now to themselves
    for k in range(2):
        alike = (pairs(2).moving_labels[k] == pairs(2).fixed_labels[k]).float().mean()
        assert alike > (plain(2).moving_labels[k] == plain(2).fixed_labels[k]).float().mean()
