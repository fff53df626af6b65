"""The contrastive loss: by hand, against a slow transcription, and where classes are missing."""

import math

import pytest
import torch
from torch import Tensor

from models.contrastive import contrast
from models.losses import contrastive_loss, one_hot

SIZE = (3, 4, 5)  # of the embedding


def halves(classes: Tensor) -> Tensor:
    """One-hot [B, K, 2d, 2h, 2w] whose every second voxel is the given [B, d, h, w]; the others are class 0."""
    labels = torch.zeros(len(classes), *(2 * n for n in classes.shape[1:]), dtype=torch.long)
    labels[:, ::2, ::2, ::2] = classes
    return one_hot(labels, range(int(classes.max()) + 1))


def transcribed(
    moving: Tensor, fixed: Tensor, moving_labels: Tensor, fixed_labels: Tensor, keep: list[int], points: int, seed: int
) -> Tensor:
    """The description of the published loss, voxel by voxel, with float64 and for maps in which no class is missing."""
    generator = torch.Generator().manual_seed(seed)
    losses = []
    for item in range(len(moving)):
        voxels: list[list[tuple[int, Tensor]]] = []  # of the two images: class and unit feature of each foreground voxel
        for embedding, labels in ((moving[item], moving_labels[item]), (fixed[item], fixed_labels[item])):
            voxels.append([])
            for d, h, w in torch.cartesian_prod(*[torch.arange(n) for n in embedding.shape[1:]]).tolist():
                values = [float(labels[k, 2 * d, 2 * h, 2 * w]) for k in keep]
                if sum(values) == 1:
                    feature = embedding[:, d, h, w]
                    voxels[-1].append((values.index(1), feature / feature.square().sum().sqrt()))
        prototypes = []
        for k in range(len(keep)):
            first, second = (torch.stack([feature for own, feature in image if own == k]).mean(0) for image in voxels)
            mean = (first + second) / 2
            prototypes.append(mean / mean.square().sum().sqrt())
        terms = []
        for image in voxels:
            for index in torch.randperm(len(image), generator=generator)[:points].tolist():
                own, feature = image[index]
                logits = torch.stack([(feature * a).sum() / 0.25 for a in [prototypes[own], *prototypes]])
                terms.append(-(logits[0].exp() / logits.exp().sum()).log())
        losses.append(torch.stack(terms).mean())
    return torch.stack(losses).mean()


@pytest.mark.parametrize("points", [7, 10_000])
def test_it_agrees_with_a_slow_transcription_in_value_and_gradient(points: int) -> None:
    generator = torch.Generator().manual_seed(0)
    classes = torch.randint(0, 5, (2, 2, *SIZE), generator=generator)
    moving_labels, fixed_labels = halves(classes[0]), halves(classes[1])
    embeddings = torch.randn(2, 2, 3, *SIZE, generator=generator, dtype=torch.float64)
    moving, fixed, slow_moving, slow_fixed = (embeddings[k % 2].clone().requires_grad_() for k in range(4))

    keep = torch.tensor([False, True, True, False, True])
    draws = torch.Generator().manual_seed(5)
    loss = contrastive_loss(moving, fixed, moving_labels, fixed_labels, keep, points, draws)
    slow = transcribed(slow_moving, slow_fixed, moving_labels, fixed_labels, [1, 2, 4], points, seed=5)
    loss.backward()
    slow.backward()

    assert loss.item() == pytest.approx(slow.item(), abs=1e-12)
    for ours, theirs in ((moving, slow_moving), (fixed, slow_fixed)):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-9, atol=1e-12)
    assert moving.grad is not None
    assert moving.grad.abs().max() > 1e-4


def right_angles() -> tuple[Tensor, Tensor]:
    """Classes 0 and 1 of [1, 2, 2, 2] voxels, whose features point along the first and the second axis."""
    classes = torch.tensor([0, 0, 1, 1, 0, 1, 0, 1]).view(1, 2, 2, 2)
    embedding = torch.zeros(1, 3, 2, 2, 2)
    embedding[0, 0], embedding[0, 1] = 2.0 * (classes[0] == 0), 0.5 * (classes[0] == 1)
    return embedding, classes


def test_classes_at_right_angles_cost_what_one_computes_by_hand() -> None:
    """At a temperature of 0.25 the own class has a logit of 4, twice, and the other one 0."""
    embedding, classes = right_angles()
    labels = halves(classes)
    assert contrastive_loss(embedding, embedding, labels, labels).item() == pytest.approx(math.log(2 + math.exp(-4)))


def test_features_of_a_class_that_point_apart_meet_halfway() -> None:
    """Class 0 along the first axis here and along the third there: its own logit is 4 cos 45°; class 1 is as before."""
    embedding, classes = right_angles()
    labels = halves(classes)
    expected = (math.log(2 + math.exp(-4 * math.sqrt(0.5))) + math.log(2 + math.exp(-4))) / 2
    assert contrastive_loss(embedding, embedding.flip(1), labels, labels).item() == pytest.approx(expected)


