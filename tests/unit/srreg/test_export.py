"""A data set in other tools' layouts, read back as those tools read them."""

import json
import pickle
import subprocess
import sys
from collections import Counter

import filelock
import nibabel as nib
import numpy as np
import pytest
from phantom import write_dataset
from scipy import ndimage

from srreg.build.import_release import Importing, import_release
from srreg.build.reference import grid_of
from srreg.dataset import Dataset
from srreg.errors import FolderBusy, UnknownName, UsageError
from srreg.export.registry import LAYOUTS
from srreg.files import read_json, read_tsv, write_json
from srreg.labels import SCORED
from srreg.subject import ImageRef

SHAPE = (48, 64, 48)  # one of the data set's own, so that an import takes it


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    made = write_dataset(tmp_path_factory.mktemp("export") / "sr-reg", subjects=6, shape=SHAPE)
    description = read_json(made.root / "dataset_description.json")
    write_json(made.root / "dataset_description.json", description | {"License": "CC0-1.0", "Simulated": True})
    return Dataset.open(made.root)


def export(layout, dataset, out, tell=None):
    LAYOUTS.load(layout)(dataset, out, tell)
    return out


@pytest.fixture(scope="module")
def learn2reg(dataset, tmp_path_factory):
    return export("learn2reg", dataset, tmp_path_factory.mktemp("l2r") / "SRReg")


# --- MambaMorph ----------------------------------------------------------------------------------------------------


def test_the_authors_loader_finds_float_volumes_in_the_data_sets_order(dataset, tmp_path):
    out = export("mambamorph", dataset, tmp_path / "out")
    for subject_id in dataset.subjects:
        for name, expected in (
            (f"vol/{subject_id}_mr", dataset.image(ImageRef(subject_id, "mr")).data),
            (f"vol/{subject_id}_ct", dataset.image(ImageRef(subject_id, "ct")).data),
            (f"seg/{subject_id}", dataset.labels(subject_id).data),
        ):
            image = nib.load(out / f"{name}.nii.gz")
            assert image.get_data_dtype() == np.float32
            assert np.array_equal(image.get_fdata(), expected)


def test_the_lists_are_text_and_the_test_list_gives_the_papers_pairs(dataset, tmp_path):
    out = export("mambamorph", dataset, tmp_path / "out")
    for name in ("train", "val", "test"):
        assert (out / f"{name}_subj.txt").read_text().split() == list(dataset.split(name))
    assert not [path for path in out.rglob("*") if path.suffix in (".pkl", ".pt", ".npz")]


def test_the_line_of_the_readme_makes_the_lists_their_scripts_read(dataset, tmp_path):
    out = export("mambamorph", dataset, tmp_path / "out")
    text = (out / "README.txt").read_text()
    line = text[text.index("    python -c") : text.index("`srreg import")].replace("python", sys.executable, 1)
    subprocess.run(["bash", "-c", line], cwd=out, check=True, timeout=60)
    for name in ("train", "val", "test"):
        assert pickle.loads((out / f"{name}_subj_v2.pkl").read_bytes()) == list(dataset.split(name))


def test_an_export_comes_back_as_the_same_data_set(dataset, tmp_path):
    out = export("mambamorph", dataset, tmp_path / "out")
    import_release(Importing(out, tmp_path / "back", out / "splits.tsv"))
    back = Dataset.open(tmp_path / "back")
    assert back.subjects == dataset.subjects
    for subject_id in dataset.subjects:
        one, other = dataset.read(subject_id), back.read(subject_id)
        for kind in ("mr", "ct", "brain", "labels"):
            assert np.array_equal(getattr(one, kind).data, getattr(other, kind).data)
        assert other.mr.grid.matches(grid_of("quarter"))
    assert all(back.split(name) == dataset.split(name) for name in ("train", "val", "test"))
    assert [pair.id for pair in back.pairs("test", "all")] == [pair.id for pair in dataset.pairs("test", "all")]
    assert (back.description["License"], back.description["Simulated"]) == ("CC0-1.0", True)


# --- Learn2Reg -----------------------------------------------------------------------------------------------------


def configs(out):
    return [read_json(out / f"SRReg_{split}_evaluation_config.json") for split in ("VAL", "TEST")]


def test_the_evaluation_finds_every_file_by_its_own_rules(learn2reg):
    for config in configs(learn2reg):
        assert config["eval_pairs"]
        for pair in config["eval_pairs"]:
            # The number is at [-16:-12], the modality at [-11:-7]; the short name of a field needs 0000 fixed, 0001 moving.
            assert (pair["fixed"][-11:-7], pair["moving"][-11:-7]) == ("0000", "0001")
            assert pair["fixed"][-16:-12] != pair["moving"][-16:-12]
            for image in pair.values():
                assert (learn2reg / image).is_file()
                assert (learn2reg / image.replace("images", "labels")).is_file()


