"""Compile the C++ of this folder on first use, with the compiler of this machine.

The library is kept in the folder of caches ($RNNEXP_CACHE, or the user's), under a name that
depends on the sources, the compiler, and the vector instructions that torch uses here.
"""

import ctypes
import hashlib
import os
import platform
import subprocess
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from rnnexp.nn.fast.compiled import compiler, missing_compiler

FOLDER = Path(__file__).parent
SOURCE = FOLDER / "cells.cpp"
# torch decides which of them: the processor has these instructions, and a setting may forbid some.
INSTRUCTIONS = {
    "AVX512": [
        *("-mavx512f", "-mavx512dq", "-mavx512bw", "-mavx512vl", "-mfma"),
        "-mprefer-vector-width=512",
    ],
    "AVX2": ["-mavx2", "-mfma"],
}
# Sums keep their order, NaN stays NaN, and no setting of the processor changes.
FLAGS = ["-std=c++17", "-O3", "-fno-math-errno", "-fno-trapping-math", "-fopenmp"]
SECONDS = 300  # at most; it takes two to ten


class CannotBuild(Exception):
    """There is no library on this machine. The message says why."""


def why_not() -> str | None:
    """Why there is no native path on this machine; None if there is one. Compiles on first use."""
    built = _built()
    return built if isinstance(built, str) else None


def library() -> ctypes.CDLL:
    """The library, compiled on first use.

    Raises:
        CannotBuild: there is no compiler, or it fails.
    """
    built = _built()
    if isinstance(built, str):
        raise CannotBuild(built)
    return built


@cache
def compiler_version() -> str:
    """The first line of the output of `compiler --version`.

    Raises:
        CannotBuild: there is no compiler.
    """
    if missing := missing_compiler():
        raise CannotBuild(f"it needs the compiler {missing}, which is not installed")
    return (_output([compiler(), "--version"]).stdout.splitlines() or [compiler()])[0]


@cache
def _built() -> ctypes.CDLL | str:
    """The library, or why there is none."""
    try:
        path = _folder() / f"cells-{_key()}.so"
        if path.exists():
            with suppress(OSError):  # a damaged file is compiled again
                return ctypes.CDLL(str(path))
        _compile(path)
        return ctypes.CDLL(str(path))
    except CannotBuild as error:
        return str(error)
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:
        return f"it cannot be compiled or loaded: {error}"


def _command() -> list[str]:
    capability = torch.backends.cpu.get_cpu_capability()
    return [compiler(), *FLAGS, *INSTRUCTIONS.get(capability, []), "-shared", "-fPIC"]


def _key() -> str:
    """What the library depends on."""
    sources = [path.read_bytes() for path in sorted(FOLDER.glob("*.[ch]*"))]
    command = " ".join([*_command(), platform.machine(), compiler_version()]).encode()
    return hashlib.sha256(b"\0".join([command, *sources])).hexdigest()[:16]


def _folder() -> Path:
    """The folder `native` of rnnexp's caches, as rnnexp.data.folders has them: this room knows
    nothing of data."""
    if own := os.environ.get("RNNEXP_CACHE"):
        return Path(own) / "native"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "rnnexp" / "native"
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "rnnexp" / "native"


def _compile(path: Path) -> None:
    """Write the library, whole or not at all: several processes may do it at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=path.parent) as folder:
        made = Path(folder) / path.name
        result = _output([*_command(), str(SOURCE), "-o", str(made)])
        if result.returncode:
            lines = [*result.stderr.splitlines(), *result.stdout.splitlines(), "it says nothing"]
            telling = [line for line in lines if "error:" in line or "cannot find" in line]
            raise CannotBuild(f"{compiler()} cannot compile it: {(telling or lines)[0]}")
        os.replace(made, path)


def _output(command: list[str]) -> subprocess.CompletedProcess[str]:
    """What a command says, in English."""
    english = {**os.environ, "LC_ALL": "C"}
    return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, env=english)
