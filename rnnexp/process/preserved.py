"""Restores the settings of a process after a run has changed them."""

import gc
import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch

LOGGERS = ("", "pytorch_lightning", "lightning.pytorch", "lightning.fabric")
CUBLAS_VARIABLE = "CUBLAS_WORKSPACE_CONFIG"


@contextmanager
def preserved() -> Iterator[None]:
    """Restore threads, algorithms, precision, warnings and loggers at the end of the block.

    Two settings stay, because their old values cannot be read: torch flushes denormal numbers to
    zero, and glibc keeps freed memory.
    """
    threads, precision = torch.get_num_threads(), torch.get_float32_matmul_precision()
    algorithms = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    fills = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    cudnn = torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark
    cublas, frozen = os.environ.get(CUBLAS_VARIABLE), gc.get_freeze_count()
    loggers = [logging.getLogger(name) for name in LOGGERS]
    levels, handlers = [one.level for one in loggers], [one.handlers[:] for one in loggers]
    try:
        with warnings.catch_warnings():
            yield
    finally:
        torch.set_num_threads(threads)
        torch.set_float32_matmul_precision(precision)
        torch.use_deterministic_algorithms(algorithms, warn_only=warn_only)
        torch.utils.deterministic.fill_uninitialized_memory = fills  # type: ignore[attr-defined]
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = cudnn
        if cublas is None:
            os.environ.pop(CUBLAS_VARIABLE, None)
        if not frozen:
            gc.unfreeze()
        for logger, level, own in zip(loggers, levels, handlers, strict=True):
            logger.setLevel(level)
            logger.handlers[:] = own
