"""Operations of torch as nodes of ONNX. The key is the name of the operation in ATen.

Each function has the recorder, the result that torch computed (for its shape and type), and the
arguments of the operation. It returns the name of the result, or the names of several.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from onnx import helper
from torch import Tensor

from rnnexp.errors import UserError
from rnnexp.export.recorder import NOT_EXPORTED, Operator, Recorder, onnx_type

FIRST, LAST = -(2**63) + 1, 2**63 - 1  # beyond either end of an axis


def cast(r: Recorder, value: Any, dtype: torch.dtype) -> str:
    """A tensor or number in this type."""
    if not isinstance(value, Tensor):
        return r.graph.constant(np.array(value, onnx_type(dtype)))
    if value.dtype == dtype:
        return r.name(value)
    return r.graph.add("Cast", r.name(value), to=helper.np_dtype_to_tensor_dtype(onnx_type(dtype)))


# Element by element -----------------------------------------------------------------------------


def unary(operator: str) -> Operator:
    return lambda r, out, x, *_: r.graph.add(operator, r.name(x))


def binary(operator: str) -> Operator:
    """Both arguments in their common type."""

    def add(r: Recorder, out: Tensor, a: Any, b: Any, alpha: int = 1) -> str:
        if alpha != 1:
            raise UserError(NOT_EXPORTED.format(f"a sum with alpha={alpha}"))
        common = torch.result_type(a, b)
        return r.graph.add(operator, cast(r, a, common), cast(r, b, common))

    return add


def same(r: Recorder, out: Tensor, x: Tensor, *_: Any, **__: Any) -> str:
    return cast(r, x, out.dtype)


def addcmul(r: Recorder, out: Tensor, x: Tensor, a: Tensor, b: Tensor) -> str:
    return r.graph.add("Add", r.name(x), r.graph.add("Mul", r.name(a), r.name(b)))


def lerp(r: Recorder, out: Tensor, old: Tensor, new: Tensor, weight: Tensor) -> str:
    change = r.graph.add("Sub", r.name(new), r.name(old))
    return r.graph.add("Add", r.name(old), r.graph.add("Mul", r.name(weight), change))


def where(r: Recorder, out: Tensor, condition: Tensor, a: Any, b: Any) -> str:
    return r.graph.add("Where", r.name(condition), cast(r, a, out.dtype), cast(r, b, out.dtype))


def masked_fill(r: Recorder, out: Tensor, x: Tensor, mask: Tensor, value: Any) -> str:
    return where(r, out, mask, value, x)


def clamp(r: Recorder, out: Tensor, x: Tensor, min: Any = None, max: Any = None) -> str:
    found = r.name(x)
    if min is not None:
        found = r.graph.add("Max", found, cast(r, min, x.dtype))
    return found if max is None else r.graph.add("Min", found, cast(r, max, x.dtype))


def batch_norm(
    r: Recorder, out: Tensor, x: Tensor, weight: Any, bias: Any, mean: Any, variance: Any,
    training: bool, momentum: float, eps: float, cudnn: bool,
) -> str:  # fmt: skip
    parts = (r.name(one) for one in (x, weight, bias, mean, variance))
    return r.graph.add("BatchNormalization", *parts, epsilon=eps)


# Products ---------------------------------------------------------------------------------------


def matmul(r: Recorder, out: Tensor, a: Tensor, b: Tensor) -> str:
    return r.graph.add("MatMul", r.name(a), r.name(b))


def addmm(r: Recorder, out: Tensor, x: Tensor, a: Tensor, b: Tensor) -> str:
    return r.graph.add("Add", r.graph.add("MatMul", r.name(a), r.name(b)), r.name(x))


def linear(r: Recorder, out: Tensor, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> str:
    with r.paused():
        transposed = weight.t().contiguous()
    found = r.graph.add("MatMul", r.name(x), r.name(transposed))
    return found if bias is None else r.graph.add("Add", found, r.name(bias))


def einsum(r: Recorder, out: Tensor, equation: str, operands: Sequence[Tensor], **_: Any) -> str:
    return r.graph.add("Einsum", *map(r.name, operands), equation=equation)


# Shapes -----------------------------------------------------------------------------------------


def reshape(r: Recorder, out: Tensor, x: Tensor, *_: Any, **__: Any) -> str:
    return r.graph.add("Reshape", r.name(x), r.shape(out.shape), allowzero=1)


def expand(r: Recorder, out: Tensor, x: Tensor, *_: Any, **__: Any) -> str:
    return r.graph.add("Expand", r.name(x), r.shape(out.shape))


def unsqueeze(r: Recorder, out: Tensor, x: Tensor, dim: int) -> str:
    return r.graph.add("Unsqueeze", r.name(x), r.graph.integers(dim))


def squeeze(r: Recorder, out: Tensor, x: Tensor, dim: int) -> str:
    return r.graph.add("Squeeze", r.name(x), r.graph.integers(dim))


def permute(r: Recorder, out: Tensor, x: Tensor, dims: Sequence[int]) -> str:
    return r.graph.add("Transpose", r.name(x), perm=[dim % x.dim() for dim in dims])


def transpose(r: Recorder, out: Tensor, x: Tensor, a: int = 0, b: int = 1) -> str:
    order = list(range(x.dim()))
    order[a], order[b] = order[b], order[a]
    return permute(r, out, x, order)


def cat(r: Recorder, out: Tensor, parts: Sequence[Tensor], dim: int = 0) -> str:
    return r.graph.add(
        "Concat", *(cast(r, one, out.dtype) for one in parts if one.numel()), axis=dim
    )


def stack(r: Recorder, out: Tensor, parts: Sequence[Tensor], dim: int = 0) -> str:
    places = (unsqueeze(r, out, one, dim % out.dim()) for one in parts)
    return r.graph.add("Concat", *places, axis=dim % out.dim())


def split(r: Recorder, out: list[Tensor], x: Tensor, sizes: Any, dim: int = 0) -> list[str]:
    lengths = r.shape(one.shape[dim] for one in out)
    return r.graph.add_many("Split", len(out), r.name(x), lengths, axis=dim)


def constant_pad(r: Recorder, out: Tensor, x: Tensor, pad: Sequence[int], *value: Any) -> str:
    before, after = [0] * x.dim(), [0] * x.dim()
    for place in range(len(pad) // 2):  # torch begins with the last axis
        before[-1 - place], after[-1 - place] = pad[2 * place : 2 * place + 2]
    filling = next((one for one in value if not isinstance(one, str) and one is not None), 0)
    return r.graph.add(
        "Pad", r.name(x), r.graph.integers(*before, *after), cast(r, filling, x.dtype)
    )


# Places -----------------------------------------------------------------------------------------


def take(r: Recorder, x: str, dim: int, start: str, end: str, step: int = 1) -> str:
    axes, steps = r.graph.integers(dim), r.graph.integers(step)
    return r.graph.add("Slice", x, start, end, axes, steps)


def slice_(
    r: Recorder, out: Tensor, x: Tensor, dim: int = 0, start: Any = None, end: Any = None,
    step: int = 1,
) -> str:  # fmt: skip
    begin, until = r.size(start or 0), r.size(LAST if end is None else end)
    return take(r, r.name(x), dim, begin, until, step)


def flip(r: Recorder, out: Tensor, x: Tensor, dims: Sequence[int]) -> str:
    found = r.name(x)
    for dim in dims:
        found = take(r, found, dim, r.size(-1), r.size(FIRST), -1)
    return found


def diff(r: Recorder, out: Tensor, x: Tensor, n: int = 1, dim: int = -1) -> str:
    later = take(r, r.name(x), dim, r.size(1), r.size(LAST))
    earlier = take(r, r.name(x), dim, r.size(0), r.size(-1))
    return r.graph.add("Sub", later, earlier)


def select(r: Recorder, out: Tensor, x: Tensor, dim: int, index: int) -> str:
    place = r.graph.constant(np.array(index, np.int64))
    return r.graph.add("Gather", r.name(x), place, axis=dim)


def embedding(r: Recorder, out: Tensor, weight: Tensor, index: Tensor, *_: Any, **__: Any) -> str:
    return r.graph.add("Gather", r.name(weight), r.name(index), axis=0)


def index(r: Recorder, out: Tensor, x: Tensor, places: Sequence[Tensor | None]) -> str:
    """By one tensor along any axis, or by several along the first ones."""
    used = [(dim, place) for dim, place in enumerate(places) if place is not None]
    if any(place.dtype == torch.bool for _, place in used):
        raise UserError(NOT_EXPORTED.format("a choice of elements by a mask"))
    if len(used) == 1:
        return r.graph.add("Gather", r.name(x), r.name(used[0][1]), axis=used[0][0])
    if [dim for dim, _ in used] != list(range(len(used))):
        raise UserError(NOT_EXPORTED.format("an index of this kind"))
    common = r.shape(out.shape[: out.dim() - x.dim() + len(used)])
    columns = []
    for _, place in used:
        spread = r.graph.add("Expand", r.name(place), common)
        columns.append(r.graph.add("Unsqueeze", spread, r.graph.integers(-1)))
    return r.graph.add("GatherND", r.name(x), r.graph.add("Concat", *columns, axis=-1))


def unfold(r: Recorder, out: Tensor, x: Tensor, dim: int, size: int, step: int) -> str:
    count = out.shape[dim]
    places = step * np.arange(count, dtype=np.int64)[:, None] + np.arange(size, dtype=np.int64)
    found = r.graph.add("Gather", r.name(x), r.graph.constant(places), axis=dim)
    order = [axis for axis in range(x.dim() + 1) if axis != dim + 1]
    return r.graph.add("Transpose", found, perm=[*order, dim + 1])


def repeat_interleave(r: Recorder, out: Tensor, x: Tensor, repeats: Any, *_: Any, **__: Any) -> str:
    if repeats != 1:
        raise UserError(NOT_EXPORTED.format("a repetition of elements"))
    return r.name(x)


# Over an axis -----------------------------------------------------------------------------------


def sum_(
    r: Recorder, out: Tensor, x: Tensor, dims: Sequence[int], keepdim: bool = False, **_: Any
) -> str:
    axes = r.graph.integers(*dims)
    return r.graph.add("ReduceSum", cast(r, x, out.dtype), axes, keepdims=int(keepdim))


def reduced(operator: str) -> Operator:
    def add(
        r: Recorder, out: Tensor, x: Tensor, dims: Any = (), keepdim: bool = False, **_: Any
    ) -> str:
        axes = [dims] if isinstance(dims, int) else list(dims)
        return r.graph.add(operator, r.name(x), axes=axes, keepdims=int(keepdim))

    return add


def over_axis(operator: str) -> Operator:
    return lambda r, out, x, dim, *_, **__: r.graph.add(operator, r.name(x), axis=dim)


def cumsum(r: Recorder, out: Tensor, x: Tensor, dim: int, **_: Any) -> str:
    return r.graph.add("CumSum", r.name(x), r.graph.constant(np.array(dim % x.dim(), np.int64)))


def running(operator: str) -> Operator:
    """The maximum or minimum so far, along an axis of few elements; without their places."""

    def add(r: Recorder, out: list[Tensor], x: Tensor, dim: int) -> list[str]:
        so_far: list[str] = []
        for place in range(x.shape[dim]):
            one = take(r, r.name(x), dim, r.size(place), r.size(place + 1))
            so_far.append(r.graph.add(operator, so_far[-1], one) if so_far else one)
        return [r.graph.add("Concat", *so_far, axis=dim), "no places"]

    return add


# New tensors ------------------------------------------------------------------------------------


def arange(r: Recorder, out: Tensor, *ends: int, **_: Any) -> str:
    start, end = (0, ends[0]) if len(ends) == 1 else ends[:2]
    begin, until = (r.graph.add("Squeeze", r.size(one)) for one in (start, end))
    return r.graph.add("Range", begin, until, r.graph.constant(np.array(1, np.int64)))


def filled(r: Recorder, out: Tensor, *_: Any, **__: Any) -> str:
    """A tensor of one value throughout, or without a value (`empty`)."""
    value = out.reshape(-1)[:1].numpy().copy()
    size = out.dtype == torch.int64 and r.sizes.vary(int(value[0]))
    filling = r.size(int(value[0])) if size else r.graph.constant(value)
    return r.graph.add("Expand", filling, r.shape(out.shape))


OPERATORS: dict[str, Operator] = {
    **{name: unary(operator) for name, operator in {
        "abs": "Abs", "bitwise_not": "Not", "exp": "Exp", "log": "Log", "logical_not": "Not",
        "neg": "Neg", "relu": "Relu", "sigmoid": "Sigmoid", "softplus": "Softplus", "sqrt": "Sqrt",
        "tanh": "Tanh",
    }.items()},
    **{name: binary(operator) for name, operator in {
        "add": "Add", "bitwise_and": "And", "bitwise_or": "Or", "div": "Div", "eq": "Equal",
        "ge": "GreaterOrEqual", "gt": "Greater", "le": "LessOrEqual", "logical_and": "And",
        "logical_or": "Or", "lt": "Less", "maximum": "Max", "minimum": "Min", "mul": "Mul",
        "sub": "Sub", "__and__": "And", "__or__": "Or",
    }.items()},
    **dict.fromkeys(
        ("alias", "clone", "contiguous", "detach", "dropout", "float", "to", "_to_copy"), same
    ),
    **dict.fromkeys(
        ("flatten", "reshape", "unflatten", "view", "view_as", "_unsafe_view"), reshape
    ),
    **dict.fromkeys(("expand", "expand_as"), expand),
    **dict.fromkeys(("bmm", "matmul", "mm"), matmul),
    **dict.fromkeys(("chunk", "split", "split_with_sizes"), split),
    **dict.fromkeys(("constant_pad_nd", "pad"), constant_pad),
    **dict.fromkeys(("t", "transpose"), transpose),
    **dict.fromkeys(
        ("empty", "full", "new_empty", "new_full", "new_ones", "new_zeros", "ones", "zeros",
         "zeros_like"), filled
    ),
    "addcmul": addcmul, "addmm": addmm, "amax": reduced("ReduceMax"), "arange": arange,
    "batch_norm": batch_norm, "cat": cat, "clamp": clamp, "cummax": running("Max"),
    "cummin": running("Min"), "cumsum": cumsum, "diff": diff, "einsum": einsum,
    "embedding": embedding, "flip": flip, "index": index, "lerp": lerp, "linear": linear,
    "log_softmax": over_axis("LogSoftmax"), "masked_fill": masked_fill,
    "mean": reduced("ReduceMean"), "permute": permute, "repeat_interleave": repeat_interleave,
    "select": select, "slice": slice_, "softmax": over_axis("Softmax"), "squeeze": squeeze,
    "stack": stack, "sum": sum_, "unfold": unfold, "unsqueeze": unsqueeze, "where": where,
}  # fmt: skip
