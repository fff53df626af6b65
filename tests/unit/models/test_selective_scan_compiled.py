"""The C++ kernel's library: compiled once, whole or not at all, and not at all where it cannot be."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from models.selective_scan import compiled, cpp
from models.selective_scan.compiled import CannotCompile, library

PACKAGE = Path(compiled.__file__).parent


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    library.cache_clear()
    yield
    library.cache_clear()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache; the tests that compile are skipped where there is no compiler."""
    if not any(map(shutil.which, ("c++", "g++", "clang++"))):
        pytest.skip("no C++ compiler")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "srreg"


def compiler(path: Path, script: str) -> str:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def test_a_library_is_compiled_once(cache: Path) -> None:
    library()
    (made,) = cache.iterdir()  # nothing else is left there
    before = made.stat()
    library.cache_clear()
    library()
    assert [(path.stat().st_ino, path.stat().st_mtime_ns) for path in cache.iterdir()] == [(before.st_ino, before.st_mtime_ns)]


def test_a_damaged_library_is_compiled_again(cache: Path) -> None:
    cache.mkdir()
    _, digest = compiled._command(compiled._compiler())
    damaged = cache / f"scan-{digest}.so"
    damaged.write_bytes(b"half a")
    assert library().forward_float32
    assert damaged.stat().st_size > 1000


def test_a_cache_that_cannot_be_written_is_done_without(cache: Path) -> None:
    cache.write_text("not a folder")
    assert library().forward_float32
    assert cache.read_text() == "not a folder"


def test_two_processes_may_compile_at_once(cache: Path) -> None:
    script = "from compiled import library; print(library().backward_float64 is not None)"  # without torch: at once
    both = [
        subprocess.Popen([sys.executable, "-c", script], cwd=PACKAGE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for process in both:
        said, complaint = process.communicate(timeout=300)
        assert (said, process.returncode) == ("True\n", 0), complaint
    assert len(list(cache.iterdir())) == 1


def test_another_compiler_makes_another_library(cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _, digest = compiled._command(compiled._compiler())
    monkeypatch.setenv("CXX", f"{compiled._compiler()[0]} -D__VERSION__=2")
    assert compiled._command(compiled._compiler())[1] != digest


def test_a_compiler_that_knows_no_native_processor_is_used_without(
    cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    real = compiled._compiler()[0]
    picky = f'case "$*" in *=native*) echo unknown option >&2; exit 1;; esac; exec {real} "$@"'
    monkeypatch.setenv("CXX", compiler(tmp_path / "picky", picky))
    command, _ = compiled._command(compiled._compiler())
    assert not any("native" in flag for flag in command)
    assert library().forward_float32


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("exit 1", "broken' failed: without a word; install another, or name it in CXX"),
        ('case "$*" in *-dM*) exit 0;; esac; echo "no space left" >&2; exit 1', "broken' failed: no space left"),
        ('case "$*" in *-dM*) exit 0;; esac; for last; do :; done; touch "$(dirname "$0")/x.so"', "cannot be loaded"),
    ],
    ids=["always", "when it compiles", "without a library"],
)
def test_a_broken_compiler_is_a_reason(script: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", compiler(tmp_path / "broken", script))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert reason in cpp.missing(torch.device("cpu"))
    assert list((tmp_path / "cache").rglob("*.so")) == []


def test_a_compiler_that_is_not_there_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "/nowhere/c++")
    with pytest.raises(CannotCompile, match="'/nowhere/c\\+\\+' cannot be run: .* name it in CXX"):
        library()
