"""State dicts of published networks, translated from and into ours.

A layout lists, for every tensor of a published state_dict, the weights of ours that it joins: a
weight over [x_t; h_{t-1}] is our W beside our U. The listed tensors are transposed views of our
parameters, so copying into them fills the parameters. One layout serves both directions.
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
    """What is translated: a recurrence, and a readout of its hidden states."""

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
    """Our weights under the names and in the shapes of the published network (copies)."""
    return {name: torch.cat(parts, dim=-1) for name, parts in layout.items()}


def split(state: dict[str, Tensor], layout: Layout, network: str) -> None:
    """Fill our weights from the state_dict of a published network. network: its name.

    Raises:
        ValueError: a tensor is missing, unknown, or of another shape.
    """
    expected = join(layout)
    for name, weight in expected.items():
        if name not in state:
            raise ValueError(f"the state_dict has no {name!r}: it is not {network}")
        if state[name].shape != weight.shape:
            found, wanted = tuple(state[name].shape), tuple(weight.shape)
            raise ValueError(f"{name} has shape {found}, this network needs {wanted}")
    for name in state:
        if name not in expected:
            raise ValueError(f"the state_dict has {name!r}, which this network does not have")
    for name, parts in layout.items():
        widths = [part.shape[-1] for part in parts]
        for part, weight in zip(parts, state[name].split(widths, dim=-1), strict=True):
            part.copy_(weight)


def cells_of(recurrence: nn.Module) -> list[Cell]:
    """The cells of a one-directional stack, from the first layer to the last; empty otherwise."""
    if isinstance(recurrence, CellRecurrence) and not recurrence.backward_layers:
        return [cast(Cell, layer) for layer in recurrence.layers]
    return []


def filled(literal: Literal, state: dict[str, Tensor]) -> Literal:
    """A literal network with these weights, in their type and on their device."""
    first = next(iter(state.values()))
    literal.to(first.device, first.dtype).load_state_dict(state)
    return literal


def refuse_dropout(readout: Any, network: str) -> None:
    """Check that a readout has no dropout. network: the name of the one that has none.

    Raises:
        ValueError: it has.
    """
    if readout.dropout.p:
        raise ValueError(
            f"{network} has no dropout before its output: set that of the readout to 0"
        )
