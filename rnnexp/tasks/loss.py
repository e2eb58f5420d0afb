"""The loss that a task is trained by: one that it names, or an object of a class in the config."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from rnnexp.errors import UserError

Loss = Callable[[Tensor, Tensor], Tensor]  # outputs and targets -> one number


def chosen_loss(loss: str | Loss, named: Mapping[str, Loss]) -> Loss:
    """What `task.loss` says: one of those that the task names, or what the config built.

    Raises:
        UserError: it is neither.
    """
    found = named.get(loss) if isinstance(loss, str) else loss
    if not callable(found):
        what = repr(loss) if isinstance(loss, str) else f"of the class {type(loss).__name__}"
        raise UserError(
            f"task.loss is {what}: it must be one of {', '.join(named)}, or name a class "
            "(_target_) whose objects are called with outputs and targets"
        )
    return found


def loss_name(loss: Any) -> str:
    """What figures call a loss: what `task.loss` names, or the class of what it builds.

    loss: the argument of the task, or what its config holds.
    """
    if isinstance(loss, Mapping):
        return str(loss.get("_target_")).rpartition(".")[2]
    return loss if isinstance(loss, str) else type(loss).__name__


def one_number(loss: Any) -> Tensor:
    """What a loss gave.

    Raises:
        UserError: it is not a tensor of one number.
    """
    if not isinstance(loss, Tensor) or loss.ndim:
        what = f"a tensor of shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else repr(loss)
        raise UserError(f"task.loss gave {what}: it must give a tensor of one number, say the mean")
    return loss
