"""One pair of a person's own images: which weights are taken, and what is refused."""

import json
import pickle

import pytest
from made_up_methods import MadeUp
from own_pairs import FIXED_SHAPE, as_it_is, images, smooth
from phantom import AFFINES

from benchmark.own_pair.own_images import OwnPair
from models import checkpoint
from models.variants import build, configure
from srreg import io
from srreg.errors import BackendUnavailable, DataError, FolderBusy, GeometryError, UnknownName, UsageError
from srreg.files import sha256, write_json
from srreg.volume import Volume


def trained(runs, seed, status="finished", method="voxelmorph"):
    folder = runs / "weights" / method / f"seed{seed}"
    network = build(configure(method))
    checkpoint.save(folder / "weights.safetensors", network, configure(method))
    write_json(folder / "training.json", {"status": status})
    return folder / "weights.safetensors"


def test_the_newest_finished_weights_of_the_method_are_taken(tmp_path):
    runs = tmp_path / "runs"
    trained(runs, 0)
    newest = trained(runs, 1)
    trained(runs, 2, status="running")
    as_it_is("voxelmorph", images(tmp_path), tmp_path / "out", runs=runs)
    record = json.loads((tmp_path / "out" / "registration.json").read_text())
    assert record["weights"]["sha256"] == sha256(newest)


def test_without_weights_the_line_to_type_is_said(tmp_path):
    with pytest.raises(BackendUnavailable, match="bench train --method voxelmorph"):
        as_it_is("voxelmorph", images(tmp_path), tmp_path / "out", runs=tmp_path / "runs")
    assert not (tmp_path / "out").exists()


class Canary:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_a_crafted_pickle_as_weights_is_refused_and_runs_nothing(tmp_path):
    (tmp_path / "w.pt").write_bytes(pickle.dumps({"model_state": Canary(tmp_path / "canary")}))
    with pytest.raises(DataError):
        as_it_is("voxelmorph", images(tmp_path), tmp_path / "out", weights=tmp_path / "w.pt")
    assert not (tmp_path / "canary").exists()
    assert not list((tmp_path / "out").glob("*.nii.gz"))


def test_weights_of_another_network_are_refused(tmp_path):
    other = trained(tmp_path, 0, method="voxelmorph-features")
    with pytest.raises(DataError):
        as_it_is("voxelmorph", images(tmp_path), tmp_path / "out", weights=other)


def test_weights_for_a_method_that_learns_nothing_are_refused(tmp_path):
    with pytest.raises(UsageError, match="initial learns nothing"):
        as_it_is("initial", images(tmp_path), tmp_path / "out", weights=tmp_path / "w")


def test_a_result_never_takes_an_inputs_place(tmp_path):
    pair = images(tmp_path)
    moving = pair.moving.rename(tmp_path / "moved.nii.gz")
    before = moving.read_bytes()
    with pytest.raises(UsageError, match="would be overwritten"):
        as_it_is("initial", OwnPair(moving, pair.fixed), tmp_path)
    assert moving.read_bytes() == before


def test_a_sheared_grid_is_refused(tmp_path):
    pair = images(tmp_path)
    sheared = AFFINES["RAS"].copy()
    sheared[0, 1] = 0.4
    io.write_volume(pair.fixed, Volume(smooth(FIXED_SHAPE, 1), sheared))
    with pytest.raises(GeometryError, match=r"fixed.nii.gz: .*sheared"):
        as_it_is("initial", pair, tmp_path / "out")


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_images_that_lie_beside_one_another_are_refused(axis, tmp_path):
    pair = images(tmp_path)
    moving = io.read_volume(pair.moving)
    away = moving.affine.copy()
    away[axis, 3] += 100
    io.write_volume(pair.moving, Volume(moving.data, away))
    with pytest.raises(GeometryError, match="the two images do not overlap"):
        as_it_is("initial", pair, tmp_path / "out")
    assert not (tmp_path / "out" / "moved.nii.gz").exists()


def test_a_truncated_image_is_refused(tmp_path):
    pair = images(tmp_path)
    pair.moving.write_bytes(pair.moving.read_bytes()[:-8])
    with pytest.raises(DataError, match=r"moving.nii.gz: was cut off"):
        as_it_is("initial", pair, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_unknown_method_and_a_folder_in_use_are_refused(tmp_path):
    import filelock

    pair = images(tmp_path)
    with pytest.raises(UnknownName, match="Did you mean 'voxelmorph'"):
        as_it_is("voxelmorf", pair, tmp_path / "out")
    (tmp_path / "out").mkdir()
    with filelock.FileLock(tmp_path / "out" / ".lock"), pytest.raises(FolderBusy):
        as_it_is("initial", pair, tmp_path / "out")


def test_a_method_that_breaks_leaves_no_image(tmp_path):
    with pytest.raises(RuntimeError, match="out of luck"):
        as_it_is(MadeUp("broken", breaks_at=1), images(tmp_path), tmp_path / "out")
    assert {p.name for p in (tmp_path / "out").iterdir()} <= {".lock"}
