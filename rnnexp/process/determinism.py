"""Makes a run repeatable: seeds, random generators, threads and algorithms.

Every consumer of randomness has its own generator, seeded from the config's seed and the consumer's
name. So an additional consumer never changes the draws of the others.
"""

import hashlib
import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import numpy as np
import torch

from rnnexp.process.memory import freeze_loaded_objects, keep_freed_memory

# Precision of float32 matrix products: float32, TensorFloat-32 (on GPUs with support), or bfloat16
# operands (on processors with support). Operands and results are stored as float32.
MATMUL_PRECISIONS = ("highest", "high", "medium")


def derive(seed: int, *name: str | int) -> int:
    """A 63-bit seed for one consumer, from the run's seed and the consumer's name."""
    text = "/".join(str(part) for part in (seed, *name))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(seed: int, *name: str | int) -> torch.Generator:
    """A CPU generator for one consumer, e.g. `generator(seed, "order", epoch)`."""
    return torch.Generator().manual_seed(derive(seed, *name))


@contextmanager
def global_stream(seed: int, *name: str | int) -> Iterator[None]:
    """Seed the global generators of torch, NumPy and Python for the block, and restore their states
    afterwards."""
    derived = derive(seed, *name)
    others = np.random.get_state(), random.getstate()
    with torch.random.fork_rng():
        torch.manual_seed(derived)
        np.random.seed(derived % 2**32)
        random.seed(derived)
        try:
            yield
        finally:
            np.random.set_state(others[0])
            random.setstate(others[1])


def random_states() -> dict[str, Any]:
    """The states of the global generators, as tensors and plain values."""
    version, python, python_gauss = random.getstate()
    _, keys, position, has_gauss, numpy_gauss = cast(tuple[Any, ...], np.random.get_state())
    return {
        "python": torch.tensor(python),
        "python_rest": [version, python_gauss],
        "numpy": torch.from_numpy(keys.astype(np.int64)),
        "numpy_rest": [position, has_gauss, numpy_gauss],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def restore_random_states(states: dict[str, Any]) -> None:
    """Set the global generators to what `random_states` returned."""
    random.setstate(_python_state(states))
    np.random.set_state(_numpy_state(states))
    torch.set_rng_state(states["torch"])
    if torch.cuda.is_available() and states["cuda"]:
        torch.cuda.set_rng_state_all(states["cuda"])


def wrong_random_states(states: dict[str, Any]) -> str | None:
    """The name of the first state that a generator does not take; None if there is none."""
    tries: dict[str, Callable[[], object]] = {
        "python": lambda: random.Random().setstate(_python_state(states)),
        "numpy": lambda: np.random.RandomState().set_state(_numpy_state(states)),
        "torch": lambda: torch.Generator().set_state(states["torch"]),
    }
    for name, restore in tries.items():
        try:
            restore()
        except (TypeError, ValueError, OverflowError, RuntimeError):
            return name
    return None


def _python_state(states: dict[str, Any]) -> Any:
    version, gauss = states["python_rest"]
    return version, tuple(states["python"].tolist()), gauss


def _numpy_state(states: dict[str, Any]) -> Any:
    if states["numpy"].dtype != torch.int64:
        raise TypeError(states["numpy"].dtype)
    position, has_gauss, gauss = states["numpy_rest"]
    return "MT19937", states["numpy"].numpy().astype(np.uint32), position, has_gauss, gauss


def prepare(deterministic: bool, threads: int, matmul_precision: str = "highest") -> None:
    """Set up the process for a run: threads, algorithms, precision of matrix products, memory.

    matmul_precision: one of `MATMUL_PRECISIONS`, for torch.set_float32_matmul_precision.
    """
    torch.set_num_threads(threads)
    # Vanishing gradients become denormal (below 1e-38), where an operation takes up to a hundred
    # times as long. Flush them to zero. Threads inherit this setting when they start.
    torch.set_flush_denormal(True)
    torch.set_float32_matmul_precision(matmul_precision)
    # cuBLAS reads this when it starts; torch requires it for deterministic products on a GPU.
    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(deterministic)
    # With deterministic algorithms, torch fills new memory with NaN to reveal uninitialised reads.
    # This takes up to a fifth of the time.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.deterministic = deterministic
    torch.backends.cudnn.benchmark = False
    keep_freed_memory()
    freeze_loaded_objects()
