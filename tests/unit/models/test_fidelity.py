"""Every network computes what the authors' does: held against a transcription that shares no code with it."""

import math
from collections.abc import Iterator
from functools import cache

import pytest
import torch
from torch import Tensor
from transcription import ROWS, official_state, transcribe

import models

# Both leave Swin's windows partly empty: tokens 4x8x12 and 8x4x12 in windows of 5x6x7.
SHAPES = [(16, 32, 48), (32, 16, 48)]
TOLERANCE = 1e-4  # voxels; single precision alone is off by some 1e-5

# Where an implementation easily goes wrong, and a row that goes there.
SLIPS = {
    "fixed image first": "vm",
    "slope 0.01 in the U-Net": "vm",
    "average pooling in the U-Net": "vm",
    "trilinear upsampling in the U-Net": "vm",
    "skip first in the U-Net": "vm",
    "flow halved without aligned corners": "vm",
    "flow doubled without aligned corners": "vm",
    "values not halved with the grid": "vm",
    "values not doubled with the grid": "vm",
    "read-out halves late": "vm-feat",
    "one integration step less": "mm",
    "components of the field reversed": "mm",
    "border values go on outside": "mm",
    "slope 0.2 in the decoder": "mm-ori",
    "unbiased variance in the instance norm": "mm-ori",
    "padding not counted in the average pool": "mm-ori",
    "decoder upsampling with aligned corners": "mm-ori",
    "skip first in the decoder": "mm-ori",
    "skips not normalised": "mm-ori",
    "normalised features merged": "mm-ori",
    "neighbours merged in counting order": "mm-ori",
    "sines and cosines interleaved": "mm-ori",
    "positions of the last axis first": "mm-ori",
    "first axis scanned fastest": "mm-ori",
    "residual around Mamba": "mm-ori",
    "gate before the input": "mm-ori",
    "convolution sees ahead": "mm-ori",
    "no softplus": "mm-ori",
    "B and C swapped": "mm-ori",
    "exact hold of the input": "mm-ori",
    "no direct path past the state": "mm-ori",
    "no gate": "mm-ori",
    "approximate GELU": "tm",
    "window sides reversed": "tm",
    "rolled the other way": "tm",
    "padded tokens masked": "tm",
    "mask for another shift": "tm",
    "no mask": "tm",
    "key minus query": "tm",
    "bias counted from the last axis": "tm",
}

