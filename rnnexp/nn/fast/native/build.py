"""Compile the C++ of this folder on first use, with the compiler of this machine.

The library is kept in the folder of caches ($RNNEXP_CACHE, or the user's), under a name that
depends on the sources and on the vector instructions that torch uses here.
"""

import ctypes
import hashlib
import os
import platform
import subprocess
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
    try:
        library()
    except CannotBuild as error:
        return str(error)
    return None


@cache
def library() -> ctypes.CDLL:
    """The library, compiled if it is not there yet.

    Raises:
        CannotBuild: there is no compiler, or it fails.
    """
    path = _folder() / f"cells-{_key()}.so"
    try:
        if not path.exists():
            _compile(path)
        return ctypes.CDLL(str(path))
    except OSError as error:
        raise CannotBuild(f"{path} cannot be written or loaded: {error}") from error


def _command() -> list[str]:
    capability = torch.backends.cpu.get_cpu_capability()
    return [compiler(), *FLAGS, *INSTRUCTIONS.get(capability, []), "-shared", "-fPIC"]


def _key() -> str:
    """What the library depends on."""
    sources = [path.read_bytes() for path in sorted(FOLDER.glob("*.[ch]*"))]
    command = " ".join([*_command(), platform.machine()]).encode()
    return hashlib.sha256(b"\0".join([command, *sources])).hexdigest()[:16]


def _folder() -> Path:
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("RNNEXP_CACHE") or Path(root) / "rnnexp") / "native"


def _compile(path: Path) -> None:
    """Write the library, whole or not at all: several processes may do it at once."""
    if missing := missing_compiler():
        raise CannotBuild(f"it needs the compiler {missing}, which is not installed")
    path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=path.parent) as folder:
        made = Path(folder) / path.name
        command = [*_command(), str(SOURCE), "-o", str(made)]
        try:
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=SECONDS)
        except subprocess.CalledProcessError as error:
            lines = [line for line in error.stderr.splitlines() if "error" in line]
            raise CannotBuild(f"{compiler()} cannot compile it: {(lines or ['?'])[0]}") from error
        except subprocess.TimeoutExpired as error:
            raise CannotBuild(f"{compiler()} needs more than {SECONDS} seconds") from error
        os.replace(made, path)
