"""A claim is made by one process alone and is void when its maker is gone: by its number here, by its silence elsewhere."""

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace

import pytest

from srreg.build import claims
from srreg.build.claims import Claimant, Claims, clear_void, live
from srreg.build.hold import held, shared
from srreg.errors import FolderBusy


def test_of_many_who_come_at_once_one_gets_the_claim(tmp_path):
    with ThreadPoolExecutor(8) as pool, Claims(tmp_path) as mine:
        took = list(pool.map(lambda _: mine.take("1BA001"), range(50)))
        assert took.count(True) == 1
        assert live(tmp_path) == {"1BA001": Claimant.me()}
    assert live(tmp_path) == {}


def gone_process():
    done = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True, check=True)
    return int(done.stdout)


def claim_of(folder, claimant, age_s=0.0):
    path = folder / "1BA001.json"
    path.write_text(claimant if isinstance(claimant, str) else json.dumps(asdict(claimant)))
    os.utime(path, (time.time() - age_s,) * 2)
    return path


@pytest.mark.parametrize(
    ("claimant", "age_s", "is_alive"),
    [
        (Claimant.me(), 0, True),
        (replace(Claimant.me(), pid=gone_process()), 0, False),
        (Claimant.me(), 700, False),  # the number was given to another process since
        (Claimant("elsewhere", "another", 1), 500, True),
        (Claimant("elsewhere", "another", 1), 700, False),
        ("", 0, True),  # just being written
        ("{not json", 700, False),
    ],
)
def test_the_rule_for_claims_whose_maker_may_have_died(claimant, age_s, is_alive, tmp_path):
    path = claim_of(tmp_path, claimant, age_s)
    assert bool(live(tmp_path)) is is_alive
    clear_void(tmp_path)
    assert path.exists() is is_alive


def test_a_claim_is_touched_while_its_maker_lives(tmp_path, monkeypatch):
    monkeypatch.setattr(claims, "BEAT_S", 0.01)
    with Claims(tmp_path) as mine:
        mine.take("1BA001")
        path = tmp_path / "1BA001.json"
        os.utime(path, (0, 0))
        deadline = time.monotonic() + 10
        while path.stat().st_mtime == 0:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_what_was_taken_over_is_not_given_back_by_the_first(tmp_path):
    with Claims(tmp_path) as mine:
        mine.take("1BA001")
        other = Claimant("elsewhere", "another", 1)
        path = claim_of(tmp_path, other)
    assert json.loads(path.read_text()) == asdict(other)


def test_nothing_is_written_through_a_link_laid_in_the_way(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / "claims").mkdir()
    (tmp_path / "claims" / "1BA001.json").symlink_to(victim)
    with Claims(tmp_path / "claims") as mine:
        assert not mine.take("1BA001")
    assert victim.read_text() == "mine"


def test_a_whole_build_waits_for_no_shard_but_says_who_is_there(tmp_path):
    with shared(tmp_path) as mine:
        mine.take("1BA001")
        with pytest.raises(FolderBusy, match=f"process {os.getpid()} on .* builds 1BA001"), held(tmp_path):
            pass
    with held(tmp_path):
        pass


def test_what_a_killed_holder_left_is_no_hindrance(tmp_path):
    work = tmp_path / ".build"
    (work / "claims").mkdir(parents=True)
    claim_of(work / "claims", replace(Claimant.me(), pid=gone_process()))
    (work / "holder.json").write_text('{"pid": 1}')
    (tmp_path / f".x.nii.gz.{os.getpid()}.{'0' * 32}.part").write_bytes(b"half")
    with held(tmp_path):
        assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["holder.json", "lock"]
