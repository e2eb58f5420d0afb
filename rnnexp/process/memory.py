"""The memory of this process: freed blocks, garbage collection, peak usage, and too little."""

import ctypes
import gc
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rnnexp.errors import RunFailed

MEMINFO = Path("/proc/meminfo")  # memory of the machine, on Linux
PROC_STATUS = Path("/proc/self/status")  # peak memory of this process, on Linux


def keep_freed_memory() -> None:
    """Ask glibc to keep large freed blocks instead of returning them to the kernel.

    A time loop allocates and frees the same large temporaries at every step. If they return to the
    kernel, every page faults again, which takes up to half of the training time. Without glibc this
    does nothing.
    """
    if not sys.platform.startswith("linux"):
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return
    trim_threshold, mmap_threshold = -1, -3  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD in malloc.h
    mallopt(trim_threshold, 2**30)  # bytes
    mallopt(mmap_threshold, 2**30)


def release_freed_memory() -> None:
    """Return freed blocks to the kernel once, e.g. those that reading the data left. Without glibc
    this does nothing."""
    if not sys.platform.startswith("linux"):
        return
    try:
        malloc_trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError):
        return
    malloc_trim(0)


def freeze_loaded_objects() -> None:
    """Exclude all objects that exist before the first run from garbage collection (`gc.freeze`).

    torch, Lightning and others hold half a million objects. A full collection scans them all, which
    takes a fifth of a second each time: a twentieth of a training in batches of one.
    """
    if not gc.get_freeze_count():
        gc.collect()
        gc.freeze()


def peak_memory() -> int | None:
    """Peak resident memory of this process in bytes, without GPU memory; None if the system does
    not report it."""
    try:
        lines = PROC_STATUS.read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        return None
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM")), None)


# Too little memory ------------------------------------------------------------------------------

REFUSALS = re.compile(  # what torch and CUDA say
    "can't allocate memory|not enough memory|out of memory|Storage size calculation overflowed",
    re.IGNORECASE,
)
ADVICE = "lower model.hidden_size, data.batch_size or data.eval_batch_size"


def check_memory(weights: int) -> None:
    """Check that a network can be trained in the memory of this machine, before any is taken: the
    system may end a process that takes too much, without a word.

    weights: their size in bytes; a training needs at least as much again for the gradients.

    Raises:
        RunFailed: it cannot.
    """
    available = available_memory()
    if available is not None and 2 * weights > available:
        raise RunFailed(
            f"not enough memory: the weights of the network take {_shown(weights)} and their "
            f"gradients as much, and {_shown(available)} are free; {ADVICE}"
        )


def available_memory() -> int | None:
    """Memory in bytes that can be taken without swapping; None if the system does not say."""
    try:
        lines = MEMINFO.read_text(encoding="utf-8").splitlines()
        return next(1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvail"))
    except (OSError, StopIteration, ValueError):  # not Linux
        return None


@contextmanager
def enough_memory() -> Iterator[None]:
    """A refused allocation in the block is one sentence.

    Raises:
        RunFailed: there is not enough memory.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and not REFUSALS.search(str(error)):
            raise
        said = str(error).strip().partition("\n")[0][:200]
        raise RunFailed(f"not enough memory{f' ({said})' if said else ''}: {ADVICE}") from error


def _shown(size: int) -> str:
    return f"{size / 2**30:,.1f} GiB"
