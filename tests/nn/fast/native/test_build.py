"""The library is compiled once, whole or not at all, and its absence is said."""

import ctypes
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from rnnexp.data.folders import cache_folder
from rnnexp.nn.cells import MGU
from rnnexp.nn.fast.compiled import compiler, missing_compiler
from rnnexp.nn.fast.native import build
from rnnexp.nn.recurrence import CellRecurrence

compiling = pytest.mark.skipif(bool(missing_compiler()), reason="no C++ compiler")


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of caches of its own, and nothing remembered from it."""
    monkeypatch.setenv("RNNEXP_CACHE", str(tmp_path))
    forget()
    yield tmp_path / "native"
    forget()


def forget() -> None:
    build._built.cache_clear()
    build.compiler_version.cache_clear()


@compiling
def test_compiled_once(empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert build.why_not() is None and isinstance(build.library(), ctypes.CDLL)
    (library,) = empty_cache.iterdir()  # no temporary file is left
    monkeypatch.setattr(build, "_compile", lambda path: pytest.fail("compiled again"))
    forget()
    assert build.why_not() is None and list(empty_cache.iterdir()) == [library]


@compiling
def test_other_instructions_are_another_library(monkeypatch: pytest.MonkeyPatch) -> None:
    names = set()
    for capability in ("AVX512", "AVX2", "DEFAULT"):
        monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda of=capability: of)
        names.add(build._key())
    assert len(names) == 3


def test_without_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "a-compiler-that-is-not-there")
    with pytest.warns(
        UserWarning,
        match="path=native: it needs the compiler a-compiler-that-is-not-there, which is not "
        "installed; the fused path is used",
    ):
        one = CellRecurrence(MGU, 4, 5, path="native")
    assert one.path == "fused"
    with pytest.raises(build.CannotBuild, match="which is not installed"):
        build.library()


def test_a_compiler_that_fails(
    tmp_path: Path, empty_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it says is repeated, and nothing is left behind."""
    broken = tmp_path / "broken"
    broken.write_text("#!/bin/sh\necho 'x.cpp:1:1: error: no such thing' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("CXX", str(broken))
    assert build.why_not() == f"{broken} cannot compile it: x.cpp:1:1: error: no such thing"
    assert list(empty_cache.iterdir()) == []


@compiling
def test_a_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file"
    file.write_text("")
    monkeypatch.setenv("RNNEXP_CACHE", str(file))
    assert str(build.why_not()).startswith("it cannot be compiled or loaded: ")


@compiling
def test_a_damaged_library_is_compiled_again(empty_cache: Path) -> None:
    empty_cache.mkdir()
    library = empty_cache / f"cells-{build._key()}.so"
    library.write_bytes(b"half of it")
    assert build.why_not() is None and library.stat().st_size > 10_000


def test_the_folder_is_that_of_the_other_caches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert build._folder() == cache_folder() / "native"
    monkeypatch.delenv("RNNEXP_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert build._folder() == cache_folder() / "native"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert build._folder() == cache_folder() / "native"


@compiling
def test_the_compiler_is_named() -> None:
    assert Path(shutil.which(compiler()) or "").name.split("-")[0] in build.compiler_version()
