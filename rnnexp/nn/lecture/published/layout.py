"""Conversion between our weights and the state dicts of published networks.

A layout maps each tensor name of a published state_dict to our weights whose horizontal stack it
is: a weight over [x_t; h_{t-1}] is [W, U]. Our weights in a layout are transposed views of the
parameters, so copying to them changes the parameters. The same layout converts both ways.
"""

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar, cast

import torch
from torch import Tensor, nn

from rnnexp.nn.cell import Cell
from rnnexp.nn.recurrence import CellRecurrence

Layout = dict[str, list[Tensor]]
Literal = TypeVar("Literal", bound=nn.Module)


class Network(Protocol):
    """A network to convert: a recurrence and a readout of its hidden states."""

    recurrence: Any
    readout: Any


def linear(name: str, weights: Sequence[Tensor], bias: Tensor) -> Layout:
    """Layout of one `torch.nn.Linear` whose weight is the horizontal stack of `weights`, each of
    shape (in, out)."""
    return {
        f"{name}.weight": [weight.detach().t() for weight in weights],
        f"{name}.bias": [bias.detach()],
    }


def join(layout: Layout) -> dict[str, Tensor]:
    """Copy our weights to a state_dict with the names and shapes of the published network."""
    return {name: torch.cat(parts, dim=-1) for name, parts in layout.items()}


def split(state: dict[str, Tensor], layout: Layout, network: str) -> None:
    """Copy a state_dict of a published network to our weights. network: name of this network.

    Raises:
        ValueError: a tensor is missing, unknown, or has another shape.
    """
    expected = join(layout)
    for name, weight in expected.items():
        if name not in state:
            raise ValueError(f"the state_dict has no {name!r}: it is not {network}")
        if state[name].shape != weight.shape:
            found, needed = tuple(state[name].shape), tuple(weight.shape)
            raise ValueError(f"{name} has shape {found}, but this network needs {needed}")
    for name in state:
        if name not in expected:
            raise ValueError(f"the state_dict has {name!r}, which is not part of this network")
    for name, parts in layout.items():
        widths = [part.shape[-1] for part in parts]
        for part, weight in zip(parts, state[name].split(widths, dim=-1), strict=True):
            part.copy_(weight)


def cells_of(recurrence: nn.Module) -> list[Cell]:
    """The cells of a unidirectional stack, from the first to the last layer; else an empty list."""
    if isinstance(recurrence, CellRecurrence) and not recurrence.backward_layers:
        return [cast(Cell, layer) for layer in recurrence.layers]
    return []


def filled(literal: Literal, state: dict[str, Tensor]) -> Literal:
    """Load a state_dict into a literal network, with the dtype and device of the state_dict."""
    first = next(iter(state.values()))
    literal.to(first.device, first.dtype).load_state_dict(state)
    return literal


def refuse_dropout(readout: Any, network: str) -> None:
    """Check that a readout has no dropout. network: name of the published network.

    Raises:
        ValueError: the readout has dropout.
    """
    if readout.dropout.p:
        raise ValueError(
            f"{network} has no dropout before its output: set the dropout of the readout to 0"
        )