def test_the_length_of_a_feature_does_not_matter() -> None:
    generator = torch.Generator().manual_seed(0)
    moving, fixed = torch.randn(2, 1, 3, *SIZE, generator=generator)
    labels = halves(torch.randint(0, 3, (1, *SIZE), generator=generator))
    longer = contrastive_loss(7 * moving, 0.1 * fixed, labels, labels)
    assert longer.item() == pytest.approx(contrastive_loss(moving, fixed, labels, labels).item(), abs=1e-6)


def test_a_class_that_one_image_lacks_is_left_out_and_counted() -> None:
    embedding, classes = right_angles()
    with_third = classes.clone()
    with_third[0, 0, 0, 0] = 2
    found = contrast(embedding, embedding, halves(with_third), torch.nn.functional.pad(halves(classes), [0] * 7 + [1]))
    assert found.left_out.item() == 1
    assert found.loss.item() == pytest.approx(math.log(2 + math.exp(-4)))


def test_a_class_that_halving_loses_is_one_that_is_missing() -> None:
    embedding, classes = right_angles()
    labels = halves(classes)
    lost = torch.zeros_like(labels[:, :1])
    moving, fixed = torch.cat([labels, lost], 1), torch.cat([labels, lost], 1)
    moving[0, 2, 0, 0, 0], moving[0, :2, 0, 0, 0] = 1, 0
    fixed[0, 2, 1, 1, 1], fixed[0, :2, 1, 1, 1] = 1, 0  # an odd voxel
    assert contrast(embedding, embedding, moving, fixed).left_out.item() == 1


def test_a_class_that_both_images_lack_is_not_missed() -> None:
    embedding, classes = right_angles()
    labels = torch.nn.functional.pad(halves(classes), [0] * 7 + [1])
    found = contrast(embedding, embedding, labels, labels)
    assert found.left_out.item() == 0
    assert found.loss.item() == pytest.approx(math.log(2 + math.exp(-4)))


@pytest.mark.parametrize("is_empty", [False, True])
def test_images_that_share_no_class_cost_nothing_and_have_gradients(is_empty: bool) -> None:
    embedding = torch.randn(1, 3, *SIZE).requires_grad_()
    moving, fixed = (torch.zeros(1, 2, *(2 * n for n in SIZE)) for _ in range(2))
    if not is_empty:
        moving[:, 0], fixed[:, 1] = 1, 1
    found = contrast(embedding, embedding, moving, fixed)
    found.loss.backward()
    assert found.loss.item() == 0
    assert found.left_out.item() == (0 if is_empty else 2)
    assert embedding.grad is not None
    assert not embedding.grad.any()


def test_an_item_whose_images_share_no_class_counts_as_zero_in_the_mean() -> None:
    embedding, classes = right_angles()
    labels = halves(classes)
    nothing = torch.cat([labels, torch.zeros_like(labels)])
    loss = contrastive_loss(embedding.repeat(2, 1, 1, 1, 1), embedding.repeat(2, 1, 1, 1, 1), nothing, nothing)
    assert loss.item() == pytest.approx(math.log(2 + math.exp(-4)) / 2)


def test_a_feature_of_no_length_gets_a_gradient_of_ordinary_size() -> None:
    embedding, classes = right_angles()
    embedding[0, :, 0, 0, 0] = 0
    embedding.requires_grad_()
    labels = halves(classes)
    contrastive_loss(embedding, embedding, labels, labels).backward()
    assert embedding.grad is not None
    assert 0 < embedding.grad.abs().max() < 10


def test_the_generator_decides_which_points_are_drawn() -> None:
    generator = torch.Generator().manual_seed(0)
    moving, fixed = torch.randn(2, 1, 3, *SIZE, generator=generator)
    labels = halves(torch.randint(0, 3, (1, *SIZE), generator=generator))
    one, same, other = (
        contrastive_loss(moving, fixed, labels, labels, points=5, generator=torch.Generator().manual_seed(seed)).item()
        for seed in (1, 1, 2)
    )
    assert one == same != other


def test_it_is_computed_in_single_precision_under_autocast() -> None:
    generator = torch.Generator().manual_seed(0)
    moving, fixed = torch.randn(2, 1, 3, *SIZE, generator=generator).bfloat16()
    labels = halves(torch.randint(0, 3, (1, *SIZE), generator=generator))
    expected = contrastive_loss(moving.float(), fixed.float(), labels, labels)
    with torch.autocast("cpu", torch.bfloat16):
        found = contrastive_loss(moving, fixed, labels, labels)
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(expected.item(), abs=1e-5)


def test_what_does_not_fit_is_refused() -> None:
    embedding, classes = right_angles()
    labels = halves(classes)
    with pytest.raises(ValueError, match="two embeddings of one shape"):
        contrastive_loss(embedding, embedding[:, :2], labels, labels)
    with pytest.raises(ValueError, match="twice the size of the embeddings"):
        contrastive_loss(embedding, embedding, labels[..., ::2], labels[..., ::2])
    with pytest.raises(ValueError, match="at least one point"):
        contrastive_loss(embedding, embedding, labels, labels, points=0)
    with pytest.raises(ValueError, match="mask of 2 classes"):
        contrastive_loss(embedding, embedding, labels, labels, keep=torch.tensor([True]))
