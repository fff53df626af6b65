"""Faults of a build's own files and processes that no other test has. See docs/faults.md."""

import json
import os
import shutil
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from building import SHAPE
from deadly import KilledFor
from phantom import head, write_dataset, write_source

from srreg.backends.protocol import Resources
from srreg.backends.registry import SEGMENTERS, SKULL_STRIPPERS, make
from srreg.build import plan as planning
from srreg.build.cache import Cache
from srreg.build.executors import run_all
from srreg.build.hashes import RememberedHashes
from srreg.build.publish import is_published
from srreg.build.reasons import downstream
from srreg.build.runner import build
from srreg.build.settings import BuildSettings
from srreg.build.steps.conform import Conform
from srreg.build.steps.correct_intensity import CorrectIntensity
from srreg.build.worker import Job, run
from srreg.dataset import Dataset, file_of
from srreg.errors import DataError, NoRoom
from srreg.files import read_json, sha256, write_json, write_whole
from srreg.sources.synthrad import find_cases
from srreg.subject import Subject
from srreg.volume import LabelMap, Volume


@pytest.fixture
def settings(tmp_path):
    write_source(tmp_path / "source", head(shape=SHAPE, spacing_mm=4.5))
    resources = Resources(work=tmp_path / "scratch")
    strip, segment = (make(kind, f"precomputed:{tmp_path / 'source'}", resources) for kind in (SKULL_STRIPPERS, SEGMENTERS))
    return BuildSettings(tmp_path / "source", tmp_path / "out", strip, segment, size="quarter", align="none")


def test_input_that_changes_while_it_is_built_fails_its_subject(settings):
    case = find_cases(settings.source)[0]
    sources = {f"{part}.nii.gz": sha256(case.file(part)) for part in ("mr", "ct", "mask")}
    as_it_is = Job(case, settings.recipe, settings.out, "key", sources, 1)
    assert run(as_it_is).status == "built"
    changed = Job(case, settings.recipe, settings.out / "other", "key", {**sources, "ct.nii.gz": "0" * 64}, 1)
    outcome = run(changed)
    assert outcome.status == "failed"
    assert "changed while it was being built" in outcome.reason
    assert not file_of(settings.out / "other", case.id, "mr").exists()


def test_too_little_free_space_is_said_before_anything_is_built(settings, monkeypatch):
    monkeypatch.setattr(planning.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 1000})())
    with pytest.raises(NoRoom, match="GB are needed, 0.0 GB are free"):
        build(settings)
    assert not (settings.out / "participants.tsv").exists()


def test_a_process_that_the_system_kills_costs_its_own_subject(settings, tmp_path):
    write_source(settings.source, head("1BA002", 1))
    cases = find_cases(settings.source)
    jobs = [Job(case, (KilledFor("1BA001"),), tmp_path / "out", "key", {}, 1) for case in cases]
    outcomes = {outcome.id: outcome for outcome in run_all(jobs, 2)}
    assert "killed (signal 9), probably for lack of memory" in outcomes["1BA001"].reason
    assert "signal" not in outcomes["1BA002"].reason


@pytest.fixture
def published(tmp_path):
    dataset = write_dataset(tmp_path / "data", subjects=6)
    for kind in ("mr", "ct", "brain", "labels"):
        path = file_of(dataset.root, "1BA001", kind)
        sidecar = {"BuildKey": "k", "Sha256": sha256(path), "Size": path.stat().st_size}
        write_json(file_of(dataset.root, "1BA001", kind, ".json"), sidecar)
    assert is_published(dataset.root, "1BA001", "k", deep=True)
    return dataset


def test_a_file_that_power_loss_left_short_or_empty_of_content_is_found(published):
    path = file_of(published.root, "1BA001", "ct")
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    assert not is_published(published.root, "1BA001", "k")
    path.write_bytes(bytes(len(whole)))  # its length reached the disk, its content did not
    assert is_published(published.root, "1BA001", "k")
    assert not is_published(published.root, "1BA001", "k", deep=True)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"BuildKey": 3}', b"\xff\xfe", b'{"BuildKey": "k"}'])
def test_a_sidecar_that_is_damaged_or_of_another_version_counts_as_not_built(published, content):
    file_of(published.root, "1BA001", "labels", ".json").write_bytes(content)
    assert not is_published(published.root, "1BA001", "k")


