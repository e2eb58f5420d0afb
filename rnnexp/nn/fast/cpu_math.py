"""Which library computes matrix products and tanh on a CPU: MKL, oneDNN or torch itself.

torch leaves both to MKL. On AMD processors with AVX-512, MKL uses only 256-bit vectors. oneDNN,
which ships with torch, uses all 512 bits: a large product takes half the time.

torch hands oneDNN only the products that may be computed from bfloat16 copies. But oneDNN makes
such copies only for processors with tile units (AMX). Elsewhere all products are in float32,
whichever library computes them.

On these AMD processors MKL's tanh takes four to nine times as long as torch's own sigmoid. So tanh
is computed as tanh(x) = 2 sigma(2 x) - 1, with an error below 2e-7; MKL's is below 4e-8.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

MIN_PRODUCT_SIZE = 64 * 192 * 192  # multiply-adds; below, the call of oneDNN costs what it saves
MIN_PADDED_ROWS = 32  # rows; blocks are padded to a multiple of at least this many
MIN_TANH_SIZE = 32 * 128  # elements; below, the two further calls cost what the sigmoid saves
MINUS_ONE = torch.tensor(-1.0)
MATMUL_SETTINGS: Any = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]


def _is_slow_for_mkl(cpu: dict[str, Any]) -> bool:
    """cpu: capabilities as torch reports them."""
    is_amd = str(cpu.get("cpu_name", "")).startswith("AMD")
    return is_amd and bool(cpu.get("avx512_f"))


def _is_fast_for_onednn(cpu: dict[str, Any]) -> bool:
    """Whether oneDNN is faster than MKL on this processor, and as exact."""
    available = torch.backends.mkldnn.is_available() and not cpu.get("amx_tile")
    return available and _is_slow_for_mkl(cpu)


# Older versions of torch do not report capabilities; MKL is used then.
CPU: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
USE_ONEDNN, USE_SIGMOID = _is_fast_for_onednn(CPU), _is_slow_for_mkl(CPU)


def description() -> str:
    """The instruction set that torch uses here, and the library that computes large products."""
    capability = torch.backends.cpu.get_cpu_capability()
    return f"{capability}, large products by {'oneDNN' if USE_ONEDNN else 'torch'}"


def _is_for_onednn(rows: int, inner: int, columns: int) -> bool:
    """Whether a product (rows, inner) (inner, columns) is computed by oneDNN."""
    return USE_ONEDNN and rows * inner * columns >= MIN_PRODUCT_SIZE


def padded_rows(rows: int, inner: int, columns: int) -> int:
    """The number of rows to multiply: `rows`, or slightly more if oneDNN computes the product.

    oneDNN compiles and keeps a kernel for every size it meets, so sizes are padded to a few: from
    128 rows on, four sizes for every factor of two. Fewer than half of MIN_PADDED_ROWS rows are
    not padded, because the padding would take longer than the rows themselves.
    """
    if not _is_for_onednn(rows, inner, columns) or rows < MIN_PADDED_ROWS // 2:
        return rows
    multiple = max(MIN_PADDED_ROWS, 2 ** (rows.bit_length() - 3))
    return -(-rows // multiple) * multiple


@contextmanager
def fast_products(rows: int, inner: int, columns: int) -> Iterator[None]:
    """Inside, the faster library computes products of about (rows, inner) (inner, columns).

    The choice depends on the processor and the size only, so it is the same in every run.
    """
    before = MATMUL_SETTINGS.fp32_precision
    if not _is_for_onednn(rows, inner, columns) or before not in ("ieee", "none"):
        yield
        return
    MATMUL_SETTINGS.fp32_precision = "bf16"
    try:
        yield
    finally:
        MATMUL_SETTINGS.fp32_precision = before


def tanh(x: Tensor, out: Tensor) -> Tensor:
    """out becomes tanh(x), both of any one shape; x is overwritten."""
    if not USE_SIGMOID or x.is_cuda or x.numel() < MIN_TANH_SIZE:
        return torch.tanh(x, out=out)
    return torch.add(MINUS_ONE, x.mul_(2).sigmoid_(), alpha=2, out=out)
