"""One build, watched: no network, few open files, a header full of names; what it leaves behind tells nothing of anybody."""

import getpass
import gzip
import os
import platform
import signal
import subprocess
import sys
import time
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from building import IDS, SHAPE, build, srreg
from phantom import head, write_source

NAMES = (b"Jane Doe", b"extension of Jane", b"/home/jane/scan")
_NO_NETWORK = """
import socket

def refuse(self, address, *more):
    if self.family != socket.AF_UNIX:
        raise AssertionError(f"a connection to {address} was asked for")
    return connect(self, address, *more)

connect, socket.socket.connect = socket.socket.connect, refuse
"""


def command(source, out, *more):
    truth = f"precomputed:{source}"
    arguments = ["build", "--synthrad-dir", source, "--out", out, "--size", "quarter", "--align", "center", *more]
    code = "import sys; from cli import main_srreg; main_srreg()"
    return [sys.executable, "-c", code, *map(str, arguments), "--skull-stripper", truth, "--segmenter", truth]


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    root = tmp_path_factory.mktemp("watched")
    folder = write_source(root / "source", head(IDS[0], 0, shape=SHAPE, spacing_mm=4.5))
    for part in ("mr", "ct"):
        sign(folder / f"{part}.nii.gz")
    (root / "hook").mkdir()
    (root / "hook" / "sitecustomize.py").write_text(_NO_NETWORK)
    paths = os.pathsep.join([str(root / "hook"), str(Path(__file__).parents[2])])
    few_files = ["bash", "-c", 'ulimit -n 64; exec "$@"', "srreg", *command(root / "source", root / "out")]
    settings = {**os.environ, "PYTHONPATH": paths}
    done = subprocess.run(few_files, env=settings, preexec_fn=on_one_core, capture_output=True, text=True, check=False)
    return done, root


def on_one_core():
    if hasattr(os, "sched_setaffinity"):  # Linux
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def sign(path):
    image = nib.load(path)
    image = nib.Nifti1Image(np.asarray(image.dataobj), image.affine, image.header)
    image.header["descrip"], image.header["db_name"], image.header["aux_file"] = NAMES[0], NAMES[0], NAMES[2]
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", NAMES[1]))
    nib.save(image, path)


def test_a_build_asks_for_no_network_and_lives_with_64_open_files_and_one_core(watched):
    done, _ = watched
    assert done.returncode == 0, done.stderr
    assert "1 built" in done.stdout


def test_no_name_from_a_header_and_nothing_of_this_machine_is_left_anywhere(watched):
    done, root = watched
    of_here = (str(root), str(Path.home()), platform.node(), getpass.getuser())
    words = [*NAMES, *(word.encode() for word in of_here if len(word) > 5)]  # "root" is in many words
    for path in (root / "out").rglob("*"):
        if path.is_file() and path.name != "hashes.json":  # remembers where sources lie; never part of what is handed on
            content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
            assert [word for word in words if word in content] == [], path
    assert not any(word.decode() in done.stdout + done.stderr for word in NAMES)


def test_other_times_of_the_source_files_redo_nobody(watched):
    _, root = watched
    for path in (root / "source").rglob("*.nii.gz"):
        os.utime(path, (0, 0))
    again = subprocess.run(command(root / "source", root / "out"), capture_output=True, text=True, check=False)
    assert "0 built, 1 ready before" in again.stdout


def test_a_dry_run_names_the_steps_that_another_parameter_redoes_and_the_build_redoes_them(watched):
    _, root = watched
    other = ["--align", "none"]
    plan = subprocess.run(
        [*command(root / "source", root / "out"), *other, "--dry-run"], capture_output=True, text=True, check=True
    )
    assert f"{IDS[0]}: align with other parameters or tools; redoes align, conform" in plan.stdout
    subprocess.run([*command(root / "source", root / "out"), *other], capture_output=True, check=True)
    manifest = (root / "out" / "manifest.jsonl").read_text().splitlines()
    assert ['"built"' in line for line in manifest] == [False, False, False, True, True]


@pytest.mark.skipif(sys.platform != "linux", reason="/proc takes no folders, not even root's")
def test_a_folder_that_cannot_be_written_to_is_said_in_a_line(watched):
    refused = build(watched[1] / "source", "/proc/sr-reg")
    assert refused.returncode == 1
    assert refused.stderr.splitlines()[-1].startswith("error: ")
    assert "/proc/sr-reg" in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_ends_a_build_with_its_code_and_leaves_a_folder_that_says_what_it_holds(watched, tmp_path, number, code):
    running = subprocess.Popen(command(watched[1] / "source", tmp_path / "out"), stderr=subprocess.PIPE, text=True)
    while not (tmp_path / "out" / "participants.tsv").exists() and running.poll() is None:
        time.sleep(0.05)
    running.send_signal(number)
    assert running.communicate(timeout=10)[1].splitlines()[-1].startswith("interrupted")
    assert running.returncode == code
    assert f"{IDS[0]}\tpending" in srreg("status", tmp_path / "out").stdout