@pytest.mark.parametrize("content", [b"", b"[]", b'{"a": [1]}', b"\xff"])
def test_a_damaged_memory_of_digests_is_started_anew(tmp_path, content):
    (tmp_path / "hashes.json").write_bytes(content)
    (tmp_path / "a").write_bytes(b"a")
    assert RememberedHashes(tmp_path / "hashes.json").of(tmp_path / "a") == sha256(tmp_path / "a")


def test_a_file_with_another_time_is_hashed_again_and_one_with_other_bytes_has_another_digest(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"before")
    hashes = RememberedHashes(tmp_path / "hashes.json")
    first = hashes.of(path)
    os.utime(path, (0, 0))
    assert hashes.of(path) == first
    path.write_bytes(b"after.")
    assert hashes.of(path) != first
    hashes.save()
    os.utime(path, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    assert RememberedHashes(tmp_path / "hashes.json", deep=True).of(path) == sha256(path)


def test_a_damaged_cache_entry_is_made_again(tmp_path):
    subject, step, cache = head(), KeepsLabels(), Cache(tmp_path)
    cache.save(step, "key", subject)
    entry = tmp_path / "keeps" / "key" / "labels.nii.gz"
    entry.write_bytes(entry.read_bytes()[:-20])
    assert cache.load(step, "key", subject) is None
    assert not entry.exists()


class KeepsLabels:
    name, adds = "keeps", ("labels",)


def test_only_what_reads_a_changed_step_at_first_or_second_hand_is_redone(settings):
    assert downstream(settings.recipe, ["align"]) == ["align", "conform"]
    assert downstream(settings.recipe, ["conform"]) == ["conform"]
    assert downstream(settings.recipe, ["segment_brain"]) == ["segment_brain", "conform"]
    assert "align" in downstream(settings.recipe, ["strip_skull"])


def test_a_file_is_never_written_through_a_link_laid_in_its_place(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / "a.json").symlink_to(victim)
    write_whole(tmp_path / "a.json", b"{}")
    assert victim.read_text() == "mine"
    assert not (tmp_path / "a.json").is_symlink()


def test_an_image_that_is_nearly_all_background_gives_finite_values():
    shape = (40, 44, 48)
    brain = np.zeros(shape, bool)
    brain[18:26, 18:27, 18:28] = True
    rng = np.random.default_rng(0)
    mr = np.where(brain, rng.normal(100, 5, shape), 0)
    affine = np.diag([4.0, 4, 4, 1])
    affine[:3, 3] = [-80, -105, -90]
    subject = Subject(
        "1BA001", Volume(mr, affine), Volume(mr - 60, affine), LabelMap(brain, affine), LabelMap(brain * 2, affine)
    )
    assert brain.mean() < 0.01
    even = CorrectIntensity()(subject)
    assert even.bias is not None
    assert np.isfinite(even.bias.data).all()
    conformed = Conform("quarter")(even)
    assert np.isfinite(conformed.mr.data).all()
    assert conformed.mr.data.max() == 1


def test_a_data_set_that_was_moved_is_still_valid(published, tmp_path):
    shutil.move(published.root, tmp_path / "elsewhere")
    assert is_published(tmp_path / "elsewhere", "1BA001", "k", deep=True)
    assert str(tmp_path) not in json.dumps(read_json(file_of(tmp_path / "elsewhere", "1BA001", "labels", ".json")))


@pytest.mark.parametrize("name", ["participants.tsv", "dataset_description.json"])
def test_a_table_cut_off_in_the_middle_of_a_line_is_refused_by_name(published, name):
    path = published.root / name
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(DataError, match=name):
        _ = Dataset.open(published.root).participants, Dataset.open(published.root).description


def test_ten_thousand_subjects_take_little_memory_and_a_few_open_files(settings):
    brain = settings.source / "Task1" / "brain"
    for number in range(10_000):
        (brain / f"1BB{number:05d}").mkdir()
        (brain / f"1BB{number:05d}" / "mr.nii.gz").touch()
    tracemalloc.start()
    report = build(replace(settings, subjects=tuple(f"1BB{number:05d}" for number in range(10_000))))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(report.failed) == 10_000
    assert len(Dataset.open(settings.out).participants) == 10_000
    assert peak < 200e6
