import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from srreg.backends import process
from srreg.backends.process import STDERR, STDOUT, run, work_folder
from srreg.errors import StepFailed


def _script(folder: Path, text: str) -> list[str]:
    path = folder / "tool.py"
    path.write_text(text)
    return [sys.executable, "-I", "-S", str(path)]


def _run(text: str, folder: Path, timeout_s: float = 20.0, **more: object) -> None:
    run("tool", _script(folder, text), folder, timeout_s=timeout_s, **more)  # type: ignore[arg-type]


def _is_gone(pid: int, patience_s: float = 5.0) -> bool:
    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.02)
    return False


def test_output_goes_to_files_and_not_to_us(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    _run("import sys; print('hello'); sys.stderr.write('oh')", tmp_path)
    assert capfd.readouterr() == ("", "")
    assert (tmp_path / STDOUT).read_text() == "hello\n"
    assert (tmp_path / STDERR).read_text() == "oh"


def test_a_tool_runs_in_its_folder_with_its_temporary_files_inside_and_its_threads_limited(tmp_path: Path) -> None:
    _run(
        "import os, tempfile; print(os.getcwd(), tempfile.mkdtemp(), os.environ['OMP_NUM_THREADS'],"
        " os.environ['ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS'], os.environ['MORE'], os.getpgrp())",
        tmp_path,
        threads=3,
        environment={"MORE": "yes"},
    )
    cwd, temporary, omp, itk, more, group = (tmp_path / STDOUT).read_text().split()
    assert Path(cwd) == tmp_path
    assert Path(temporary).is_relative_to(tmp_path)
    assert (omp, itk, more) == ("3", "3", "yes")
    assert int(group) != os.getpgrp()


def test_arguments_reach_the_tool_as_they_are(tmp_path: Path) -> None:
    odd = ["a b", "$(touch x)", ";", "-rf", "*", "é"]
    command = _script(tmp_path, "import sys; print(sys.argv[1:])")
    run("tool", [*command, *odd], tmp_path, timeout_s=20)
    assert (tmp_path / STDOUT).read_text().strip() == str(odd)
    assert not (tmp_path / "x").exists()


def test_a_tool_reads_nothing_from_us(tmp_path: Path) -> None:
    _run("import sys; print(repr(sys.stdin.read()))", tmp_path)
    assert (tmp_path / STDOUT).read_text() == "''\n"


def test_an_exit_code_is_a_failure_with_the_last_line_said_and_the_rest_as_a_note(tmp_path: Path) -> None:
    with pytest.raises(StepFailed) as caught:
        _run("import sys; sys.stderr.write('Traceback\\n  line 1\\n\\x1b[1mValueError: no brain\\n\\n'); sys.exit(3)", tmp_path)
    assert str(caught.value) == "tool failed with exit code 3: ValueError: no brain"
    assert "line 1" in caught.value.__notes__[0]
    assert "\x1b" not in caught.value.__notes__[0]


def test_only_the_end_of_endless_messages_is_kept(tmp_path: Path) -> None:
    with pytest.raises(StepFailed) as caught:
        _run("import sys; sys.stderr.write('noise\\n' * 200_000 + 'x' * 2000); sys.exit(1)", tmp_path)
    assert len(str(caught.value)) < 400
    assert len(caught.value.__notes__[0]) < 5000


def test_what_went_to_stdout_explains_a_failure_that_stderr_does_not(tmp_path: Path) -> None:
    with pytest.raises(StepFailed, match="exit code 1: no licence"):
        _run("print('no licence'); raise SystemExit(1)", tmp_path)


def test_signal_9_is_probably_memory(tmp_path: Path) -> None:
    with pytest.raises(StepFailed, match=r"killed \(signal 9\), probably because memory ran out"):
        _run("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", tmp_path)


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGTERM", "SIGINT", "SIGPIPE"])
def test_another_signal_is_a_crash_with_its_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(StepFailed, match=rf"crashed \(signal \d+, {name}\)"):
        _run(
            f"import os, signal; signal.signal(signal.{name}, signal.SIG_DFL); os.kill(os.getpid(), signal.{name})",
            tmp_path,
        )
    assert not list(tmp_path.glob("core*"))


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StepFailed, match=r"exit code 127: cannot start /no/such/tool: No such file or directory"):
        run("tool", ["/no/such/tool"], tmp_path, timeout_s=20)


_FAMILY = """
import subprocess, sys, time, pathlib
sleep = [sys.executable, '-I', '-S', '-c', 'import time; time.sleep(60)']
same, own = subprocess.Popen(sleep), subprocess.Popen(sleep, start_new_session=True)
pathlib.Path('pids').write_text(f'{same.pid} {own.pid}')
"""


