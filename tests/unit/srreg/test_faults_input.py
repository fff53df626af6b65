"""Faults of input files that no other test has: links, bombs, units, names, a CT in other units (docs/faults.md)."""

import contextlib
import gzip
import os
import subprocess
import sys

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from phantom import head, write_source

from srreg import io
from srreg.build.splits import read as read_drawn
from srreg.dataset import read_participants
from srreg.errors import DataError, GeometryError
from srreg.files import read_json
from srreg.sources.synthrad import find_cases, read_case
from srreg.subject import checked_id
from srreg.volume import Volume


@pytest.fixture
def case(tmp_path):
    write_source(tmp_path, head())
    return find_cases(tmp_path)[0]


def test_gzip_under_a_name_that_says_otherwise_is_refused(case):
    named_otherwise = case.file("mr").with_name("mr.nii")
    case.file("mr").rename(named_otherwise)
    with pytest.raises(DataError, match="Rename"):
        io.read_volume(named_otherwise)


@pytest.mark.parametrize("target", ["nowhere.nii.gz", "mr.nii.gz"])  # dangling; a loop of one
def test_a_link_to_nowhere_or_to_itself_is_a_missing_file(case, target):
    case.file("mr").unlink()
    case.file("mr").symlink_to(target)
    with pytest.raises(DataError, match="incomplete: mr"):
        read_case(case)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_named(case):
    case.file("ct").chmod(0)
    with pytest.raises(DataError, match="cannot be read"):
        read_case(case)


def test_a_colour_image_is_refused(tmp_path):
    colours = np.zeros((4, 5, 6), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    nib.save(nib.Nifti1Image(colours, np.eye(4)), tmp_path / "x.nii.gz")
    with pytest.raises(DataError, match="one real number a voxel"):
        io.read_volume(tmp_path / "x.nii.gz")


def test_a_small_file_that_unpacks_to_gigabytes_is_refused_in_little_memory(case):
    path = case.file("mr")
    body = gzip.decompress(path.read_bytes())
    with gzip.open(path, "wb", compresslevel=1) as bomb:
        bomb.write(body)
        for _ in range(16):
            bomb.write(bytes(1 << 24))  # 256 MiB
    code = (
        "import sys, resource; from pathlib import Path; from srreg import io\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try: io.read_volume(Path(sys.argv[1]))\n"
        "except Exception as error: print(error)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    told = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True).stdout
    assert "more" in told
    grown_kb = int(told.splitlines()[-1])
    assert grown_kb < 64 * 1024


def with_header(path, **fields):
    """Overwrite fields of a file's header, as no library would."""
    body = bytearray(gzip.decompress(path.read_bytes()))
    for name, value in fields.items():
        kind, place = nib.nifti1.header_dtype.fields[name]
        body[place : place + kind.itemsize] = np.asarray(value, kind.base).tobytes()
    path.write_bytes(gzip.compress(bytes(body)))


@pytest.mark.parametrize("pixdim", [[1, 0, 1, 1, 0, 0, 0, 0], [1, np.nan, 1, 1, 0, 0, 0, 0], [1, -4, 4, 4, 0, 0, 0, 0]])
def test_a_voxel_of_no_size_is_refused_where_the_header_has_no_other_geometry(case, pixdim):
    with_header(case.file("mr"), pixdim=pixdim, sform_code=0)
    with pytest.raises(GeometryError, match="mr.nii.gz"):
        io.read_volume(case.file("mr"))


@pytest.mark.parametrize(("code", "unit"), [(1, "metres"), (3, "micrometres")])
def test_other_units_than_millimetres_are_refused(case, code, unit):
    with_header(case.file("mr"), xyzt_units=code)
    with pytest.raises(GeometryError, match=unit):
        read_case(case)


def test_a_sheared_image_is_refused_before_any_tool_meets_it(case):
    sheared = np.diag([4.0, 4, 4, 1])
    sheared[0, 1] = 1.5
    for part in ("mr", "ct", "mask"):
        image = nib.load(case.file(part))
        nib.save(nib.Nifti1Image(np.asarray(image.dataobj), sheared), case.file(part))
    with pytest.raises(GeometryError):
        read_case(case)


@pytest.mark.parametrize("change", [lambda hu: hu + 1024, lambda hu: (hu + 1024) / 4095, lambda hu: np.maximum(hu, 0)])
def test_a_ct_that_is_not_in_hounsfield_units_is_refused_by_name(case, change):
    ct = io.read_volume(case.file("ct"))
    io.write_volume(case.file("ct"), Volume(change(ct.data), ct.affine))
    with pytest.raises(DataError, match=r"ct\.nii\.gz: expected a CT in Hounsfield units"):
        read_case(case)


@pytest.mark.parametrize(
    "text", ["../../x", "/etc/passwd", "C:\\x", "a\0b", "x" * 300, "", "-rf", "ä", "a\nb", ".hidden", "{{7*7}}", "a/b"]
)
def test_what_could_be_a_path_an_option_or_markup_is_no_id(text):
    with pytest.raises(DataError, match="cannot be a subject id"):
        checked_id(text)


@given(st.text())
def test_every_id_that_is_taken_is_a_plain_file_name(text):
    try:
        taken = checked_id(text)
    except DataError:
        return
    assert os.path.basename(taken) == taken
    assert taken.isascii()
    assert taken.isprintable()
    assert not set(taken) & set(" <>&\"'`$;|/\\")


@given(st.one_of(st.binary(max_size=300), st.text(max_size=100).map(str.encode), st.just(b"[1]"), st.just(b"\xff")))
def test_noise_in_place_of_our_own_files_gives_our_own_error_or_nothing(tmp_path_factory, noise):
    folder = tmp_path_factory.mktemp("noise")
    path = folder / "persons.tsv"
    path.write_bytes(noise)
    for read in (read_json, read_participants, lambda _: read_drawn(folder)):
        with contextlib.suppress(DataError):
            read(path)


@given(noise=st.binary(min_size=1, max_size=2000), compressed=st.booleans())
def test_noise_in_place_of_an_image_is_refused(tmp_path_factory, noise, compressed):
    path = tmp_path_factory.mktemp("noise") / "x.nii.gz"
    path.write_bytes(gzip.compress(noise) if compressed else noise)
    with pytest.raises(DataError, match="x.nii.gz"):
        io.read_volume(path)
