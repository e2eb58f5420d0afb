"""What makes a run repeatable: its seed, its generators, its threads and its algorithms.

Every consumer of randomness has its own generator, derived from the one seed of the config by
name, so that an additional consumer never changes the draws of the others.
"""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from rnnexp.process.memory import keep_freed_memory, spare_what_is_loaded

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