def test_a_timeout_kills_the_tool_and_all_it_started_even_outside_its_group(tmp_path: Path) -> None:
    with pytest.raises(StepFailed, match=r"was not done after 2 s and was stopped"):
        _run(_FAMILY + "time.sleep(60)", tmp_path, timeout_s=2)
    assert all(_is_gone(int(pid)) for pid in (tmp_path / "pids").read_text().split())


def test_what_a_finished_tool_left_running_in_its_group_is_killed(tmp_path: Path) -> None:
    _run(_FAMILY.replace(", subprocess.Popen(sleep, start_new_session=True)", ", subprocess.Popen(sleep)"), tmp_path)
    assert all(_is_gone(int(pid)) for pid in (tmp_path / "pids").read_text().split())


def test_what_a_finished_tool_left_running_outside_its_group_is_killed(tmp_path: Path) -> None:
    _run(_FAMILY, tmp_path)
    assert all(_is_gone(int(pid)) for pid in (tmp_path / "pids").read_text().split())


_ORPHAN = """
import os, pathlib, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        pathlib.Path('pids').write_text(str(os.getpid()))
        time.sleep(60)
    os._exit(0)
while not pathlib.Path('pids').exists() or not pathlib.Path('pids').read_text():
    time.sleep(0.02)
"""


@pytest.mark.parametrize("then", ["", "time.sleep(60)"], ids=["ends", "hangs"])
def test_a_daemon_that_has_left_its_parents_and_its_group_is_killed_too(tmp_path: Path, then: str) -> None:
    if then:
        with pytest.raises(StepFailed, match="was not done"):
            _run(_ORPHAN + then, tmp_path, timeout_s=1.5)
    else:
        _run(_ORPHAN, tmp_path)
    assert _is_gone(int((tmp_path / "pids").read_text()))


def test_too_much_memory_stops_the_tool_and_all_it_started(tmp_path: Path) -> None:
    hungry = "import time; x = bytearray(300_000_000); time.sleep(60)"
    child = f"import sys, subprocess; subprocess.run([sys.executable, '-I', '-S', '-c', {hungry!r}])"
    started = time.monotonic()
    with pytest.raises(StepFailed, match=r"tool took more than 0\.2 GiB of memory and was stopped"):
        _run(child, tmp_path, memory_bytes=200 * 1024**2)
    assert time.monotonic() - started < 15


def test_a_tool_may_take_nearly_all_memory_or_what_a_container_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(process, "_CONTAINER_LIMIT", limit)
    total = psutil.virtual_memory().total
    for text, expected in ((None, total), ("max\n", total), ("1000000000\n", 1_000_000_000)):
        if text is not None:
            limit.write_text(text)
        assert process.most_bytes() == int(0.9 * expected)


def test_an_interrupt_kills_the_tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real_wait = subprocess.Popen.wait

    def interrupted(self: "subprocess.Popen[bytes]", timeout: float | None = None) -> int:
        if timeout is None:
            return real_wait(self)
        while not (tmp_path / "pids").exists() or not (tmp_path / "pids").read_text():
            time.sleep(0.02)
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess.Popen, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        _run(_FAMILY + "time.sleep(60)", tmp_path)
    assert all(_is_gone(int(pid)) for pid in (tmp_path / "pids").read_text().split())


def test_a_tool_does_not_outlive_a_parent_that_is_killed(tmp_path: Path) -> None:
    tool = _script(tmp_path, "import os, pathlib, time; pathlib.Path('pid').write_text(str(os.getpid())); time.sleep(60)")
    parent = subprocess.Popen(
        [
            *(sys.executable, "-c"),
            "from pathlib import Path; from srreg.backends.process import run;"
            f"run('tool', {tool!r}, Path({str(tmp_path)!r}), timeout_s=60)",
        ]
    )
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        time.sleep(0.05)
    parent.kill()
    parent.wait()
    assert _is_gone(int((tmp_path / "pid").read_text()))


@pytest.mark.parametrize("fails", [False, True])
def test_a_work_folder_is_empty_at_first_and_gone_afterwards(tmp_path: Path, fails: bool) -> None:
    kept: list[Path] = []

    def use() -> None:
        with work_folder(tmp_path) as folder:
            kept.append(folder)
            assert list(folder.iterdir()) == []
            (folder / "deep").mkdir()
            (folder / "deep" / "file").write_text("x")
            if fails:
                raise ValueError("no")

    if fails:
        with pytest.raises(ValueError, match="no"):
            use()
    else:
        use()
    assert kept[0].parent == tmp_path.resolve()
    assert list(tmp_path.iterdir()) == []
