from dataclasses import dataclass

import numpy as np
import pytest
from phantom import head

from benchmark.method import METHODS, TRAINABLE, MethodContext
from models.variants import ALIASES
from srreg.displacement import Displacement
from srreg.errors import UnknownName
from srreg.volume import Volume


@pytest.fixture(scope="module")
def images():
    """A moving MR and a fixed CT of two people, skull-stripped, in [0, 1]."""
    one, other = head(seed=0), head("1BA002", seed=1)
    mr = np.where(one.brain.data > 0, one.mr.data / 130, 0).clip(0, 1)
    ct = np.where(other.brain.data > 0, other.ct.data / 80, 0).clip(0, 1)
    return Volume(mr, one.mr.affine), Volume(ct, other.ct.affine)


@pytest.fixture(scope="module", params=list(METHODS))
def method(request, tmp_path_factory, images):
    """Each method, prepared; one that learns has random weights."""
    weights = _random_weights(request.param, tmp_path_factory.mktemp("weights")) if request.param in TRAINABLE else None
    made = METHODS.load(request.param)(MethodContext(weights, images[1].grid))
    assert made.check() == []
    made.prepare("cpu")
    return made


def _random_weights(name, folder):
    import torch

    from models import checkpoint, create
    from models.variants import configure

    torch.manual_seed(0)
    network = create(name)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    checkpoint.save(folder / "weights.safetensors", network, configure(name))
    return folder / "weights.safetensors"


@dataclass
class Once:
    field: Displacement
    digests: tuple[str, str]


@pytest.fixture(scope="module")
def registered(method, images):
    """A field, and what the images were before."""
    digests = tuple(Volume(image.data.copy(), image.affine).digest for image in images)
    return Once(method.register(*images), digests)


def test_a_method_gives_a_finite_field_on_the_fixed_grid(registered, images):
    assert registered.field.grid.matches(images[1].grid)
    assert np.isfinite(registered.field.data).all()


def test_a_method_gives_the_same_field_again(method, registered, images):
    np.testing.assert_array_equal(method.register(*images).data, registered.field.data)


def test_a_method_leaves_its_input_as_it_was(registered, images):
    assert tuple(Volume(image.data.copy(), image.affine).digest for image in images) == registered.digests


def test_a_method_says_its_name_and_whether_it_has_learned(method):
    assert method.name in METHODS
    assert (method.parameters is not None) == (method.name in TRAINABLE)


def test_the_affine_initialization_is_the_zero_field(images):
    assert not METHODS.load("initial")(MethodContext()).register(*images).data.any()


def test_all_is_every_method_of_the_paper_in_the_order_of_the_tables():
    assert METHODS.select("all") == [
        "initial",
        "syn",
        "voxelmorph",
        "voxelmorph-features",
        "transmorph",
        "transmorph-features",
        "mambamorph-original",
        "mambamorph-plain",
        "mambamorph",
    ]
    assert METHODS.select("mm-feat,vm,initial") == ["initial", "voxelmorph", "mambamorph"]
    assert METHODS.select("transmorph*") == ["transmorph", "transmorph-features"]
    assert METHODS.select("syn*") == METHODS.select("syn-tuned,syn") == ["syn", "syn-tuned"]


def test_the_authors_names_are_those_of_the_networks():
    assert {name: METHODS.resolve(name) for name in ALIASES} == ALIASES


def test_a_wrong_name_is_answered_with_the_nearest():
    with pytest.raises(UnknownName, match="Did you mean 'voxelmorph'"):
        METHODS.select("voxelmorf")


def test_methods_that_learn_are_methods():
    assert set(METHODS) >= TRAINABLE
