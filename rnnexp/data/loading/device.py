"""Where batches are made: on the processor, or on a GPU from data that lie there.

Batches are gathered, not computed, so both give the same bits.
"""

import copy
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple, Protocol, TypeVar

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from rnnexp.errors import UserError

OnDevice = bool | Literal["auto"]
MakeBatch = Callable[[Any], Any]
T = TypeVar("T")
CPU = torch.device("cpu")
SHARE = 0.25  # of the free memory of a GPU, which the data may take with on_device=auto


def checked(asked: Any) -> OnDevice:
    """The setting data.on_device.

    Raises:
        UserError: it is not true, false or auto.
    """
    if asked not in (True, False, "auto") or not isinstance(asked, bool | str):
        raise UserError(f"data.on_device is {asked!r}: it must be true, false or auto")
    return "auto" if asked == "auto" else bool(asked)


class Store(Protocol):
    """Data of which batches are gathered."""

    def on(self, device: torch.device | str) -> Any:
        """A copy that gathers batches on this device."""


class Prepared(NamedTuple):
    """What makes batches: store and parts may lie on a GPU; wrap: changes the function that makes a
    batch of them."""

    store: Any
    parts: Sequence[Any]
    wrap: Callable[[MakeBatch], MakeBatch]


def prepare(trainer: Any, asked: OnDevice, store: Store | None, *parts: Any) -> Prepared:
    """Store and further parts as the device of a training wants them: on a GPU, if asked and, with
    `auto`, if they fit; otherwise batches are made in pinned memory, as without a store. Nothing
    changes on a processor, or unless asked."""
    device = trainer.strategy.root_device if asked and trainer is not None else CPU
    if device.type == CPU.type:
        return Prepared(store, parts, lambda make_batch: make_batch)
    if store is None or not holds(device, asked, store, *parts):
        return Prepared(store, parts, pinned)
    moved = [on(part, device) for part in parts]
    return Prepared(store.on(device), moved, lambda make_batch: make_batch)


def holds(device: torch.device, asked: OnDevice, *parts: Any) -> bool:
    """Whether these data are to lie on the device: if asked, or with `auto` if they fit."""
    if asked != "auto":
        return asked
    needed = sum(tensor.nbytes for part in parts for tensor in _tensors(part).values())
    return needed <= SHARE * torch.cuda.mem_get_info(device)[0]


def on(part: T, device: torch.device | str) -> T:
    """A shallow copy of an object whose tensors lie on the device."""
    moved = copy.copy(part)
    for name, tensor in _tensors(part).items():
        object.__setattr__(moved, name, tensor.to(device))  # also of a frozen dataclass
    return moved


def pinned(make_batch: MakeBatch) -> MakeBatch:
    """Make batches in memory from which a GPU copies while the processor goes on."""

    def pin(one: Any) -> Any:
        return one.pin_memory() if isinstance(one, Tensor) else one

    return lambda items: pytree.tree_map(pin, make_batch(items))


def _tensors(part: Any) -> dict[str, Tensor]:
    return {name: value for name, value in vars(part).items() if isinstance(value, Tensor)}
