"""Where batches are made: on the processor, or on a GPU from data that lie there.

Batches are gathered, not computed, so every way gives the same bits.
"""

import copy
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple, Protocol, TypeVar
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from rnnexp.errors import UserError

OnDevice = bool | Literal["copied", "auto"]
MakeBatch = Callable[[Any], Any]
T = TypeVar("T")
CPU = torch.device("cpu")
SHARE = 0.25  # of the free memory of a GPU, which the data may take with on_device=auto


def checked(asked: Any) -> OnDevice:
    """The setting data.on_device: whether a GPU gathers the batches (True), or they are made on the
    processor and copied while the GPU works ("copied"); "auto" until the data are read.

    Raises:
        UserError: it is something else.
    """
    if isinstance(asked, bool) or asked in ("copied", "auto"):
        return asked
    raise UserError(f"data.on_device is {asked!r}: it must be true, false, copied or auto")


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
    """Store and further parts on the device of the training: on a GPU, if asked; with "copied", and
    without a store, batches are copied. Nothing changes on a processor, or unless asked."""
    device = trainer.strategy.root_device if asked and trainer is not None else CPU
    if device.type == CPU.type:
        return Prepared(store, parts, lambda make_batch: make_batch)
    if store is None or asked is not True:
        return Prepared(store, parts, lambda make_batch: copied(make_batch, device))
    moved = [on(part, device) for part in parts]
    return Prepared(copy_of(store, device), moved, lambda make_batch: make_batch)


def decided(stores: Sequence[Store]) -> OnDevice:
    """What "auto" becomes on the current GPU: True if there are stores and they fit."""
    needed = sum(tensor.nbytes for store in stores for tensor in _tensors(store).values())
    fit = bool(stores) and needed <= SHARE * torch.cuda.mem_get_info()[0]
    return True if fit else "copied"


_copies: WeakKeyDictionary[Store, dict[torch.device, Any]] = WeakKeyDictionary()


def copy_of(store: Store, device: torch.device) -> Any:
    """The copy of a store on a device, which all its loaders share."""
    copies = _copies.setdefault(store, {})
    if device not in copies:
        copies[device] = store.on(device)
    return copies[device]


def on(part: T, device: torch.device | str) -> T:
    """A shallow copy of an object whose tensors lie on the device."""
    moved = copy.copy(part)
    for name, tensor in _tensors(part).items():
        object.__setattr__(moved, name, tensor.to(device))  # also of a frozen dataclass
    return moved


def copied(make_batch: MakeBatch, device: torch.device) -> MakeBatch:
    """Make batches on the processor and copy them to a GPU, on a stream of their own.

    A backward pass is launched before it is computed. So the next batch is made, when it is asked
    for, and copied while the GPU is still at the last one; only the next step waits for the copy.
    """
    side = torch.cuda.Stream(device)

    def make_and_copy(items: Any) -> Any:
        pinned = pytree.tree_map_only(Tensor, Tensor.pin_memory, make_batch(items))
        with torch.cuda.stream(side):
            batch = pytree.tree_map_only(
                Tensor, lambda one: one.to(device, non_blocking=True), pinned
            )
        steps = torch.cuda.current_stream(device)
        steps.wait_stream(side)
        for one in pytree.tree_leaves(batch):
            if isinstance(one, Tensor):
                one.record_stream(steps)  # else its memory is reused once the copy is done
        return batch

    return make_and_copy


def _tensors(part: Any) -> dict[str, Tensor]:
    return {name: value for name, value in vars(part).items() if isinstance(value, Tensor)}
