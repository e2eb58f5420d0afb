"""How the fused path computes: the sizes from which on one way of computing is faster than another.

None of it changes what is computed, but it changes the order of summation, and so the last digits.
That is why a run records its tuning, and a rerun takes the recorded one.

torch uses MKL for matrix products and tanh. On AMD processors with AVX-512, MKL uses only 256-bit
vectors; oneDNN, which ships with torch, uses all 512 bits: a large product takes half the time.
torch uses oneDNN only if products may be computed from bfloat16 copies. But oneDNN makes such
copies only on processors with tile units (AMX), where it is never asked for. On all others, every
product is in float32, whichever library computes it.

tanh(x) = 2 sigma(2 x) - 1 needs three calls instead of one, but torch's sigmoid takes a ninth to a
quarter of the time of MKL's tanh on AMD processors. Its error is below 2e-7; MKL's is below 4e-8.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import MISSING, dataclass, fields
from typing import Any, Self, cast

import torch
from torch import Tensor

MIN_PADDED_ROWS = 32  # rows; padded sizes are multiples of this or of a larger power of two
CALLS = 8192  # elements that take about as long as the calls of one step
MINUS_ONE = torch.tensor(-1.0)  # torch.add(input, other, alpha) requires a tensor as input
MATMUL_SETTINGS: Any = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]
# Older versions of torch have no get_capabilities.
CPU: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
HAS_ONEDNN = torch.backends.mkldnn.is_available() and not CPU.get("amx_tile")


@dataclass(frozen=True)
class Tuning:
    """The sizes that decide how the fused path computes. A step of R sequences with H hidden units
    has R * H elements; None: no size is large enough.

    onednn_from: multiply-adds of a matrix product from which on oneDNN computes it, not MKL.
    sigmoid_from: elements of a step from which on tanh is computed from a sigmoid.
    augment_from: elements of a step from which on a few input features are concatenated to the
        hidden state; below, they are projected beforehand.
    joint_below: elements of a step below which gates with the same input share one product; None:
        at every size.
    group_sequences: sequences in a group, at most.
    block_rows: sequences times steps in a block of steps, about.
    torch_below_training, torch_below_inference: elements of a step below which path=by_size runs a
        cell on torch's layer with the same equations; None: at every size.
    plain_below_training, plain_below_inference: `cost` below which path=by_size runs a cell on the
        plain path, since the fused path takes time to start; None: at every size.
    """

    onednn_from: int | None
    sigmoid_from: int | None
    augment_from: int | None
    joint_below: int | None
    group_sequences: int
    block_rows: int
    torch_below_training: int | None = 0
    torch_below_inference: int | None = 0
    plain_below_training: int | None = 0
    plain_below_inference: int | None = 0

    @classmethod
    def of(cls, sizes: Mapping[str, int | None]) -> Self:
        """The tuning of these fields; those with a default may be left out, as in earlier runs.

        Raises:
            ValueError: a field is unknown or missing, or its value is not a size.
        """
        at_least = {"group_sequences": 1, "block_rows": 1}  # these cannot be None
        names = [field.name for field in fields(cls)]
        needed = {field.name for field in fields(cls) if field.default is MISSING}
        if not needed <= set(sizes) <= set(names):
            raise ValueError(
                f"tuning has the fields {', '.join(sizes)}: it must be auto, or have "
                f"{', '.join(names)}"
            )
        for name, size in sizes.items():
            is_size = type(size) is int and size >= at_least.get(name, 0)
            if not is_size and (size is not None or name in at_least):
                kind = "a positive whole number" if name in at_least else "a whole number or null"
                raise ValueError(f"tuning.{name} is {size!r}: it must be {kind}")
        return cls(**cast(Any, sizes))

    def _is_for_onednn(self, rows: int, inner: int, columns: int) -> bool:
        """Whether a product (rows, inner) (inner, columns) is computed by oneDNN."""
        large = self.onednn_from is not None and rows * inner * columns >= self.onednn_from
        return HAS_ONEDNN and large

    @contextmanager
    def products(self, rows: int, inner: int, columns: int) -> Iterator[None]:
        """Within this context, products of about (rows, inner) (inner, columns) use the chosen
        library. A lower precision of float32 products that was set before (tf32, bf16) stays in
        force."""
        before = MATMUL_SETTINGS.fp32_precision
        if not self._is_for_onednn(rows, inner, columns) or before not in ("ieee", "none"):
            yield
            return
        MATMUL_SETTINGS.fp32_precision = "bf16"
        try:
            yield
        finally:
            MATMUL_SETTINGS.fp32_precision = before

    def padded_rows(self, rows: int, inner: int, columns: int) -> int:
        """The number of rows to multiply: `rows`, or slightly more if oneDNN computes the product.

        oneDNN compiles and caches a kernel for every size. Rounding up keeps the number of sizes
        small: from 128 rows on there are four sizes for every factor of two. Fewer than
        MIN_PADDED_ROWS / 2 rows are not padded, because most of the product would be padding.
        """
        if not self._is_for_onednn(rows, inner, columns) or rows < MIN_PADDED_ROWS // 2:
            return rows
        multiple = max(MIN_PADDED_ROWS, 2 ** (rows.bit_length() - 3))
        return -(-rows // multiple) * multiple

    def tanh(self, step: Tensor) -> Callable[..., Tensor]:
        """The function (x, out) that writes tanh(x) to out, for a step (R, H). It may overwrite
        x."""
        return tanh_by_sigmoid if self._uses_sigmoid(step) else torch.tanh

    def tanh_in_place(self, step: Tensor) -> Callable[[Tensor], Tensor]:
        """The function x -> tanh(x) in the memory of x, for a step (R, H)."""
        return tanh_by_sigmoid if self._uses_sigmoid(step) else Tensor.tanh_

    def _uses_sigmoid(self, step: Tensor) -> bool:
        chosen = self.sigmoid_from is not None and step.numel() >= self.sigmoid_from
        return chosen and not step.is_cuda

    def takes_torch(self, sequences: int, hidden_size: int, training: bool) -> bool:
        """Whether path=by_size runs a cell on torch's layer, where there is one."""
        limit = self.torch_below_training if training else self.torch_below_inference
        return limit is None or sequences * hidden_size < limit

    def takes_plain(self, steps: int, sequences: int, hidden_size: int, training: bool) -> bool:
        """Whether path=by_size runs a cell on the plain path."""
        limit = self.plain_below_training if training else self.plain_below_inference
        return limit is None or cost(steps, sequences, hidden_size) < limit

    def joins(self, sequences: int, hidden_size: int) -> bool:
        """Whether gates with the same input share one product."""
        return self.joint_below is None or sequences * hidden_size < self.joint_below

    def augments(self, sequences: int, hidden_size: int) -> bool:
        """Whether a few input features are concatenated to the hidden state."""
        return self.augment_from is not None and sequences * hidden_size >= self.augment_from


def cost(steps: int, sequences: int, hidden_size: int) -> int:
    """The elements of all steps, plus CALLS for each step."""
    return steps * (sequences * hidden_size + CALLS)


def tanh_by_sigmoid(x: Tensor, out: Tensor | None = None) -> Tensor:
    """Write tanh(x) to out, which has the shape of x; None: to x. x is overwritten."""
    return torch.add(MINUS_ONE, x.mul_(2).sigmoid_(), alpha=2, out=x if out is None else out)
