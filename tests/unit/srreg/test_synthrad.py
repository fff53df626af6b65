import numpy as np
import pytest
from phantom import ORIENTATIONS, head, turned, write_source

from srreg import io
from srreg.errors import DataError, GeometryError
from srreg.geometry import reorient_to_ras, resample
from srreg.sources.synthrad import find_cases, is_simulated, read_case
from srreg.volume import Grid


@pytest.fixture
def tree(tmp_path):
    for number, subject_id in enumerate(["1BC336", "1BA001", "1BB014"]):
        write_source(tmp_path, head(subject_id, number))
    brain = tmp_path / "Task1" / "brain"
    (brain / "overview").mkdir()
    (brain / "overview" / "1_brain_train.xlsx").write_bytes(b"not read")
    (brain / "._1BA001").write_bytes(b"left by a Mac")
    return tmp_path


@pytest.mark.parametrize("inner", ["", "Task1", "Task1/brain"])
def test_patients_are_found_from_any_of_three_folders(tree, inner):
    cases = find_cases(tree / inner)
    assert [case.id for case in cases] == ["1BA001", "1BB014", "1BC336"]
    assert [case.centre for case in cases] == ["A", "B", "C"]
    assert not is_simulated(tree)


def test_a_folder_without_patients_says_what_it_should_hold(tmp_path):
    with pytest.raises(DataError, match="Task1/brain/<ID>"):
        find_cases(tmp_path)
    with pytest.raises(DataError, match="no such folder"):
        find_cases(tmp_path / "nowhere")


def test_a_patient_is_read_in_ras_with_no_voxel_changed(tree):
    subject = read_case(find_cases(tree)[0])
    original = head("1BA001", 1)
    np.testing.assert_array_equal(subject.mr.data, original.mr.data)
    np.testing.assert_array_equal(subject.ct.data, original.ct.data)
    assert np.all(np.diag(subject.mr.affine)[:3] > 0)


@pytest.mark.parametrize("part", ["mr", "ct", "mask"])
def test_a_missing_file_is_named(tree, part):
    case = find_cases(tree)[0]
    case.file(part).unlink()
    with pytest.raises(DataError, match=rf"incomplete: {part}\.nii\.gz missing"):
        read_case(case)


def test_an_empty_patient_folder_is_a_patient_that_is_incomplete(tree):
    (tree / "Task1" / "brain" / "1BA002").mkdir()
    case = next(c for c in find_cases(tree) if c.id == "1BA002")
    with pytest.raises(DataError, match="mr.nii.gz, ct.nii.gz, mask.nii.gz missing"):
        read_case(case)


def test_a_ct_on_another_grid_is_refused_with_both_grids(tree):
    case = find_cases(tree)[0]
    ct = head("1BA001", 1).ct
    other = Grid((17, 32, 48), ct.affine)
    io.write_volume(case.file("ct"), turned(resample(ct, other, background=-1000), "LPS"))
    with pytest.raises(GeometryError, match="MR 16x32x48.*CT 17x32x48"):
        read_case(case)


def test_ids_that_differ_by_case_alone_are_refused(tree):
    write_source(tree, head("1ba001", 9))
    if len(list((tree / "Task1" / "brain").glob("1?[aA]001"))) < 2:
        pytest.skip("this file system does not tell upper from lower case")
    with pytest.raises(DataError, match="upper and lower case"):
        find_cases(tree)


@pytest.mark.parametrize("name", ["-rf", "a b", "<script>", "x" * 65])
def test_a_folder_whose_name_is_no_id_is_refused_by_name(tree, name):
    folder = tree / "Task1" / "brain" / name
    folder.mkdir()
    (folder / "mr.nii.gz").write_bytes(b"")
    with pytest.raises(DataError, match="cannot be a subject id"):
        find_cases(tree)


def test_persons_come_from_the_table_where_there_is_one(tree):
    table = tree / "Task1" / "brain" / "participants.tsv"
    table.write_text("participant_id\tperson\n1BA001\tp1\n1BB014\tp1\n1BC336\tn/a\n")
    assert [case.person for case in find_cases(tree)] == ["p1", "p1", "1BC336"]


def test_all_48_orientations_of_one_head_are_read_as_the_same_subject(tmp_path):
    found = set()
    for number, orientation in enumerate(ORIENTATIONS):
        folder = write_source(tmp_path / str(number), head(), orientation)
        subject = read_case(find_cases(tmp_path / str(number))[0])
        truth = [reorient_to_ras(io.read_labels(folder / f"{part}.nii.gz")).digest for part in ("brain", "labels")]
        found.add((subject.mr.digest, subject.ct.digest, *truth))
    assert len(ORIENTATIONS) == 48
    assert len(found) == 1
