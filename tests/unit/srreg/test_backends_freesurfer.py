"""SynthStrip and SynthSeg, held against programs that stand in for FreeSurfer's."""

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fake_tools import BRAIN, LABELS, write_tool
from phantom import head

from srreg.backends.protocol import Backend, Resources
from srreg.backends.registry import SEGMENTERS, SKULL_STRIPPERS, make, prove
from srreg.backends.segmenters import synthseg
from srreg.backends.segmenters.synthseg import Synthseg
from srreg.backends.skull_strippers import synthstrip
from srreg.backends.skull_strippers.synthstrip import Synthstrip
from srreg.backends.torch_probe import TorchProbe
from srreg.errors import BackendUnavailable, StepFailed
from srreg.labels import INDICES, RIGHT_TO_LEFT

HEAD = head(spacing_mm=7.0, shape=(16, 32, 40))
MODULES = {Synthstrip: synthstrip, Synthseg: synthseg}
GOOD = {Synthstrip: f"write({BRAIN})", Synthseg: f"write({LABELS})"}
# How SynthSeg's 33 values are numbered: models/synthseg_segmentation_labels_2.0.npy of FreeSurfer.
SYNTHSEG_VALUES = (
    *(0, 2, 3, 4, 5, 7, 8, 10, 11, 12, 13, 14, 15, 16, 17, 18, 24, 26, 28),
    *(41, 42, 43, 44, 46, 47, 49, 50, 51, 52, 53, 54, 58, 60),
)

Install = Callable[[str], Path]


@pytest.fixture(params=[Synthstrip, Synthseg])
def kind(request: pytest.FixtureRequest) -> type[Backend]:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture(autouse=True)
def _coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    """SynthSeg's millimetre takes seconds a run; what does not depend on it is tested at the phantom's own spacing."""
    monkeypatch.setattr(synthseg, "SPACING_MM", 7.0)


