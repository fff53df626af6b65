"""What is installed is what was tested, and importing us does nothing."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[3]

# Releases that were taken over or withdrawn; a pin must never be one of them.
BAD_RELEASES = {"lightning": {"2.6.2", "2.6.3"}, "pytorch-lightning": {"2.6.2", "2.6.3"}}

# Says which of our modules, while it is imported, writes, starts a program or asks for the network.
_WATCH = """
import importlib, os, pkgutil, sys
root = sys.argv[1]
acts = ("socket.connect", "socket.getaddrinfo", "subprocess.Popen", "os.system", "os.mkdir", "os.remove", "os.rename")

def watch(event, given):
    if event == "open" and not (isinstance(given[2], int) and given[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)):
        return
    if event != "open" and event not in acts:
        return
    frame = sys._getframe(1)
    while frame is not None and (frame.f_code.co_filename.startswith(sys.base_prefix) or "<frozen" in frame.f_code.co_filename):
        if "importlib" in frame.f_code.co_filename:  # Python's own compiled files
            return
        frame = frame.f_back
    if frame is not None and frame.f_code.co_filename.startswith(root) and ".venv" not in frame.f_code.co_filename:
        print(event, given, frame.f_code.co_filename, frame.f_lineno)

sys.addaudithook(watch)
import srreg
for found in pkgutil.walk_packages(srreg.__path__, "srreg."):
    importlib.import_module(found.name)
import cli
"""


def _pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    assert all(len(pair) == 2 and re.fullmatch(r"[0-9][\w.+!]*", pair[1]) for pair in pairs)
    return {canonicalize_name(name): version for name, version in pairs}


def _asked_for() -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    return [Requirement(line) for line in [*project["dependencies"], *extras["dev"], *extras["cluster"]]]


def test_every_package_that_is_asked_for_is_pinned_to_a_release_that_will_do() -> None:
    pins = _pins()
    for wanted in _asked_for():
        version = pins[canonicalize_name(wanted.name)]
        assert wanted.specifier.contains(version, prereleases=True), wanted


def test_no_pin_is_a_release_that_is_known_to_be_bad() -> None:
    assert not [name for name, version in _pins().items() if version in BAD_RELEASES.get(name, ())]


def test_importing_srreg_and_its_commands_writes_starts_and_asks_for_nothing() -> None:
    told = subprocess.run([sys.executable, "-c", _WATCH, str(ROOT)], capture_output=True, text=True, cwd=ROOT, check=True)
    assert told.stdout == ""


def test_the_watch_sees_what_a_module_of_ours_does(tmp_path: Path) -> None:
    (tmp_path / "srreg").mkdir()
    (tmp_path / "srreg" / "__init__.py").write_text("from pathlib import Path\nPath('written').write_text('x')\n")
    (tmp_path / "cli.py").write_text("import subprocess, sys\nsubprocess.run([sys.executable, '-c', ''])\n")
    told = subprocess.run(
        [sys.executable, "-c", _WATCH, str(tmp_path)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=True,
        env={"PYTHONPATH": str(tmp_path)},
    )
    assert [line.split()[0] for line in told.stdout.splitlines()][:2] == ["open", "subprocess.Popen"]
