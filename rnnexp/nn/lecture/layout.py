"""State dicts of published networks, translated from and into ours.

A layout says for every tensor of a published state_dict which of our weights stand side by side in
it: a weight over [x_t; h_{t-1}] is our W and U. They are transposed views of the parameters, so
that copying into them fills the parameters; both directions follow from the one layout.
"""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from rnnexp.nn.cells import Cell
from rnnexp.nn.recurrence import CellRecurrence

Layout = dict[str, list[Tensor]]


def linear(name: str, weights: Sequence[Tensor], bias: Tensor) -> Layout:
    """The layout of a torch.nn.Linear over what these weights, each (in, out), are over."""
    return {
        f"{name}.weight": [weight.detach().t() for weight in weights],
        f"{name}.bias": [bias.detach()],
    }


def join(layout: Layout) -> dict[str, Tensor]:
    """Our weights as the published network names and lays them out (copies)."""
    return {name: torch.cat(parts, dim=-1) for name, parts in layout.items()}


def split(state: dict[str, Tensor], layout: Layout, network: str) -> None:
    """Fill our weights with those of the state_dict of a published network, so called.

    Raises:
        ValueError: it lacks a tensor, has one too many, or one of another shape.
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
            raise ValueError(f"the state_dict has {name!r}, for which this network has no place")
    for name, parts in layout.items():
        widths = [part.shape[-1] for part in parts]
        for part, weight in zip(parts, state[name].split(widths, dim=-1), strict=True):
            part.copy_(weight)


def cells_of(recurrence: nn.Module) -> list[Cell]:
    """The cells of a stack that reads in one direction, the first layer's first; else none."""
    if isinstance(recurrence, CellRecurrence) and not recurrence.backward_layers:
        return [cast(Cell, layer) for layer in recurrence.layers]
    return []