@pytest.fixture
def work(tmp_path: Path) -> Path:
    (tmp_path / "work").mkdir()
    return tmp_path / "work"


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """A FreeSurfer whose two programs both run a text; its folder is given back."""
    home = tmp_path / "freesurfer"
    monkeypatch.setenv("PATH", f"{home / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("FREESURFER_HOME", raising=False)

    def put(text: str) -> Path:
        (home / "models").mkdir(parents=True, exist_ok=True)
        (home / "build-stamp.txt").write_text("freesurfer-linux-ubuntu22_x86_64-7.4.1-20230614-7eb8460\n")
        for module in MODULES.values():
            write_tool(home / "bin" / module.PROGRAM.name, text)
            (home / "models" / module.PROGRAM.network).write_text("network")
            published = hashlib.sha256(b"network").hexdigest()
            monkeypatch.setattr(module, "PROGRAM", replace(module.PROGRAM, network_sha256=published))
        return home

    return put


def test_a_good_answer_comes_back_on_the_grid_of_the_mr(kind: type[Backend], install: Install, work: Path) -> None:
    install(GOOD[kind])  # type: ignore[index]
    backend = kind(Resources(work=work))
    assert backend.check() == []
    found = backend(HEAD)
    assert found.grid.matches(HEAD.mr.grid)
    assert found.values == ((0, 1) if kind is Synthstrip else (0, 2, 3))
    assert list(work.iterdir()) == []


def _said(install: Install, kind: type[Backend], tmp_path: Path) -> Callable[[], list[str]]:
    said = tmp_path / "said.json"
    where = "[os.environ['FREESURFER_HOME'], os.environ.get('CUDA_VISIBLE_DEVICES', 'all')]"
    install(f"import os; Path({str(said)!r}).write_text(json.dumps(sys.argv[1:] + {where})); {GOOD[kind]}")  # type: ignore[index]
    return lambda: json.loads(said.read_text())


@pytest.mark.parametrize(("device", "gpu"), [("cpu", []), ("cuda", ["-g"])])
def test_synthstrip_is_asked_for_the_mask_alone(
    install: Install, work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: str, gpu: list[str]
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    said = _said(install, Synthstrip, tmp_path)
    Synthstrip(Resources(work=work, device=device, threads=3))(HEAD)
    image, source, mask, target, *rest, home, _ = said()
    assert (image, Path(source).name, mask, Path(target).name) == ("-i", "mr.nii.gz", "-m", "brain.nii.gz")
    assert rest == gpu
    assert home == str(tmp_path / "freesurfer")


@pytest.mark.parametrize(
    ("device", "options", "visible"), [("cpu", ["--cpu"], "all"), ("cuda", [], "all"), ("cuda:1", [], "1")]
)
def test_synthseg_is_told_threads_and_device(
    install: Install,
    work: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    device: str,
    options: list[str],
    visible: str,
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    said = _said(install, Synthseg, tmp_path)
    Synthseg(Resources(work=work, device=device, threads=3))(HEAD)
    dash_i, _, dash_o, _, threads, count, *rest, _, seen = said()
    assert (dash_i, dash_o, threads, count) == ("--i", "--o", "--threads", "3")
    assert (rest, seen) == (options, visible)


def test_labels_of_a_head_at_the_tools_spacing_are_the_tools_own_voxels(install: Install, work: Path) -> None:
    install(GOOD[Synthseg])
    found, voxels = Synthseg(Resources(work=work))(HEAD), HEAD.mr.data
    np.testing.assert_array_equal(found.data, np.select([voxels > 90, voxels > 70], [2, 3], 0))


def test_labels_come_back_from_one_millimetre_where_they_were(
    install: Install, work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stand-in answers with the truth, each voxel of 7 mm as 343 of 1 mm."""
    monkeypatch.setattr(synthseg, "SPACING_MM", 1.0)
    assert HEAD.labels is not None
    truth = tmp_path / "truth.npy"
    np.save(truth, HEAD.labels.data.repeat(7, 0).repeat(7, 1).repeat(7, 2))
    install(f"assert voxels.shape == (112, 224, 280); write(numpy.load({str(truth)!r}))")
    np.testing.assert_array_equal(Synthseg(Resources(work=work))(HEAD).data, HEAD.labels.data)


def test_every_value_of_synthseg_has_a_place_in_the_table() -> None:
    assert {RIGHT_TO_LEFT.get(value, value) for value in SYNTHSEG_VALUES} == set(INDICES)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "reported success but wrote no (brain|labels).nii.gz"),
        ("write(voxels[1:] > 66)", "gave another grid than its image's"),
        ("sys.exit('no FREESURFER_HOME')", "failed with exit code 1: no FREESURFER_HOME"),
    ],
    ids=["nothing", "other grid", "exit code"],
)
def test_a_tool_that_misbehaves_fails_its_subject_and_leaves_nothing_behind(
    kind: type[Backend], install: Install, work: Path, text: str, message: str
) -> None:
    install(text)
    with pytest.raises(StepFailed, match=f"^{kind.name} .*({message})"):
        kind(Resources(work=work))(HEAD)
    assert list(work.iterdir()) == []


def test_labels_that_synthseg_gives_with_an_option_we_do_not_set_are_refused(install: Install, work: Path) -> None:
    install("write(numpy.where(voxels > 66, 1001, 0))")  # --parc: the cortex in parcels
    with pytest.raises(StepFailed, match=r"synthseg gave unknown labels \[1001\]"):
        Synthseg(Resources(work=work))(HEAD)


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_too_little_gpu_memory_means_one_more_try_on_the_cpu(
    kind: type[Backend], install: Install, work: Path, caplog: pytest.LogCaptureFixture, stream: str
) -> None:
    on_cpu = "'-g' not in sys.argv" if kind is Synthstrip else "'--cpu' in sys.argv"
    complaint = (
        f"print('2023: I tensorflow', file=sys.stderr); print('Resource exhausted: OOM when allocating', file=sys.{stream})"
    )
    install(f"if not ({on_cpu}): {complaint}; sys.exit(1)\n{GOOD[kind]}")  # type: ignore[index]
    assert kind(Resources(work=work, device="cuda"))(HEAD).data.any()
    assert f"1BA001: {kind.name} had too little GPU memory; done on the CPU" in caplog.text


def test_what_is_missing_is_said_before_any_subject(
    kind: type[Backend], install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = MODULES[kind]  # type: ignore[index]
    home = install(GOOD[kind])  # type: ignore[index]
    network = home / "models" / module.PROGRAM.network
    network.write_text("another")
    (line,) = kind(Resources()).check()
    assert "is damaged or another release" in line
    network.unlink()
    assert "has no network" in kind(Resources()).check()[0]
    monkeypatch.setenv("PATH", "/nowhere")
    (line,) = kind(Resources()).check()
    assert f"{module.PROGRAM.name} is not on PATH; it comes with FreeSurfer {module.PROGRAM.since} or newer" in line
    registry = SKULL_STRIPPERS if kind is Synthstrip else SEGMENTERS
    with pytest.raises(BackendUnavailable, match="is not on PATH"):
        make(registry, kind.name, Resources())


def test_the_place_that_freesurfer_names_itself_counts(
    kind: type[Backend], install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(GOOD[kind])  # type: ignore[index]
    monkeypatch.setenv("FREESURFER_HOME", str(tmp_path / "elsewhere"))
    assert "has no network" in kind(Resources()).check()[0]


def test_the_fingerprint_has_release_and_digest_and_a_proof_prints_it(kind: type[Backend], install: Install) -> None:
    home = install(GOOD[kind])  # type: ignore[index]
    before = prove(kind.name)
    assert "7.4.1-20230614-7eb8460" in before
    assert hashlib.sha256(b"network").hexdigest() in before
    assert str(home) not in before
    (home / "build-stamp.txt").write_text("freesurfer-8.0.0")
    assert kind(Resources()).fingerprint("1BA001") != before


def test_a_gpu_that_synthstrip_cannot_choose_is_refused(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    install(GOOD[Synthstrip])
    monkeypatch.setattr("srreg.backends.torch_probe.probe_torch", lambda: TorchProbe("2", "13.0", ("A", "B")))
    assert Synthstrip(Resources(device="cuda")).check() == []
    assert "on the first GPU" in Synthstrip(Resources(device="cuda:1")).check()[0]
    assert Synthseg(Resources(device="cuda:1")).check() == []
