"""An SR-Reg as its authors released it: every layout it comes in, what is refused, what is gone on with."""

import json

import nibabel as nib
import numpy as np
import pytest
from phantom import head

from srreg.build import import_release as importing
from srreg.build.import_release import Importing, import_release
from srreg.build.publish import is_published
from srreg.build.reference import grid_of
from srreg.dataset import Dataset
from srreg.errors import DataError, UsageError
from srreg.subject import ImageRef

SHAPE = grid_of("quarter").shape
IDS = [f"1B{'ABC'[n % 3]}{n:03d}" for n in range(1, 8)]


def subject(number):
    made = head(IDS[number], number, shape=SHAPE)
    inside = made.brain.data > 0
    mr = np.where(inside, made.mr.data / made.mr.data[inside].max(), 0).clip(0, 1).astype(np.float32)
    ct = np.where(inside, made.ct.data / 80, 0).clip(0, 1).astype(np.float32)
    return mr, ct, made.labels.data


def save(path, array, affine=None):
    """As somebody else would: a header that says nothing of use, or is wrong."""
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(array, affine), path)


@pytest.fixture(scope="module")
def release_files():
    return [subject(n) for n in range(len(IDS))]


def write_release(root, files, volumes="vol", labels="seg"):
    for subject_id, (mr, ct, label_map) in zip(IDS, files, strict=True):
        save(root / volumes / f"{subject_id}_mr.nii.gz", mr)
        save(root / volumes / f"{subject_id}_ct.nii.gz", ct, np.diag([-3.0, 2, 1, 1]))
        save(root / labels / f"{subject_id}.nii.gz", label_map.astype(np.float64))
    return root


@pytest.fixture
def release(tmp_path, release_files):
    return write_release(tmp_path / "release", release_files)


def run(release, out, **settings):
    return import_release(Importing(release, out, **settings))


@pytest.mark.parametrize(
    ("volumes", "labels"),
    [("vol", "seg"), ("volumes_center", "seg_center"), ("seg/volumes_center", "seg/seg_center"), ("vol", ".")],
)
def test_each_layout_becomes_a_data_set_with_the_same_voxels(volumes, labels, release_files, tmp_path):
    release = write_release(tmp_path / "release", release_files, volumes, labels)
    report = run(release, tmp_path / "sr-reg")
    dataset = Dataset.open(tmp_path / "sr-reg")
    assert report.imported == dataset.subjects == tuple(sorted(IDS))
    for subject_id, (mr, ct, label_map) in zip(IDS, release_files, strict=True):
        assert np.array_equal(dataset.image(ImageRef(subject_id, "mr")).data, mr)
        assert np.array_equal(dataset.image(ImageRef(subject_id, "ct")).data, ct)
        assert np.array_equal(dataset.labels(subject_id).data, label_map)
        assert dataset.labels(subject_id).grid.matches(grid_of("quarter"))
        assert is_published(dataset.root, subject_id, deep=True)


def test_the_data_set_has_all_that_bench_reads(release, tmp_path):
    run(release, tmp_path / "sr-reg")
    dataset = Dataset.open(tmp_path / "sr-reg")
    assert len(dataset.digest) == 64
    assert [len(dataset.split(name)) for name in ("train", "val", "test")] == [3, 2, 2]
    assert len(dataset.pairs("test", "all")) == 2
    assert dataset.description["License"] == "CC-BY-NC-4.0"
    assert dataset.description["Simulated"] is False
    assert (dataset.root / "labels.tsv").is_file()
    lines = [json.loads(line) for line in (dataset.root / "manifest.jsonl").read_text().splitlines()]
    assert [(line["subject"], line["step"], line["status"]) for line in lines] == [(i, "import", "built") for i in sorted(IDS)]
    first = dataset.participants[0]
    assert (first.id, first.person, first.centre, first.status) == ("1BA003", "1BA003", "A", "built")
    brain = dataset.read("1BA003").brain
    assert np.array_equal(brain.data > 0, head("1BA003", 2, shape=SHAPE).brain.data > 0)


