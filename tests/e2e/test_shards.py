"""Several processes build one data set: as shards side by side, or all but one are sent away."""

import json
import os
import subprocess
import sys

import pytest
from building import IDS, build, data_digest, srreg

from srreg.build.claims import Claims
from srreg.dataset import Dataset


def start(source, out, *more):
    truth = f"precomputed:{source}"
    code = "import sys; from cli import main_srreg; main_srreg()"
    arguments = ["build", "--synthrad-dir", source, "--out", out, "--size", "quarter", *more]
    command = [sys.executable, "-c", code, *map(str, arguments), "--skull-stripper", truth, "--segmenter", truth]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_three_shards_at_once_give_the_same_as_one_build(quickly_built, tmp_path):
    source, undisturbed = quickly_built
    running = [start(source, tmp_path / "out", "--align", "center", "--shard", f"{i}/3") for i in (1, 2, 3)]
    for process in running:
        _, said = process.communicate(timeout=300)
        assert process.returncode == 0, said
    assert data_digest(tmp_path / "out") == data_digest(undisturbed)
    assert Dataset.open(tmp_path / "out").subjects == tuple(IDS[:3])
    assert not list((tmp_path / "out" / ".build" / "claims").iterdir())
    assert not (tmp_path / "out" / ".build" / "scratch").exists()


def test_a_shard_leaves_what_another_process_is_at_and_says_so(built, tmp_path):
    source, _ = built
    out = tmp_path / "out"
    with Claims(out / ".build" / "claims") as other:
        other.take("1BA001")
        done = build(source, out, "--shard", "1/6")
        assert done.returncode == 5
        assert "1BA001" in done.stderr
        told = json.loads(srreg("status", out, "--json").stdout)
        assert told["building"] == ["1BA001"]
        assert "1 building" in srreg("status", out).stdout
        whole = build(source, out)
        assert whole.returncode == 5
        assert f"process {os.getpid()}" in whole.stderr
    dataset = Dataset.open(out)
    assert {p.id: p.status for p in dataset.participants} == dict.fromkeys(IDS, "pending")


def test_shards_of_two_recipes_are_never_at_work_together(built, tmp_path):
    source, _ = built
    assert build(source, tmp_path / "out", "--shard", "6/6", "--align", "center").returncode == 0
    with Claims(tmp_path / "out" / ".build" / "claims") as other:
        other.take("1BA014")
        mixed = build(source, tmp_path / "out", "--shard", "1/6", "--align", "rigid")
    assert mixed.returncode == 2
    assert "shards of another build" in mixed.stderr


@pytest.mark.parametrize("shard", ["0/3", "4/3", "1", "a/b", "-1/3"])
def test_a_shard_that_cannot_be_is_refused(shard, built, tmp_path):
    refused = build(built[0], tmp_path / "out", "--shard", shard)
    assert refused.returncode == 2
    assert "i/N" in refused.stderr
    assert not (tmp_path / "out").exists()


def test_others_splits_are_taken_and_kept(built, tmp_path):
    source, out = built[0], tmp_path / "out"
    table = tmp_path / "theirs.tsv"
    names = ["train"] * 3 + ["val"] + ["test"] * 2
    table.write_text("".join(f"{i}\t{name}\n" for i, name in zip(IDS, names, strict=True)))
    few = ("--subjects", IDS[5], "--align", "center")
    assert build(source, out, "--splits", table, *few).returncode == 0
    dataset = Dataset.open(out)
    assert dataset.split("test") == (IDS[5],)
    before = (out / "splits" / "persons.tsv").read_bytes()
    assert build(source, out, *few).returncode == 0
    assert (out / "splits" / "persons.tsv").read_bytes() == before
    table.write_text(table.read_text().replace("\tval", "\ttest"))
    other = build(source, out, "--splits", table, *few)
    assert other.returncode == 2
    assert "other splits" in other.stderr
    assert build(source, out, "--splits", table, "--resplit", *few).returncode == 0
    assert "version=2" in (out / "splits" / "persons.tsv").read_text()


def test_splits_that_name_strangers_are_refused_before_anything_is_built(built, tmp_path):
    table = tmp_path / "theirs.tsv"
    table.write_text("".join(f"{i}\ttrain\n" for i in [*IDS, "1BZ001"]))
    refused = build(built[0], tmp_path / "out", "--splits", table)
    assert refused.returncode == 3
    assert "1BZ001" in refused.stderr
    assert not (tmp_path / "out" / "participants.tsv").exists()
