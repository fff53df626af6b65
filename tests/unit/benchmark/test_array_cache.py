"""The uncompressed copies that training reads: true to the images, whole or not at all, never stale."""

import errno
import multiprocessing
import os
import pickle
import time

import numpy as np
import pytest
import torch
from phantom import write_dataset

from benchmark.training import array_cache
from benchmark.training.array_cache import LEVELS, ArrayCache
from benchmark.training.pairs import SubjectArrays
from srreg import io
from srreg.dataset import Dataset, file_of
from srreg.errors import DataError, NoRoom
from srreg.files import read_json, write_json, write_text
from srreg.subject import ImageRef
from srreg.volume import LabelMap, Volume

SHAPE = (12, 14, 10)


@pytest.fixture
def dataset(tmp_path):
    return write_dataset(tmp_path / "sr-reg", subjects=4, shape=SHAPE)


def folder_of(dataset):
    return dataset.root / ".arrays"


def same(one, other):
    return all(np.array_equal(getattr(one, part), getattr(other, part)) for part in ("mr", "ct", "labels"))


@pytest.fixture
def no_images(monkeypatch):
    """A function after which compressed images cannot be read any more."""

    def close():
        def closed(path):
            raise AssertionError(f"{path} was read")

        monkeypatch.setattr(io, "read_volume", closed)
        monkeypatch.setattr(io, "read_labels", closed)

    return close


def test_an_image_in_0_to_1_is_kept_to_less_than_a_ten_thousandth(dataset):
    rng = np.random.default_rng(0)
    image = np.pad(rng.random((10, 12, 8)), 1)
    image[3, 4, 5] = 1
    io.write_volume(file_of(dataset.root, "1BA001", "mr"), Volume(image, np.eye(4)))
    batch = SubjectArrays(dataset).batch("1BA001", "1BA002")
    found = batch.moving[0, 0, :12, :14, :10].numpy()
    error = np.abs(found - image).max()
    assert error < 1e-4
    assert error <= 0.5 / LEVELS * 1.01
    assert found[0, 0, 0] == 0
    assert found[3, 4, 5] == 1


def test_arrays_are_padded_with_zeros_at_their_ends(dataset):
    arrays = ArrayCache(dataset).of("1BA001")
    assert arrays.mr.shape == arrays.ct.shape == arrays.labels.shape == (16, 16, 16)
    assert np.array_equal(arrays.labels[:12, :14, :10], dataset.labels("1BA001").data)
    assert not arrays.labels[12:].any()
    assert arrays.labels.dtype == np.uint8


def test_the_second_time_no_image_is_read(dataset, no_images):
    first = ArrayCache(dataset).of("1BA001")
    no_images()
    assert same(ArrayCache(dataset).of("1BA001"), first)
    assert isinstance(ArrayCache(dataset).of("1BA001").mr, np.memmap)


def tensors(batch):
    return batch.moving, batch.fixed, batch.moving_labels, batch.fixed_labels


def test_a_batch_may_be_changed_and_the_cache_stays(dataset):
    arrays = SubjectArrays(dataset)
    before = [tensor.clone() for tensor in tensors(arrays.batch("1BA001", "1BA002"))]
    for tensor in tensors(arrays.batch("1BA001", "1BA002")):
        tensor.fill_(7)
    assert all(map(torch.equal, before, tensors(arrays.batch("1BA001", "1BA002"))))
    assert all(map(torch.equal, before, tensors(SubjectArrays(dataset).batch("1BA001", "1BA002"))))


class Canary:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def truncate(folder):
    path = folder / "1BA001.ct.npy"
    path.write_bytes(path.read_bytes()[:-7])


def flip_a_bit(folder):
    path = folder / "1BA001.mr.npy"
    content = bytearray(path.read_bytes())
    content[-3000] ^= 4
    path.write_bytes(content)


def remove_the_note(folder):
    (folder / "1BA001.json").unlink()


def spoil_the_note(folder):
    (folder / "1BA001.json").write_text("{")


def empty_the_note(folder):
    write_json(folder / "1BA001.json", {})


def swap_two_files(folder):
    mr, ct = folder / "1BA001.mr.npy", folder / "1BA001.ct.npy"
    content = mr.read_bytes()
    mr.write_bytes(ct.read_bytes())
    ct.write_bytes(content)