def test_an_image_in_other_units_is_brought_to_0_to_1(release, release_files, tmp_path):
    mr = release_files[0][0]
    save(release / "vol" / f"{IDS[0]}_mr.nii.gz", 700 * mr - 50)
    run(release, tmp_path / "sr-reg")
    found = Dataset.open(tmp_path / "sr-reg").image(ImageRef(IDS[0], "mr")).data
    np.testing.assert_allclose(found, mr, atol=1e-6)


def test_the_release_stays_as_it_is(release, tmp_path):
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in release.rglob("*.nii.gz")}
    run(release, tmp_path / "sr-reg")
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in release.rglob("*.nii.gz")} == before
    for inside in (release, release / "sr-reg"):
        with pytest.raises(UsageError, match="never written to"):
            Importing(release, inside)


def test_an_import_that_was_stopped_goes_on_to_the_same_files(release, tmp_path):
    def stop(name, done, total):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_release(Importing(release, tmp_path / "a"), importing=stop)
    half = Dataset.open(tmp_path / "a")
    assert [p.status for p in half.participants].count("pending") == 7  # as the lists were before
    report = run(release, tmp_path / "a")
    assert (len(report.imported), len(report.ready)) == (4, 3)
    run(release, tmp_path / "b")
    assert Dataset.open(tmp_path / "a").digest == Dataset.open(tmp_path / "b").digest
    assert run(release, tmp_path / "a").imported == ()


def test_a_damaged_subject_is_imported_again(release, tmp_path):
    run(release, tmp_path / "sr-reg")
    dataset = Dataset.open(tmp_path / "sr-reg")
    image = dataset.file(IDS[0], "mr")
    image.write_bytes(image.read_bytes()[:-9])
    assert run(release, tmp_path / "sr-reg").imported == (IDS[0],)
    assert is_published(dataset.root, IDS[0], deep=True)


def test_given_splits_are_taken_as_they_are(release, tmp_path):
    table = "person\tsplit\n" + "".join(f"{i}\t{('train', 'val', 'test')[n % 3]}\n" for n, i in enumerate(IDS))
    (tmp_path / "splits.tsv").write_text(table)
    run(release, tmp_path / "sr-reg", splits=tmp_path / "splits.tsv")
    dataset = Dataset.open(tmp_path / "sr-reg")
    assert dataset.split("val") == tuple(sorted(IDS[1::3]))
    assert (dataset.root / "splits" / "val.txt").read_text().startswith("# seed=-1 version=1 sha256=")
    assert run(release, tmp_path / "sr-reg").imported == ()
    assert Dataset.open(tmp_path / "sr-reg").split("val") == dataset.split("val")


# --- refusals: nothing is written then -----------------------------------------------------------------------------


def truncate(release, files):
    path = release / "vol" / f"{IDS[-1]}_ct.nii.gz"
    path.write_bytes(path.read_bytes()[:-8])


def not_whole(release, files):
    save(release / "seg" / f"{IDS[0]}.nii.gz", np.where(files[0][2] == 3, 2.9999, files[0][2]))


def unknown_label(release, files):
    save(release / "seg" / f"{IDS[0]}.nii.gz", np.where(files[0][2] == 3, 41, files[0][2]).astype(np.float32))


def no_label(release, files):
    save(release / "seg" / f"{IDS[0]}.nii.gz", np.zeros(SHAPE, np.float32))


def other_shape(release, files):
    save(release / "vol" / f"{IDS[0]}_ct.nii.gz", files[0][1][1:])


def no_known_shape(release, files):
    for ending, array in zip(("vol/{}_mr", "vol/{}_ct", "seg/{}"), files[0], strict=True):
        save(release / f"{ending.format(IDS[0])}.nii.gz", array[1:].astype(np.float32))


