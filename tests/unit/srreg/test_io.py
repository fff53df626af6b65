import contextlib
import gzip
import random

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from phantom import AFFINES, head

from srreg import io
from srreg.displacement import Displacement
from srreg.errors import DataError, GeometryError
from srreg.volume import LabelMap, Volume

SHAPE = (12, 14, 16)


@pytest.fixture
def good(tmp_path):
    path = tmp_path / "mr.nii.gz"
    io.write_volume(path, head().mr)
    return path


@pytest.mark.parametrize("name", AFFINES)
def test_what_is_written_reads_back_here_and_in_simpleitk(name, tmp_path):
    volume = Volume(np.random.default_rng(0).random(SHAPE), AFFINES[name])
    io.write_volume(tmp_path / "v.nii.gz", volume)
    back, theirs = io.read_volume(tmp_path / "v.nii.gz"), sitk.ReadImage(str(tmp_path / "v.nii.gz"))
    np.testing.assert_array_equal(back.data, volume.data)
    assert back.grid.matches(volume.grid)
    lps = np.array(theirs.TransformIndexToPhysicalPoint((3, 4, 5)))
    np.testing.assert_allclose(lps * [-1, -1, 1], (volume.affine @ [3, 4, 5, 1])[:3], atol=1e-4)


def test_the_same_voxels_give_the_same_bytes(tmp_path):
    for name in ("a.nii.gz", "b.nii.gz"):
        io.write_volume(tmp_path / name, head().mr)
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()


def damaged(raw, fault):
    flipped = bytearray(raw)
    flipped[len(raw) // 2] ^= 4
    body = gzip.decompress(raw)
    return {
        "cut in half": raw[: len(raw) // 2],
        "no checksum": raw[:-8],
        "one bit flipped": bytes(flipped),
        "short body": gzip.compress(body[:-100]),
        "long body": gzip.compress(body + b"\0" * 100),
        "empty": b"",
        "web page": b"<!doctype html><title>403</title>",
        "not gzip": body,
        "noise": random.Random(0).randbytes(2000),
        "noise in gzip": gzip.compress(random.Random(0).randbytes(2000)),
        "header alone": gzip.compress(body[:200]),
    }[fault]


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("cut in half", "cut off"),
        ("no checksum", "cut off"),
        ("one bit flipped", "damaged|cut off|not a NIfTI"),
        ("short body", r"asks for \d+ bytes, there are \d+"),
        ("long body", "more"),
        ("empty", "0 bytes"),
        ("web page", "web page"),
        ("not gzip", "Rename"),
        ("noise", "Rename"),
        ("noise in gzip", "NIfTI|axes"),
        ("header alone", "too short"),
    ],
)
def test_a_damaged_file_is_refused_by_name(good, fault, message):
    good.write_bytes(damaged(good.read_bytes(), fault))
    with pytest.raises(DataError, match=message) as caught:
        io.read_volume(good)
    assert str(good) in str(caught.value)


def test_no_flip_of_any_byte_passes_unseen(good):
    raw, generator = good.read_bytes(), random.Random(1)
    for _ in range(200):
        flipped = bytearray(raw)
        flipped[generator.randrange(10, len(raw))] ^= 1 << generator.randrange(8)
        good.write_bytes(bytes(flipped))
        with pytest.raises(DataError):
            io.read_volume(good)


def with_bytes(body, **fields):
    """The body of a file with fields of its header overwritten."""
    changed = bytearray(body)
    for name, value in fields.items():
        kind, place = nib.nifti1.header_dtype.fields[name]
        changed[place : place + kind.itemsize] = np.asarray(value, kind.base).tobytes()
    return bytes(changed)


@pytest.mark.parametrize(
    "fields",
    [
        {"vox_offset": np.nan},
        {"vox_offset": np.inf},
        {"vox_offset": 1e30},
        {"scl_slope": 1, "scl_inter": np.nan},
        {"scl_slope": 1, "scl_inter": np.inf},
        {"scl_slope": 1e38, "scl_inter": 1e38},
    ],
)
def test_numbers_that_no_header_can_hold_are_refused_by_name(good, fields):
    good.write_bytes(gzip.compress(with_bytes(gzip.decompress(good.read_bytes()), **fields)))
    with pytest.raises(DataError, match=good.name):
        io.read_volume(good)


