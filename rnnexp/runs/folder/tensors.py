"""What the tensors of a checkpoint must be, so that reading them takes no more than their file."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

DOUBLE = {torch.float32: torch.float64}  # trainer.precision=64 trains in it


def wrong_tensor(content: Any) -> str | None:
    """What is wrong with the first odd tensor of a checkpoint, however deep; None if none is."""
    for key, tensor in _tensors(content, ""):
        if tensor.layout is not torch.strided or tensor.is_meta or tensor.is_quantized:
            return f"{key} is no plain tensor"
        if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
            return f"{key} says that it has {tensor.numel():,} values, which it does not hold"
    return None


def _tensors(content: Any, key: str) -> Iterator[tuple[str, torch.Tensor]]:
    waiting = [(key, content)]
    while waiting:
        key, one = waiting.pop()
        if isinstance(one, torch.Tensor):
            yield key, one
        elif isinstance(one, dict):
            waiting += [(f"{key}.{name}" if key else str(name), x) for name, x in one.items()]
        elif isinstance(one, list | tuple):
            waiting += [(f"{key}[{number}]", x) for number, x in enumerate(one)]


def mismatch(network: nn.Module, state: dict[str, torch.Tensor]) -> str | None:
    """How weights differ from those of a network, which may be on the device `meta`; None if names,
    shapes and kinds of numbers are the same."""
    own = network.state_dict()
    for name in own:
        if name not in state:
            return f"{name} is missing"
        mine, other = own[name], state[name]
        if mine.shape != other.shape:
            return f"{name} has the shape {tuple(other.shape)} in place of {tuple(mine.shape)}"
        if other.dtype not in (mine.dtype, DOUBLE.get(mine.dtype)):
            return f"{name} holds {other.dtype} in place of {mine.dtype}"
    extra = [name for name in state if name not in own]
    return f"{extra[0]} is not of this network" if extra else None


def not_finite(state: dict[str, torch.Tensor]) -> str | None:
    """The name of the first weights that hold NaN or infinity."""
    for name, weight in state.items():
        if weight.is_floating_point() and not weight.isfinite().all():
            return name
    return None