def without_labels(release, files):
    (release / "seg" / f"{IDS[0]}.nii.gz").unlink()


def without_ct(release, files):
    (release / "vol" / f"{IDS[0]}_ct.nii.gz").unlink()


def two_folders(release, files):
    save(release / "volumes_center" / f"{IDS[0]}_mr.nii.gz", files[0][0])


def no_folder(release, files):
    for path in (release / "vol").iterdir():
        path.unlink()


def bad_id(release, files):
    (release / "vol" / f"{IDS[0]}_mr.nii.gz").rename(release / "vol" / "-x;_mr.nii.gz")


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (truncate, r"_ct.nii.gz: was cut off"),
        (not_whole, r"1BB001.nii.gz: labels must be whole numbers .*, got \[2.9999\]"),
        (unknown_label, r"1BB001.nii.gz: unknown labels \[41\]"),
        (no_label, "1BB001.nii.gz: holds no label but 0"),
        (other_shape, r"_ct.nii.gz: expected the shape of the MR, \(48, 64, 48\), got \(47, 64, 48\)"),
        (no_known_shape, r"expected an array of shape \(176, 208, 192\) or .*, got \(47, 64, 48\)"),
        (without_labels, r"incomplete, without seg/1BB001.nii.gz"),
        (without_ct, r"incomplete, without vol/1BB001_ct.nii.gz"),
        (two_folders, r"expected one folder with <ID>_mr.nii.gz .*vol.*volumes_center"),
        (no_folder, r"expected one folder with <ID>_mr.nii.gz .*found none"),
        (bad_id, "cannot be a subject id"),
    ],
)
def test_a_release_that_cannot_be_used_is_refused_before_anything_is_written(harm, message, release, release_files, tmp_path):
    harm(release, release_files)
    with pytest.raises(DataError, match=message):
        run(release, tmp_path / "sr-reg")
    assert not (tmp_path / "sr-reg").exists()


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        run(tmp_path / "nowhere", tmp_path / "sr-reg")


def test_another_data_set_is_not_imported_into(release, tmp_path):
    run(release, tmp_path / "sr-reg")
    for path in release.rglob(f"{IDS[0]}*"):
        path.unlink()
    with pytest.raises(UsageError, match="holds another data set"):
        run(release, tmp_path / "sr-reg")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("person\tsplit\n1BB001\ttraining\n", "expected a person, a tab and train, val, test"),
        ("1BB001\ttrain\n1BB001\ttest\n", "1BB001 are in more than one line"),
        ("stranger\ttrain\n", "stranger are not among those to be split"),
        ("1BB001\ttrain\n", "1BA003, 1BA006, 1BB004, 1BB007, 1BC002 and 1 more have no split"),
    ],
)
def test_splits_that_cannot_be_are_refused_with_the_list(text, message, release, tmp_path):
    (tmp_path / "splits.tsv").write_text(text)
    with pytest.raises(DataError, match=message):
        run(release, tmp_path / "sr-reg", splits=tmp_path / "splits.tsv")
    assert not (tmp_path / "sr-reg").exists()


def test_other_splits_than_the_data_sets_are_refused(release, tmp_path):
    run(release, tmp_path / "sr-reg")
    (tmp_path / "splits.tsv").write_text("".join(f"{i}\ttest\n" for i in IDS))
    with pytest.raises(UsageError, match="other splits"):
        run(release, tmp_path / "sr-reg", splits=tmp_path / "splits.tsv")


def test_a_full_disk_is_said_before_anything_is_written(release, tmp_path, monkeypatch):
    class Usage:
        free = 10

    monkeypatch.setattr(importing.shutil, "disk_usage", lambda path: Usage)
    with pytest.raises(importing.NoRoom, match=r"GB are needed"):
        run(release, tmp_path / "sr-reg")
    assert not (tmp_path / "sr-reg" / "participants.tsv").exists()