def test_an_extension_of_noise_is_refused_by_name(good):
    body = gzip.decompress(good.read_bytes())
    noisy = with_bytes(body, vox_offset=368)
    good.write_bytes(gzip.compress(noisy[:348] + b"\1\0\0\0" + b"\xff" * 16 + noisy[352:]))
    with pytest.raises(DataError, match=rf"{good.name}: its header cannot be understood"):
        io.read_volume(good)


# Fields that a reader computes with: places, scales, angles, codes. Half of the changes go there.
TENDER = ("dim", "pixdim", "vox_offset", "scl_slope", "scl_inter", "quatern_b", "qoffset_x", "srow_x", "srow_z", "datatype")
ODD = (np.nan, np.inf, -np.inf, 0, -1, 1, 3, 352, 30000)


def mutated(body, generator):
    changed = bytearray(body)
    for _ in range(generator.randint(1, 4)):
        kind, place = nib.nifti1.header_dtype.fields[generator.choice(TENDER)]
        place += kind.base.itemsize * generator.randrange(kind.itemsize // kind.base.itemsize)
        value = generator.choice(ODD) if kind.base.kind == "f" else generator.choice(ODD[3:])
        changed[place : place + kind.base.itemsize] = np.asarray(value, kind.base).tobytes()
        if generator.random() < 0.5:
            changed[generator.randrange(352)] = generator.randrange(256)
    return bytes(changed)


@pytest.mark.parametrize("read", [io.read_volume, io.read_labels, io.read_displacement])
def test_no_mutation_of_a_header_gives_anything_but_a_data_error(read, tmp_path):
    path, generator = tmp_path / "x.nii", random.Random(0)
    io.write_volume(tmp_path / "v.nii.gz", head(shape=(6, 7, 8)).mr)
    io.write_displacement(tmp_path / "u.nii.gz", Displacement(np.ones((4, 5, 6, 3), np.float32), AFFINES["oblique"]))
    body = gzip.decompress((tmp_path / ("u.nii.gz" if read is io.read_displacement else "v.nii.gz")).read_bytes())
    for _ in range(600):
        path.write_bytes(mutated(body, generator))
        with contextlib.suppress(DataError):
            read(path)


@pytest.mark.parametrize(
    "fault", ["cut in half", "no checksum", "short body", "long body", "empty", "noise in gzip", "web page"]
)
def test_a_damaged_displacement_is_refused_by_name(fault, tmp_path):
    path = tmp_path / "u.nii.gz"
    io.write_displacement(path, Displacement(np.random.default_rng(0).random((4, 5, 6, 3)), np.eye(4)))
    path.write_bytes(damaged(path.read_bytes(), fault))
    with pytest.raises(DataError, match=path.name):
        io.read_displacement(path)


def test_an_image_is_no_displacement_and_a_displacement_no_image(good):
    with pytest.raises(DataError, match="then 1, then 3, got shape"):
        io.read_displacement(good)
    io.write_displacement(good, Displacement(np.zeros((4, 5, 6, 3), np.float32), np.eye(4)))
    with pytest.raises(DataError, match="expected three axes of 2 to 2048 voxels, got shape"):
        io.read_volume(good)


def test_vectors_that_are_not_finite_are_refused_by_name(tmp_path):
    path = write_nifti(tmp_path / "u.nii.gz", np.full((4, 5, 6, 1, 3), np.nan, np.float32))
    with pytest.raises(DataError, match=r"u\.nii\.gz: .*not finite"):
        io.read_displacement(path)


def write_nifti(path, data, affine=None, change=None):
    image = nib.Nifti1Image(data, np.eye(4) if affine is None else affine)
    if change is not None:
        change(image.header)
    nib.save(image, path)
    return path


def test_a_header_that_asks_for_too_much_is_refused_before_memory_is_taken(tmp_path):
    path = write_nifti(tmp_path / "bomb.nii.gz", np.zeros((4, 4, 4), np.uint8))
    body = bytearray(gzip.decompress(path.read_bytes()))
    body[42:48] = np.array([2000, 2000, 2000], np.int16).tobytes()
    path.write_bytes(gzip.compress(bytes(body)))
    with pytest.raises(DataError, match="more than a head can need"):
        io.read_volume(path)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (np.zeros((4, 5, 6, 2), np.float32), "shape"),
        (np.zeros((4, 5), np.float32), "shape"),
        (np.zeros((4, 5, 1), np.float32), "shape"),
        (np.zeros((4, 5, 6), np.complex64), "real number"),
        (np.full((4, 5, 6), -1024, np.float32), "no signal"),
        (np.where(np.arange(120).reshape(4, 5, 6) == 7, np.nan, 1).astype(np.float32), "1 voxels"),
    ],
)
def test_what_is_no_head_is_refused(data, message, tmp_path):
    with pytest.raises(DataError, match=message):
        io.read_volume(write_nifti(tmp_path / "x.nii.gz", data))


