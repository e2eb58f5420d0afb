"""Which kernels multiply matrices on a processor: those of MKL, or those of oneDNN.

torch multiplies with MKL, which uses half the width of the vector units of AMD's processors.
oneDNN, which torch has along, uses all of it: a large product takes half of the time. torch hands
it those products that may be made from bfloat16 copies, but oneDNN makes such copies only for units
that multiply tiles (AMX). Where there are none, all products are in float32, whoever makes them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

ENOUGH = 64 * 192 * 192  # multiplications; of fewer, calling oneDNN takes what it saves
PRECISION: Any = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]


def _offers_onednn(processor: dict[str, Any]) -> bool:
    """Whether oneDNN is the faster one here, and as exact. processor: what torch knows of it."""
    return (
        torch.backends.mkldnn.is_available()
        and str(processor.get("cpu_name", "")).startswith("AMD")
        and bool(processor.get("avx512_f"))
        and not processor.get("amx_tile")
    )


# Older versions of torch do not tell: then everything stays with MKL.
ONEDNN = _offers_onednn(getattr(torch.cpu, "get_capabilities", dict)())


def description() -> str:
    """Which instructions torch uses on this processor, and who makes large products."""
    capability = torch.backends.cpu.get_cpu_capability()
    return f"{capability}, large products by {'oneDNN' if ONEDNN else 'torch'}"


@contextmanager
def for_products(rows: int, inner: int, columns: int) -> Iterator[None]:
    """Inside, products (rows, inner) (inner, columns) and those like them are made by the faster
    kernels. Which these are is decided by the processor and the size alone, so that it is the same
    in every run."""
    chosen = PRECISION.fp32_precision
    if not ONEDNN or rows * inner * columns < ENOUGH or chosen not in ("ieee", "none"):
        yield
        return
    PRECISION.fp32_precision = "bf16"
    try:
        yield
    finally:
        PRECISION.fp32_precision = chosen
