"""What makes a run repeatable: its seed, its generators, its threads and its algorithms.

Every consumer of randomness has its own generator, derived from the one seed of the config by
name, so that an additional consumer never changes the draws of the others.
"""

import ctypes
import gc
import hashlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch

# Numbers stay float32; their products are computed in float32, in TensorFloat-32 (on a GPU that has
# it), or from bfloat16 copies (on a processor that has them).
MATMUL_PRECISIONS = ("highest", "high", "medium")


def derive(seed: int, *name: str | int) -> int:
    """A 63-bit seed of its own for every name, from the run's seed. Seed 0 is a seed."""
    text = "/".join(str(part) for part in (seed, *name))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(seed: int, *name: str | int) -> torch.Generator:
    """A CPU generator for one consumer, e.g. `generator(seed, "order", epoch)`."""
    return torch.Generator().manual_seed(derive(seed, *name))


@contextmanager
def global_stream(seed: int, *name: str | int) -> Iterator[None]:
    """Let torch's global generators start from a derived seed inside, as they were outside."""
    with torch.random.fork_rng():
        torch.manual_seed(derive(seed, *name))
        yield


def prepare(deterministic: bool, threads: int, matmul_precision: str = "highest") -> None:
    """Set the process up for a run: thread count, algorithms, precision of products, memory.

    matmul_precision: one of `MATMUL_PRECISIONS`, of torch.set_float32_matmul_precision.
    """
    torch.set_num_threads(threads)
    # A gradient that vanishes over the steps ends below 1e-38, and there each operation takes up to
    # a hundred times as long. It counts as zero. Threads inherit this when they start.
    torch.set_flush_denormal(True)
    torch.set_float32_matmul_precision(matmul_precision)
    # cuBLAS reads this when it starts; without it deterministic products are refused on a GPU.
    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(deterministic)
    # Strictness fills new memory with NaN, a help in the search for reads of what was never written
    # that takes up to a fifth of the time.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.deterministic = deterministic
    torch.backends.cudnn.benchmark = False
    keep_freed_memory()
    spare_what_is_loaded()


def keep_freed_memory() -> None:
    """Ask glibc to keep large freed blocks instead of returning them to the kernel.

    A time loop allocates and frees the same large temporaries at every step; returned to the
    kernel, each faults in again page by page, which takes up to half of the training time.
    Elsewhere than on glibc nothing happens.
    """
    if not sys.platform.startswith("linux"):
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return
    trim_threshold, mmap_threshold = -1, -3  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD in malloc.h
    mallopt(trim_threshold, 2**30)
    mallopt(mmap_threshold, 2**30)


def spare_what_is_loaded() -> None:
    """Let Python's garbage collector pass by what is in memory before the process' first run.

    These are half a million objects of torch, Lightning and others, in which it would look for
    garbage again and again, a fifth of a second each time: a twentieth of a training in batches of
    one.
    """
    if not gc.get_freeze_count():
        gc.collect()
        gc.freeze()
