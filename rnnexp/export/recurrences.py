"""Recurrences as nodes: the operators GRU and LSTM of ONNX where they have the same equations, and
else the operator Scan over what the cell's own equations were recorded as."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from rnnexp.errors import UserError
from rnnexp.export.graph import Graph, value_info
from rnnexp.export.recorder import NOT_EXPORTED, Recorder, onnx_type
from rnnexp.nn.cell import Cell, State
from rnnexp.nn.cells import GRU, LSTM
from rnnexp.nn.recurrence import CellRecurrence, Recurrence, TorchRecurrence
from rnnexp.nn.representations import Features, Sequences

# The gates of ONNX as places among those of torch (and of our cells): z r h of r z h; i o f c of
# i f g o. https://onnx.ai/onnx/operators/onnx__GRU.html, onnx__LSTM.html
ORDER = {"GRU": (1, 0, 2), "LSTM": (0, 3, 1, 2)}


Run = Callable[[nn.Module, Sequences, bool], tuple[Tensor, State]]


@contextmanager
def recorded(network: nn.Module, recorder: Recorder) -> Iterator[None]:
    """Within the block, the recurrences of a network do not compute: they are recorded."""
    found = [one for one in network.modules() if isinstance(one, Recurrence)]
    for one in found:
        if isinstance(one, CellRecurrence):
            # Layers and directions are those of `CellRecurrence.forward`.
            one._run = _cells(recorder)  # type: ignore[method-assign, assignment]
        elif isinstance(one, TorchRecurrence):
            one.forward = _layers(recorder, one)  # type: ignore[method-assign]
        else:
            raise UserError(NOT_EXPORTED.format(f"the recurrence {type(one).__name__}"))
    try:
        yield
    finally:
        for one in found:
            vars(one).pop("_run", None)
            vars(one).pop("forward", None)


# Cells of ours ----------------------------------------------------------------------------------


def _cells(r: Recorder) -> Run:
    def run(cell: nn.Module, x: Sequences, every_step: bool) -> tuple[Tensor, State]:
        if x.steps == r.sizes.steps - 1:
            # A readout omits the last step of a sequence, and perhaps none is left, which
            # onnxruntime does not take.
            hidden, state = run(cell, _with_a_step_of_padding(x), every_step)
            return hidden[:-1], state
        own = cast(Cell, cell)
        if type(own) is GRU:
            return _operator(r, "GRU", own.U, own.recurrent_bias, own, x)
        if type(own) is LSTM:
            return _operator(r, "LSTM", own.U, torch.zeros_like(own.bias), own, x)
        return _scan(r, own, x)

    return run


def _with_a_step_of_padding(x: Sequences) -> Sequences:
    after = (0, 0) * (x.values.dim() - 1) + (0, 1)  # functional.pad begins with the last axis
    lengths = torch.full((x.batch,), x.steps) if x.lengths is None else x.lengths
    return replace(x, values=functional.pad(x.values, after), lengths=lengths)


def _operator(
    r: Recorder, kind: str, recurrent: Tensor, recurrent_bias: Tensor, cell: Cell, x: Sequences
) -> tuple[Tensor, State]:
    """A cell that has an operator of its own."""
    weight: Tensor = cell.input_weight
    bias: Tensor = cell.bias
    values = x.values
    if not isinstance(x, Features):  # a row lookup, and the operator reads projections
        values = cell.project(replace(x, lengths=None))
        with r.paused():
            weight, bias = torch.eye(len(bias)), torch.zeros_like(bias)
    with r.paused():
        weights = (weight.t(), recurrent.t(), bias, recurrent_bias)
    return _native(r, kind, weights, values, x)


def _scan(r: Recorder, cell: Cell, x: Sequences) -> tuple[Tensor, State]:
    """A loop over the steps, whose body is the cell's `forward`. Padding leaves the state as it is,
    as in `rnnexp.nn.plain`."""
    batch, size, dtype = x.batch, cell.hidden_size, onnx_type(cell.bias.dtype)
    projected = cell.project(replace(x, lengths=None))
    zero = cell.bias.new_zeros(batch, size)
    scanned = [r.name(projected)]
    if x.padding is not None:
        scanned.append(r.name(x.padding.unsqueeze(2)))

    body = Graph(outer=r.graph)
    names = [body.new_name("state") for _ in range(cell.states)]
    x_t, is_padding = body.new_name("x_t"), body.new_name("is_padding")
    inputs = [value_info(name, dtype, ["batch", size]) for name in names]
    inputs.append(value_info(x_t, dtype, ["batch", projected.shape[2]]))
    with r.inside(body):
        state = tuple(r.stand_in(name, batch, size) for name in names)
        following = cell(r.stand_in(x_t, batch, projected.shape[2]), state)
        if len(scanned) > 1:
            inputs.append(value_info(is_padding, np.dtype(bool), ["batch", 1]))
            padding = r.stand_in(is_padding, batch, 1, dtype=torch.bool)
            following = tuple(map(torch.where, [padding] * cell.states, state, following))
        outputs = [body.add("Identity", r.name(one)) for one in following]
        outputs.append(body.add("Identity", outputs[0]))  # h of every step
    results = [value_info(name, dtype, ["batch", size]) for name in outputs]
    found = r.graph.add_many(
        "Scan",
        cell.states + 1,
        *[r.name(zero)] * cell.states,
        *scanned,
        body=body.body(type(cell).__name__, inputs, results),
        num_scan_inputs=len(scanned),
    )
    return _stand_ins(r, x, size, found[-1], found[:-1])


# Layers of torch --------------------------------------------------------------------------------


def _layers(r: Recorder, recurrence: TorchRecurrence) -> Callable[..., tuple[Tensor, State]]:
    layers = recurrence.layers
    kind = {nn.GRU: "GRU", nn.LSTM: "LSTM"}.get(type(layers))
    if kind is None or layers.proj_size:
        raise UserError(NOT_EXPORTED.format(f"torch's layer {layers}"))

    def forward(x: Sequences, every_step: bool = True) -> tuple[Tensor, State]:
        if x.steps == r.sizes.steps - 1:
            hidden, state = forward(_with_a_step_of_padding(x))
            return hidden[:-1], state
        values = x.dense()
        for number in range(layers.num_layers):
            parts = []
            for direction in ("", "_reverse")[: recurrence.directions]:
                suffix = f"_l{number}{direction}"
                weights = tuple(
                    getattr(layers, f"{name}{suffix}")
                    for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
                )
                parts.append(_native(r, kind, weights, values, x, bool(direction)))
            values = torch.cat([hidden for hidden, _ in parts], -1)
        states = zip(*(state for _, state in parts), strict=True)
        return values, tuple(torch.cat(pair, -1) for pair in states)

    return forward


def _native(
    r: Recorder,
    kind: str,
    weights: tuple[Tensor, ...],
    values: Tensor,
    x: Sequences,
    reverse: bool = False,
) -> tuple[Tensor, State]:
    """The operator GRU or LSTM, for one layer and one direction.

    weights: W (G H, I), U (G H, H) and their biases (G H,), in torch's order of the G gates.
    values: (T, B, I), of the sequences x.
    """
    order, size = ORDER[kind], weights[1].shape[1]
    with r.paused():
        w, u, b, d = (
            torch.cat([one.detach().split(size)[gate] for gate in order]) for one in weights
        )
        constants = [one.unsqueeze(0).contiguous() for one in (w, u, torch.cat([b, d]))]
    lengths = "" if x.lengths is None else r.name(x.lengths.to(torch.int32))
    # The reset gate of torch's GRU comes after the recurrent product.
    special = {"linear_before_reset": 1} if kind == "GRU" else {}
    hidden, *state = r.graph.add_many(
        kind,
        3 if kind == "LSTM" else 2,
        *map(r.name, [values, *constants]),
        *([lengths] if lengths else []),
        hidden_size=size,
        direction="reverse" if reverse else "forward",
        **special,
    )
    first, one_direction = r.graph.integers(0), r.graph.integers(1)
    hidden = r.graph.add("Squeeze", hidden, one_direction)
    return _stand_ins(r, x, size, hidden, [r.graph.add("Squeeze", one, first) for one in state])


def _stand_ins(
    r: Recorder, x: Sequences, size: int, hidden: str, state: list[str]
) -> tuple[Tensor, State]:
    """The hidden states (T, B, H) and the final state."""
    final = tuple(r.stand_in(name, x.batch, size) for name in state)
    return r.stand_in(hidden, x.steps, x.batch, size), final