def put_objects(folder):
    (folder / "1BA001.mr.npy").write_bytes(pickle.dumps(Canary(folder.parent / "canary")))
    np.save(folder / "1BA001.ct.npy", np.array([Canary(folder.parent / "canary")], dtype=object), allow_pickle=True)


def raise_the_format(folder):
    note = read_json(folder / "1BA001.json")
    write_json(folder / "1BA001.json", note | {"format": 0})


@pytest.mark.parametrize(
    "harm",
    [
        truncate,
        flip_a_bit,
        remove_the_note,
        spoil_the_note,
        empty_the_note,
        swap_two_files,
        put_objects,
        raise_the_format,
    ],
)
def test_a_harmed_entry_is_made_again(harm, dataset):
    first = ArrayCache(dataset).of("1BA001")
    mr = np.array(first.mr)
    harm(folder_of(dataset))
    mended = ArrayCache(dataset).of("1BA001")
    assert np.array_equal(mended.mr, mr)
    assert not (dataset.root / "canary").exists()


def test_a_subject_that_was_built_anew_gets_new_arrays(dataset):
    before = ArrayCache(dataset).of("1BA001")
    old = np.array(before.mr)
    image = dataset.image(ImageRef("1BA001", "mr"))
    io.write_volume(file_of(dataset.root, "1BA001", "mr"), Volume(np.sqrt(image.data), image.affine))
    write_json(file_of(dataset.root, "1BA001", "labels", ".json"), {"SubjectKey": "another"})
    after = ArrayCache(dataset).of("1BA001")
    assert not np.array_equal(after.mr, old)
    assert np.array_equal(before.mr, old)  # one who is at it keeps what he has


def test_what_belongs_to_nobody_is_removed(dataset):
    for subject_id in dataset.subjects:
        ArrayCache(dataset).of(subject_id)
    folder, table = folder_of(dataset), dataset.root / "participants.tsv"
    write_text(table, "".join(line for line in table.read_text().splitlines(True) if "1BA002" not in line))
    abandoned, fresh = (folder / f".1BA001.mr.npy.{pid}.{'0' * 32}.part" for pid in (1, 2))
    for path in (abandoned, fresh):
        path.write_bytes(b"half")
    os.utime(abandoned, (time.time() - 7200,) * 2)
    ArrayCache(Dataset.open(dataset.root))
    left = {path.name for path in folder.iterdir()}
    assert not any(name.startswith("1BA002") for name in left)
    assert "1BA001.mr.npy" in left
    assert (abandoned.name in left, fresh.name in left) == (False, True)


@pytest.mark.parametrize("error", [OSError(errno.EACCES, "Permission denied"), NoRoom("the disk is full")])
def test_where_nothing_can_be_kept_the_numbers_are_the_same(error, dataset, monkeypatch, caplog):
    kept = ArrayCache(dataset).of("1BA001")
    for path in folder_of(dataset).iterdir():
        path.unlink()

    def refuse(*_):
        raise error

    monkeypatch.setattr(array_cache, "write_whole", refuse)
    cache = ArrayCache(dataset)
    assert same(cache.of("1BA001"), kept)
    assert same(cache.of("1BA001"), kept)
    assert caplog.text.count("training reads them slower") == 1


def test_labels_that_do_not_fit_are_refused(dataset):
    io.write_labels(file_of(dataset.root, "1BA001", "labels"), LabelMap(np.full(SHAPE, 2000), np.eye(4)))
    with pytest.raises(DataError, match=r"expected labels up to 255, got 2000"):
        ArrayCache(dataset).of("1BA001")


def _fill(root, answer):
    cache = ArrayCache(Dataset.open(root))
    answer.put({subject: int(np.array(cache.of(subject).mr, dtype=np.int64).sum()) for subject in cache._dataset.subjects})


def test_two_processes_at_once_make_one_cache(dataset):
    context = multiprocessing.get_context("spawn")
    answer = context.Queue()
    processes = [context.Process(target=_fill, args=(dataset.root, answer)) for _ in range(2)]
    for process in processes:
        process.start()
    first, second = (answer.get(timeout=120) for _ in processes)
    for process in processes:
        process.join()
    assert first == second
    names = {path.name for path in folder_of(dataset).iterdir()}
    endings = ("json", "mr.npy", "ct.npy", "labels.npy")
    assert names == {f"{subject}.{ending}" for subject in dataset.subjects for ending in endings}
