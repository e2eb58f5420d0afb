"""Choose the library for matrix products and tanh on a CPU: MKL, oneDNN or torch itself.

torch uses MKL for both. On AMD processors with AVX-512, MKL uses only 256-bit vectors. oneDNN,
which ships with torch, uses all 512 bits: a large product takes half the time.

torch uses oneDNN only if products may be computed from bfloat16 copies. But oneDNN makes such
copies only on processors with tile units (AMX). On all other processors, every product is in
float32, whichever library computes it.

On these AMD processors, MKL's tanh takes four to nine times as long as torch's sigmoid. There tanh
is computed as tanh(x) = 2 sigma(2 x) - 1. Its error is below 2e-7; MKL's error is below 4e-8.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

MIN_PRODUCT_SIZE = 64 * 192 * 192  # multiply-adds; below, the overhead of oneDNN exceeds its gain
MIN_PADDED_ROWS = 32  # rows; padded sizes are multiples of this or of a larger power of two
MIN_TANH_SIZE = 32 * 128  # elements; below, two extra calls cost more than the sigmoid saves
MINUS_ONE = torch.tensor(-1.0)  # torch.add(input, other, alpha) requires a tensor as input
MATMUL_SETTINGS: Any = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]


def _is_slow_for_mkl(cpu: dict[str, Any]) -> bool:
    """cpu: capabilities from torch.cpu.get_capabilities."""
    is_amd = str(cpu.get("cpu_name", "")).startswith("AMD")
    return is_amd and bool(cpu.get("avx512_f"))


def _is_fast_for_onednn(cpu: dict[str, Any]) -> bool:
    """Whether oneDNN is faster than MKL on this processor, and as accurate."""
    available = torch.backends.mkldnn.is_available() and not cpu.get("amx_tile")
    return available and _is_slow_for_mkl(cpu)


# Older versions of torch have no get_capabilities; MKL is used then.
CPU: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
USE_ONEDNN, USE_SIGMOID = _is_fast_for_onednn(CPU), _is_slow_for_mkl(CPU)


def description() -> str:
    """The instruction set that torch uses on this CPU, and the library for large products."""
    capability = torch.backends.cpu.get_cpu_capability()
    return f"{capability}, large products by {'oneDNN' if USE_ONEDNN else 'torch'}"


def _is_for_onednn(rows: int, inner: int, columns: int) -> bool:
    """Whether a product (rows, inner) (inner, columns) is computed by oneDNN."""
    return USE_ONEDNN and rows * inner * columns >= MIN_PRODUCT_SIZE


def padded_rows(rows: int, inner: int, columns: int) -> int:
    """The number of rows to multiply: `rows`, or slightly more if oneDNN computes the product.

    oneDNN compiles and caches a kernel for every size. Rounding up keeps the number of sizes small:
    from 128 rows on there are four sizes for every factor of two. Fewer than MIN_PADDED_ROWS / 2
    rows are not padded, because most of the product would be padding.
    """
    if not _is_for_onednn(rows, inner, columns) or rows < MIN_PADDED_ROWS // 2:
        return rows
    multiple = max(MIN_PADDED_ROWS, 2 ** (rows.bit_length() - 3))
    return -(-rows // multiple) * multiple


@contextmanager
def fast_products(rows: int, inner: int, columns: int) -> Iterator[None]:
    """Within this context, products of about (rows, inner) (inner, columns) use the faster library.

    The choice depends only on the processor and the size, so every run makes the same choice. A
    lower precision of float32 products that was set before (tf32, bf16) stays in force.
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
    """Write tanh(x) to out, which has the shape of x and may be x. x is overwritten."""
    if not USE_SIGMOID or x.is_cuda or x.numel() < MIN_TANH_SIZE:
        return torch.tanh(x, out=out)
    return torch.add(MINUS_ONE, x.mul_(2).sigmoid_(), alpha=2, out=out)
