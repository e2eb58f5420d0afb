"""The memory of this process: freed blocks, garbage collection, peak usage."""

import ctypes
import gc
import sys
from pathlib import Path

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
