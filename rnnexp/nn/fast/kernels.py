"""Which kernels multiply matrices and take a tanh on a processor: those of MKL, or others.

torch leaves both to MKL, which uses half of the width of the vector units of AMD's processors.

oneDNN, which torch has along, uses all of it: a large product takes half of the time. torch hands
it those products that may be made from bfloat16 copies, but oneDNN makes such copies only for units
that multiply tiles (AMX). Where there are none, all products are in float32, whoever makes them.

A tanh of MKL's takes four to nine times as long there as a sigmoid of torch's own, of which it can
be made: tanh(x) = 2 sigma(2 x) - 1, with an error below 2e-7 where MKL's is below 4e-8.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

ENOUGH = 64 * 192 * 192  # multiplications; of fewer, calling oneDNN takes what it saves
FEWEST = 32  # rows: the smallest size of a block's that are rounded up
MANY = 32 * 128  # numbers; of fewer, the further calls take what a sigmoid saves
MINUS_ONE = torch.tensor(-1.0)
PRECISION: Any = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]


def _is_slow_for_mkl(processor: dict[str, Any]) -> bool:
    """processor: what torch knows of it."""
    is_amd = str(processor.get("cpu_name", "")).startswith("AMD")
    return is_amd and bool(processor.get("avx512_f"))


def _offers_onednn(processor: dict[str, Any]) -> bool:
    """Whether oneDNN is the faster one here, and as exact."""
    available = torch.backends.mkldnn.is_available() and not processor.get("amx_tile")
    return available and _is_slow_for_mkl(processor)


# Older versions of torch do not tell: then everything stays with MKL.
PROCESSOR: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
ONEDNN, SIGMOID = _offers_onednn(PROCESSOR), _is_slow_for_mkl(PROCESSOR)


def description() -> str:
    """Which instructions torch uses on this processor, and who makes large products."""
    capability = torch.backends.cpu.get_cpu_capability()
    return f"{capability}, large products by {'oneDNN' if ONEDNN else 'torch'}"


def _is_for_onednn(rows: int, inner: int, columns: int) -> bool:
    """Whether a product of that size is the faster one if it is made there."""
    return ONEDNN and rows * inner * columns >= ENOUGH


def rounded(rows: int, inner: int, columns: int) -> int:
    """So many rows, or some more where oneDNN is to multiply them: it makes a kernel for every size
    that it meets, and keeps it. From 128 rows on there are four sizes up to twice as many. A few
    rows stay as they are: others beside them would take longer than they do."""
    if not _is_for_onednn(rows, inner, columns) or rows < FEWEST // 2:
        return rows
    size = max(FEWEST, 2 ** (rows.bit_length() - 3))
    return -(-rows // size) * size


@contextmanager
def for_products(rows: int, inner: int, columns: int) -> Iterator[None]:
    """Inside, products (rows, inner) (inner, columns) and those like them are made by the faster
    kernels. Which these are is decided by the processor and the size alone, so that it is the same
    in every run."""
    chosen = PRECISION.fp32_precision
    if not _is_for_onednn(rows, inner, columns) or chosen not in ("ieee", "none"):
        yield
        return
    PRECISION.fp32_precision = "bf16"
    try:
        yield
    finally:
        PRECISION.fp32_precision = chosen


def tanh(x: Tensor, out: Tensor) -> Tensor:
    """out becomes tanh(x), by the faster kernel; x is used up, unless it is out."""
    if not SIGMOID or x.is_cuda or x.numel() < MANY:
        return torch.tanh(x, out=out)
    return torch.add(MINUS_ONE, x.mul_(2).sigmoid_(), alpha=2, out=out)