def test_the_evaluation_scores_a_shift_as_it_should(dataset, learn2reg):
    """The published steps: sample the moving labels at identity plus field, order 0; Dice over the listed labels."""
    config = configs(learn2reg)[1]
    pair = config["eval_pairs"][0]
    fixed, moving = (nib.load(learn2reg / pair[k].replace("images", "labels")).get_fdata() for k in ("fixed", "moving"))
    field = np.zeros(config["expected_shape"])
    field[..., 1] = 2
    identity = np.meshgrid(*map(np.arange, fixed.shape), indexing="ij")
    warped = ndimage.map_coordinates(moving, identity + field.transpose(3, 0, 1, 2), order=0)
    assert np.array_equal(warped[:, :-2], moving[:, 2:])
    methods = {method["metric"]: method.get("labels") for method in config["evaluation_methods"]}
    assert methods == {"sdlogj": None, "dice": list(SCORED), "hd95": list(SCORED)}


def test_images_lie_in_the_folder_of_their_split_under_their_number(dataset, learn2reg):
    rows = read_tsv(learn2reg / "subjects.tsv", ("number", "participant_id", "split"))
    assert [row["participant_id"].removeprefix("sub-") for row in rows] == list(dataset.subjects)
    for row in rows:
        subject_id = row["participant_id"].removeprefix("sub-")
        ending = "Ts" if subject_id in dataset.split("test") else "Tr"
        for channel, modality in (("0000", "ct"), ("0001", "mr")):
            name = f"SRReg_{row['number']}_{channel}.nii.gz"
            image, labels = (nib.load(learn2reg / f"{kind}{ending}" / name) for kind in ("images", "labels"))
            assert np.array_equal(image.get_fdata(), dataset.image(ImageRef(subject_id, modality)).data)
            assert np.array_equal(labels.get_fdata(), dataset.labels(subject_id).data)


def test_the_task_describes_what_is_there(dataset, learn2reg):
    task = read_json(learn2reg / "SRReg_dataset.json")
    listed = [entry["image"] for entry in (*task["training"], *task["test"])]
    there = sorted(f"./{path.relative_to(learn2reg)}" for path in learn2reg.glob("images*/*"))
    assert sorted(listed) == there
    assert (task["numTraining"], task["numTest"]) == (8, 4)
    assert task["numRegistration_val"] == len(task["registration_val"]) == 2
    assert task["registration_test"] == configs(learn2reg)[1]["eval_pairs"]
    assert [*task["tensorImageShape"]["0"], 3] == configs(learn2reg)[0]["expected_shape"]
    assert (task["registration_direction"], task["modality"]) == ({"fixed": 0, "moving": 1}, {"0": "CT", "1": "MR"})


# --- both ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", list(LAYOUTS))
def test_an_export_that_was_stopped_goes_on_to_the_same_bytes(layout, dataset, tmp_path):
    def stop(subject_id, done, total):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export(layout, dataset, tmp_path / "a", stop)
    assert json.loads((tmp_path / "a" / "export.json").read_text())["status"] == "running"
    told = Counter()
    export(layout, dataset, tmp_path / "a", lambda name, done, total: told.update([total]))
    export(layout, dataset, tmp_path / "b")
    trees = [
        {p.relative_to(root): p.read_bytes() for p in root.rglob("*") if p.is_file()}
        for root in (tmp_path / "a", tmp_path / "b")
    ]
    assert trees[0] == trees[1]
    assert told == {6: 6}


@pytest.mark.parametrize("layout", list(LAYOUTS))
def test_the_data_set_stays_as_it_is(layout, dataset, tmp_path):
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in dataset.root.rglob("*") if path.is_file()}
    export(layout, dataset, tmp_path / "out")
    after = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in dataset.root.rglob("*") if path.is_file()}
    assert after == before


def test_a_folder_of_something_else_is_not_written_to(dataset, learn2reg, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("all of it")
    with pytest.raises(UsageError, match="is not empty, and holds no export"):
        export("learn2reg", dataset, tmp_path / "mine")
    with pytest.raises(UsageError, match=r"an export of another layout \(learn2reg\)"):
        export("mambamorph", dataset, learn2reg)
    with pytest.raises(UsageError, match="lies in the data set"):
        export("learn2reg", dataset, dataset.root / "out")
    with pytest.raises(UnknownName, match="Did you mean 'learn2reg'"):
        LAYOUTS.load("learn2red")


def test_a_folder_that_is_in_use_is_not_written_to(dataset, tmp_path):
    (tmp_path / "out").mkdir()
    with filelock.FileLock(tmp_path / "out" / ".lock"), pytest.raises(FolderBusy, match="another export"):
        export("mambamorph", dataset, tmp_path / "out")