def test_an_axis_of_one_voxel_behind_the_third_is_dropped(tmp_path):
    data = np.random.default_rng(0).random((4, 5, 6, 1)).astype(np.float32)
    assert io.read_volume(write_nifti(tmp_path / "x.nii.gz", data)).data.shape == (4, 5, 6)


@pytest.mark.parametrize("kind", [np.int16, np.uint16, np.float64, ">i2", ">f4"])
def test_every_number_type_gives_the_same_volume(kind, tmp_path):
    data = np.random.default_rng(0).integers(0, 3000, SHAPE).astype(kind)
    header = nib.Nifti1Header(endianness=">" if np.dtype(kind).byteorder == ">" else "<")
    nib.save(nib.Nifti1Image(data, np.eye(4), header, dtype=np.dtype(kind).newbyteorder("=")), tmp_path / "x.nii.gz")
    np.testing.assert_array_equal(io.read_volume(tmp_path / "x.nii.gz").data, data.astype(np.float32))


def test_without_a_form_code_there_is_no_orientation(tmp_path):
    def forget(header):
        header["sform_code"] = header["qform_code"] = 0

    path = write_nifti(tmp_path / "x.nii.gz", np.random.default_rng(0).random(SHAPE), change=None)
    image = nib.load(path)
    forget(image.header)
    body = bytearray(gzip.decompress(path.read_bytes()))
    body[252:256] = b"\0\0\0\0"
    path.write_bytes(gzip.compress(bytes(body)))
    with pytest.raises(GeometryError, match="orientation"):
        io.read_volume(path)


def test_where_the_two_forms_differ_the_sform_is_used_and_it_is_said(tmp_path, caplog):
    image = nib.Nifti1Image(np.random.default_rng(0).random(SHAPE), None)
    image.header.set_sform(AFFINES["LPS"], code=1)
    image.header.set_qform(AFFINES["RAS"], code=1)
    image.to_filename(tmp_path / "x.nii.gz")
    back = io.read_volume(tmp_path / "x.nii.gz")
    np.testing.assert_allclose(back.affine, AFFINES["LPS"], atol=1e-5)
    assert "sform is used" in caplog.text
    io.write_volume(tmp_path / "y.nii.gz", back)
    assert sitk.ReadImage(str(tmp_path / "y.nii.gz")).GetSpacing() == pytest.approx((1.2, 1.0, 1.5))


def test_labels_stored_as_floats_are_taken_and_fractions_are_not(tmp_path):
    data = np.random.default_rng(0).integers(0, 29, SHAPE).astype(np.float32)
    labels = io.read_labels(write_nifti(tmp_path / "x.nii.gz", data))
    np.testing.assert_array_equal(labels.data, data)
    data[1, 2, 3] = 2.5
    with pytest.raises(DataError, match=r"x.nii.gz.*2\.5"):
        io.read_labels(write_nifti(tmp_path / "x.nii.gz", data))


def test_small_labels_are_stored_as_bytes(tmp_path):
    io.write_labels(tmp_path / "x.nii.gz", LabelMap(np.eye(4, dtype=np.int16)[:, :, None].repeat(3, 2) * 60, np.eye(4)))
    assert nib.load(tmp_path / "x.nii.gz").get_data_dtype() == np.uint8


def test_names_in_a_header_do_not_travel(tmp_path):
    def name(header):
        header["descrip"], header["db_name"], header["aux_file"] = b"Jane Doe", b"Jane Doe", b"Jane Doe"

    path = write_nifti(tmp_path / "x.nii.gz", np.random.default_rng(0).random(SHAPE), change=name)
    io.write_volume(tmp_path / "y.nii.gz", io.read_volume(path))
    assert b"Jane" not in gzip.decompress((tmp_path / "y.nii.gz").read_bytes())