# Measured on the published code; buffers are not counted.
COUNTS = {
    "vm": 92_179,
    "vm-feat": 158_166,
    "tm": 14_287_299,
    "tm-feat": 14_572_371,
    "mm-ori": 7_305_459,
    "mm": 7_305_459,
    "mm-feat": 7_594_646,
}
_EXTRACTOR = {
    "feature_extractor.encoder": 7_376,
    "feature_extractor.decoder": 20_768,
    "feature_extractor.remaining": 20_768,
}
_READ_OUT = {"read_out_head": 4_115}
_UNET = {"unet_model.encoder": 21_664, "unet_model.decoder": 48_448, "unet_model.remaining": 20_768, "flow": 1_299}
_HYBRID = {
    "transformer.patch_embed": 12_576,
    "transformer.layers.0.downsample": 148_992,
    "transformer.layers.1.downsample": 592_896,
    "transformer.norm0": 192,
    "transformer.norm1": 384,
    "transformer.norm2": 768,
    "up1": 3_981_312,
    "up2": 995_328,
    "up3": 248_832,
    "up4": 34_560,
    "c1": 2_592,
    "c2": 864,
    "reg_head": 1_299,
}
_SWIN = {
    "transformer.layers.0.blocks": 2 * 116_700,
    "transformer.layers.1.blocks": 2 * 449_436,
    "transformer.layers.2.blocks": 4 * 1_783_608,
}
_MAMBA = {
    "transformer.layers.0.norm": 192,
    "transformer.layers.0.mamba": 68_160,
    "transformer.layers.1.norm": 384,
    "transformer.layers.1.mamba": 251_520,
    "transformer.layers.2.norm": 768,
    "transformer.layers.2.mamba": 963_840,
}
_WIDE = {"transformer.patch_embed": 196_896, "c1": 41_472, "c2": 13_824}  # on 32 channels of features
PARTS = {
    "vm": _UNET,
    "vm-feat": _UNET | _EXTRACTOR | _READ_OUT | {"unet_model.encoder": 34_624},
    "tm": _HYBRID | _SWIN,
    "tm-feat": _HYBRID | _SWIN | _EXTRACTOR | _WIDE,
    "mm-ori": _HYBRID | _MAMBA,
    "mm": _HYBRID | _MAMBA,
    "mm-feat": _HYBRID | _MAMBA | _EXTRACTOR | _READ_OUT | _WIDE,
}


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """Arrays are so small that threads wait for each other most of the time."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@cache
def images(shape: tuple[int, int, int]) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    moving, fixed = torch.rand(2, 1, 1, *shape, generator=generator, dtype=torch.float64)
    return moving, fixed


@cache
@torch.no_grad()
def truth(name: str, shape: tuple[int, int, int]) -> dict[str, Tensor]:
    return transcribe(name, official_state(name), *images(shape))


@torch.no_grad()
def ours(name: str, moving: Tensor, fixed: Tensor) -> dict[str, Tensor]:
    network = models.load_official(name, official_state(name)).to(moving.dtype).eval()
    out = network(moving, fixed, embed=ROWS[name].has_read_out)
    result = {"velocity": out.velocity, "displacement": out.displacement, "moved": out.moved}
    return result | ({"feature": torch.cat(out.embedding, dim=1)} if ROWS[name].has_read_out else {})


def furthest(result: dict[str, Tensor], expected: dict[str, Tensor]) -> dict[str, float]:
    """The largest difference of each part; a part of another shape, and nan, are infinitely far."""
    assert result.keys() == expected.keys()
    return {part: _furthest(result[part], expected[part]) for part in expected}


def _furthest(result: Tensor, expected: Tensor) -> float:
    difference = (result - expected).abs().max().item() if result.shape == expected.shape else math.nan
    return math.inf if math.isnan(difference) else difference


@pytest.mark.parametrize("name", ROWS)
def test_a_network_has_as_many_parameters_as_the_authors(name: str) -> None:
    assert sum(parameter.numel() for parameter in models.create(name).parameters()) == COUNTS[name]


@pytest.mark.parametrize("name", ROWS)
def test_each_part_has_as_many_parameters_as_the_authors(name: str) -> None:
    sizes = {key: value.numel() for key, value in official_state(name).items()}
    found = {part: sum(size for key, size in sizes.items() if key.startswith(f"{part}.")) for part in PARTS[name]}
    assert found == PARTS[name]
    assert sum(found.values()) == sum(sizes.values()) == COUNTS[name]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", ROWS)
def test_the_algorithm_is_the_authors(name: str, shape: tuple[int, int, int]) -> None:
    assert max(furthest(ours(name, *images(shape)), truth(name, shape)).values()) < 1e-9


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", ROWS)
def test_single_precision_costs_less_than_a_ten_thousandth_of_a_voxel(name: str, shape: tuple[int, int, int]) -> None:
    moving, fixed = (image.float() for image in images(shape))
    assert max(furthest(ours(name, moving, fixed), truth(name, shape)).values()) < TOLERANCE


@pytest.mark.parametrize("name", ["vm", "tm", "mm"])
def test_a_batch_is_registered_pair_by_pair(name: str) -> None:
    moving, fixed = (image.float() for image in images(SHAPES[0]))
    together = ours(name, torch.cat([moving, fixed]), torch.cat([fixed, moving]))
    back = transcribe(name, official_state(name), fixed, moving)
    expected = {part: torch.cat([value, back[part]]) for part, value in truth(name, SHAPES[0]).items()}
    assert max(furthest(together, expected).values()) < TOLERANCE


@pytest.mark.parametrize("name", ROWS)
def test_the_field_that_is_compared_moves_the_image(name: str) -> None:
    displacement = truth(name, SHAPES[0])["displacement"]
    assert 1 < displacement.abs().max() < 8
    assert (displacement.std(dim=(0, 2, 3, 4)) > 0.1).all()


@pytest.mark.parametrize("name", ["vm", "tm", "mm-feat"])
def test_every_parameter_plays_a_part_in_what_is_compared(name: str) -> None:
    state = {key: value.requires_grad_() for key, value in official_state(name).items()}
    result = transcribe(name, state, *(image.float() for image in images(SHAPES[0])))
    sum(part.square().mean() for part in result.values()).backward()
    assert [key for key, value in state.items() if not value.grad.norm() * value.norm() > 1e-3] == []


@pytest.mark.parametrize(("slip", "name"), SLIPS.items())
@torch.no_grad()
def test_the_comparison_would_notice(slip: str, name: str) -> None:
    moving, fixed = (image.float() for image in images(SHAPES[0]))
    wrong = transcribe(name, official_state(name), moving, fixed, slip)
    assert max(furthest(wrong, truth(name, SHAPES[0])).values()) > 10 * TOLERANCE
