"""A command of the user's own as a back end, held against programs that do well and that go wrong."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import psutil
import pytest
from fake_tools import BRAIN, LABELS, MEMORY_BYTES, MISBEHAVIOUR, PATIENCE_S, write_tool
from phantom import head

from srreg.backends import process
from srreg.backends.protocol import Backend, Resources
from srreg.backends.registry import SEGMENTERS, SKULL_STRIPPERS, make
from srreg.errors import BackendUnavailable, StepFailed, UsageError
from srreg.registry import Registry

HEAD = head(spacing_mm=7.0, shape=(16, 32, 40))
KINDS = [SKULL_STRIPPERS, SEGMENTERS]

Kind = Registry[type[Backend]]


def _good(kind: Kind) -> str:
    return f"write({BRAIN if kind is SKULL_STRIPPERS else LABELS})"


@pytest.fixture
def work(tmp_path: Path) -> Path:
    (tmp_path / "work").mkdir()
    return tmp_path / "work"


def _backend(kind: Kind, tool: Path | str, work: Path, rest: str = "{input} {output}", **more: object) -> Backend:
    return make(kind, f"command:'{tool}' {rest}", Resources(work=work, **more))  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", KINDS)
def test_a_good_answer_comes_back_on_the_grid_of_the_mr(kind: Kind, tmp_path: Path, work: Path) -> None:
    tool = write_tool(tmp_path / "a folder; $(touch x)" / "tool.py", _good(kind))
    found = _backend(kind, tool, work)(HEAD)
    assert found.grid.matches(HEAD.mr.grid)
    assert found.values == ((0, 1) if kind is SKULL_STRIPPERS else (0, 2, 3))
    assert list(work.iterdir()) == []


@pytest.mark.parametrize(
    ("kind", "text"),
    [(kind, text) for kind in KINDS for text in MISBEHAVIOUR if kind is SEGMENTERS or "sleep" not in text],
)
def test_a_command_that_misbehaves_fails_its_subject_and_leaves_nothing_behind(
    kind: Kind, tmp_path: Path, work: Path, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "most_bytes", lambda: MEMORY_BYTES)
    patience_s = PATIENCE_S if "was not done" in MISBEHAVIOUR[text] else 30.0
    with pytest.raises(StepFailed, match=f"^command .*({MISBEHAVIOUR[text]})"):
        _backend(kind, write_tool(tmp_path / "tool.py", text), work, timeout_s=patience_s)(HEAD)
    assert list(work.iterdir()) == []


def test_labels_that_are_not_in_the_table_are_refused_with_the_list(tmp_path: Path, work: Path) -> None:
    tool = write_tool(tmp_path / "tool.py", f"result = {LABELS}; result[0, 0, :2] = 77, 1001; write(result)")
    with pytest.raises(StepFailed, match=r"command gave unknown labels \[77, 1001\]"):
        _backend(SEGMENTERS, tool, work)(HEAD)


def test_what_a_command_leaves_running_ends_with_it(tmp_path: Path, work: Path) -> None:
    child = "import subprocess; child = subprocess.Popen(['sleep', '60'], start_new_session=True)"
    tool = write_tool(
        tmp_path / "tool.py", f"{child}; Path({str(tmp_path)!r}, 'pid').write_text(str(child.pid)); {_good(SEGMENTERS)}"
    )
    _backend(SEGMENTERS, tool, work)(HEAD)
    assert not psutil.pid_exists(int((tmp_path / "pid").read_text()))


def test_an_answer_whose_axes_run_another_way_is_turned_and_not_interpolated(tmp_path: Path, work: Path) -> None:
    turned = write_tool(tmp_path / "turned.py", f"write(({BRAIN})[::-1], image.affine @ numpy.diag([-1, 1, 1, 1]) + FAR)")
    first_voxel = np.zeros((4, 4))
    first_voxel[0, 3] = 7.0 * 15  # the far end of the first axis: 16 voxels of 7 mm
    turned.write_text(turned.read_text().replace("FAR", f"numpy.array({first_voxel.tolist()})"))
    straight = write_tool(tmp_path / "straight.py", f"write({BRAIN})")
    np.testing.assert_array_equal(*(_backend(SKULL_STRIPPERS, tool, work)(HEAD).data for tool in (turned, straight)))


def test_places_are_filled_and_nothing_else_is_read_as_a_shell_would(tmp_path: Path, work: Path) -> None:
    said = tmp_path / "said.json"
    tool = write_tool(tmp_path / "tool.py", f"Path({str(said)!r}).write_text(json.dumps(sys.argv[1:])); {_good(SEGMENTERS)}")
    rest = """--device={device} -t {threads} {input} {output} ';' '$HOME' '*' 'a  b' '{"k": 1}' > x"""
    _backend(SEGMENTERS, tool, work, rest, device="cuda:1", threads=3)(HEAD)
    device, dash_t, threads, source, target, *others = json.loads(said.read_text())
    assert (device, dash_t, threads) == ("--device=cuda:1", "-t", "3")
    assert Path(source).is_absolute()
    assert Path(target).parent == Path(source).parent
    assert others == [";", "$HOME", "*", "a  b", '{"k": 1}', ">", "x"]
    assert not (tmp_path / "x").exists()


def test_files_are_named_from_where_the_build_was_started(tmp_path: Path, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = "assert [Path(a.removeprefix('--model=')).read_text() for a in sys.argv[3:]] == ['w', 'v']"
    write_tool(tmp_path / "tool.py", f"{read}; {_good(SEGMENTERS)}")
    (tmp_path / "weights.bin").write_text("w")
    (tmp_path / "more.bin").write_text("v")
    monkeypatch.chdir(tmp_path)
    _backend(SEGMENTERS, "./tool.py", work, "{input} {output} --model=weights.bin more.bin")(HEAD)


def test_the_fingerprint_holds_digests_of_program_and_files_and_no_place(tmp_path: Path, work: Path) -> None:
    made = {}
    for name, weights in (("here", "w"), ("there", "w"), ("changed", "v")):
        tool = write_tool(tmp_path / name / "tool.py", _good(SEGMENTERS))
        (tmp_path / name / "net.bin").write_text(weights)
        made[name] = _backend(
            SEGMENTERS, tool, work, f"{{input}} {{output}} --model={tmp_path / name / 'net.bin'}"
        ).fingerprint("x")
    assert made["here"] == made["there"] != made["changed"]
    assert str(tmp_path) not in made["here"]


def test_a_program_that_is_changed_gives_another_fingerprint_and_threads_do_not(tmp_path: Path, work: Path) -> None:
    tool = write_tool(tmp_path / "tool.py", _good(SEGMENTERS))
    one, many = (_backend(SEGMENTERS, tool, work, "{input} {output} {threads}", threads=n).fingerprint("x") for n in (1, 8))
    write_tool(tool, _good(SEGMENTERS) + "  # another version")
    assert one == many != _backend(SEGMENTERS, tool, work, "{input} {output} {threads}").fingerprint("x")
    assert one != _backend(SEGMENTERS, tool, work, "{input} {output}").fingerprint("x")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "no {input} and no {output}"),
        ("tool {input}", "no {output}; expected --segmenter 'command:"),
        ("tool {input} {output} {gpu}", "there is no {gpu}; a line may have {input}, {output}, {device}, {threads}"),
        ("tool '{input} {output}", "no closing quotation"),
    ],
)
def test_a_line_that_cannot_be_meant_is_a_usage_error(line: str, message: str) -> None:
    with pytest.raises(UsageError, match=message.replace("{", r"\{").replace("|", "")):
        make(SEGMENTERS, f"command:{line}", Resources())


def test_a_program_that_is_not_there_is_said_before_any_subject(tmp_path: Path) -> None:
    not_executable = tmp_path / "tool.sh"
    not_executable.write_text("exit 0")
    for program in ("no-such-tool", str(not_executable)):
        with pytest.raises(BackendUnavailable, match=f"command: {program} is no program here; name it by its path"):
            make(SKULL_STRIPPERS, f"command:{program} {{input}} {{output}}", Resources())


@pytest.mark.parametrize("words", ["CUDA out of memory. Tried", "OOM when allocating tensor", "CUDNN_STATUS_ALLOC_FAILED"])
def test_too_little_gpu_memory_means_one_more_try_on_the_cpu_where_the_line_has_a_device(
    tmp_path: Path, work: Path, caplog: pytest.LogCaptureFixture, words: str
) -> None:
    tool = write_tool(tmp_path / "tool.py", f"if sys.argv[3:4] != ['cpu']: sys.exit({words!r})\n{_good(SEGMENTERS)}")
    assert _backend(SEGMENTERS, tool, work, "{input} {output} {device}", device="cuda")(HEAD).data.any()
    assert "1BA001: command had too little GPU memory; done on the CPU" in caplog.text
    with pytest.raises(StepFailed, match=words):
        _backend(SEGMENTERS, tool, work, device="cuda")(HEAD)


def test_the_phantom_is_read_by_the_fake_tool_as_it_was_written(tmp_path: Path, work: Path) -> None:
    kept = tmp_path / "kept.nii"
    tool = write_tool(tmp_path / "tool.py", f"nibabel.save(image, {str(kept)!r}); {_good(SKULL_STRIPPERS)}")
    _backend(SKULL_STRIPPERS, tool, work)(HEAD)
    seen = nib.load(kept)
    np.testing.assert_array_equal(np.asarray(seen.dataobj), HEAD.mr.data)
    np.testing.assert_allclose(seen.affine, HEAD.mr.affine)
