"""Where gradients vanish: the gradient of the loss by every hidden state, once an epoch."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, cast

import pandas as pd
import pytorch_lightning as pl
import torch
from matplotlib.figure import Figure
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loggers import TensorBoardLogger
from torch import Tensor, nn

from rnnexp.callbacks.figures import PREDICTION, SECOND, TARGET, finish
from rnnexp.data.loading.module import DataModule
from rnnexp.errors import UserError
from rnnexp.files import write_text
from rnnexp.nn.recurrence import CellRecurrence, TorchRecurrence
from rnnexp.nn.representations import Sequences, reverse
from rnnexp.process import determinism

FILE = "gradient_flow.csv"  # in the run's folder


class GradientFlow(Callback):
    """The norm of the gradient of the loss by the hidden state h_t, over the distance of step t
    from the last one: before the training and after each of its epochs.

    gradient_flow.csv in the run's folder has the columns `epochs` (trained so far), `distance`
    (0: the last state that is read) and `gradient_norm`; figures/gradient_flow.png and TensorBoard
    have it as curves. It is measured on always the same sequences of the validation part, in
    evaluation mode, and changes nothing in the run. Of a stack it is the last layer, of two
    directions the one that reads forwards.

    sequences: how many it is measured on; those in the middle of the validation part.
    """

    def __init__(self, sequences: int = 64) -> None:
        if sequences < 1:
            raise UserError(
                f"callbacks.gradient_flow.sequences is {sequences}: it must be 1 or more"
            )
        self.sequences = sequences
        self.curves: list[pd.DataFrame] = []

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        recurrence_of(cast(Any, pl_module).network)
        self.batch = some_sequences(cast(Any, trainer).datamodule, self.sequences)
        self._measure(trainer, pl_module, epochs=trainer.current_epoch)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._measure(trainer, pl_module, epochs=trainer.current_epoch + 1)

    def _measure(self, trainer: pl.Trainer, pl_module: pl.LightningModule, epochs: int) -> None:
        batch = trainer.strategy.batch_to_device(trainer.precision_plugin.convert_input(self.batch))
        # A network of somebody else's may draw in evaluation too.
        with determinism.global_stream(0, "gradient flow"):
            norms = gradient_norms(pl_module, batch).tolist()
        curve = {"epochs": epochs, "distance": range(len(norms)), "gradient_norm": norms}
        self.curves.append(pd.DataFrame(curve))
        table = pd.concat(self.curves)
        path = Path(trainer.default_root_dir) / FILE
        write_text(path, table.to_csv(index=False, float_format="%.9g"))
        if isinstance(trainer.logger, TensorBoardLogger):
            figure = gradient_curves(table)
            trainer.logger.experiment.add_figure("gradient_flow", figure, trainer.global_step)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        path = Path(trainer.default_root_dir) / "figures" / "gradient_flow.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        gradient_curves(pd.concat(self.curves)).savefig(path, dpi=110)


# Measuring --------------------------------------------------------------------------------------


def recurrence_of(network: nn.Module) -> CellRecurrence:
    """The recurrence of a network, if its hidden states can be looked at.

    Raises:
        UserError: there is none, or it is one of torch's, which gives away the hidden states of its
            last layer when all are done, and not between two steps.
    """
    recurrence = getattr(network, "recurrence", None)
    if recurrence is None:
        raise UserError(
            f"callbacks.gradient_flow follows the gradient through a recurrence, and "
            f"{type(network).__name__} has none: choose another model"
        )
    if isinstance(recurrence, TorchRecurrence):
        name = type(recurrence.layers).__name__
        raise UserError(
            f"callbacks.gradient_flow follows the gradient from step to step, and torch.nn.{name} "
            f"does all steps at once: set model/recurrence={name.lower()}_cell, the same equations"
        )
    return cast(CellRecurrence, recurrence)


def some_sequences(data: DataModule, number: int) -> Any:
    """The first sequences of the batch in the middle of the validation part.

    Raises:
        UserError: nothing is validated.
    """
    loader = data.val_dataloader()
    if not loader:
        raise UserError(
            "callbacks.gradient_flow measures on the validation part, and there is none: set a "
            "larger data.validation_fraction"
        )
    batch = next(islice(loader, len(loader) // 2, None))
    return type(batch)(*(None if tensor is None else tensor[:number] for tensor in batch))


def gradient_norms(task: Any, batch: Any) -> Tensor:
    """(T,), double: at [k] the norm of dL/dh_t at the k-th step before the last one of a sequence,
    L the loss of this sequence alone, averaged over the sequences that have so many steps.

    Every parameter keeps its .grad.
    """
    recurrence = recurrence_of(task.network)
    with in_evaluation(task.network), on_the_plain_path(recurrence), watched(recurrence) as seen:
        loss = task.batch_loss(batch)
    (x,), hidden = seen
    gradients = torch.autograd.grad(loss, hidden, materialize_grads=True)
    # In double precision, for the square of a small float32 is zero. The loss is the mean of all.
    norms = x.batch * torch.stack([one.double().norm(dim=1) for one in gradients])  # (T, B)
    if x.padding is None:
        return norms.flip(0).mean(1)
    real = ~x.padding
    so_long = real.sum(1)  # (T,): none at the end, if these are the short ones of a longer batch
    return (reverse(norms * real, x.lengths).sum(1) / so_long)[so_long > 0]


@contextmanager
def watched(recurrence: CellRecurrence) -> Iterator[tuple[list[Sequences], list[Tensor]]]:
    """What the recurrence is run over, and h_t of its last layer at every step."""
    x: list[Sequences] = []
    hidden: list[Tensor] = []
    hooks = [
        recurrence.register_forward_pre_hook(lambda _, arguments: x.append(arguments[0])),
        recurrence.layers[-1].register_forward_hook(
            lambda _, given, state: hidden.append(state[0])
        ),
    ]
    try:
        yield x, hidden
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def on_the_plain_path(recurrence: CellRecurrence) -> Iterator[None]:
    """There alone a cell is called at every step."""
    before = recurrence.fused, recurrence.compiled, recurrence.path
    recurrence.fused = recurrence.compiled = False
    try:
        yield
    finally:
        recurrence.fused, recurrence.compiled, recurrence.path = before


@contextmanager
def in_evaluation(network: nn.Module) -> Iterator[None]:
    """No dropout and no statistics of batches; then every module is in its mode again."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


# The figure -------------------------------------------------------------------------------------


def gradient_curves(curves: pd.DataFrame) -> Figure:
    """A curve an epoch, the first and the last one strong: the norms, and what part they are of the
    norm at the last hidden state (a small loss has small gradients everywhere).

    curves: as in gradient_flow.csv.
    """
    measured = curves["epochs"].unique()
    styles = {epochs: {"color": TARGET, "lw": 0.8, "alpha": 0.3} for epochs in measured}
    for epochs, color in ((measured[-1], PREDICTION), (measured[0], SECOND)):
        label = f"after {epochs:.0f} epochs" if epochs else "before the training"
        styles[epochs] = {"color": color, "lw": 2, "label": label}
    figure = Figure(figsize=(10, 4), layout="constrained")
    absolute, relative = figure.subplots(1, 2)
    for epochs, curve in curves.groupby("epochs"):
        distance, norm = curve["distance"], curve["gradient_norm"]
        # What underflowed to 0 has no place on the axis.
        absolute.plot(distance, norm.where(norm > 0), **styles[epochs])
        relative.plot(distance, (norm / norm.iloc[0]).where(norm > 0), **styles[epochs])
    absolute.set_title("norm of the gradient of the loss", loc="left")
    relative.set_title("the same, as a part of that at the last state", loc="left")
    for axes in (absolute, relative):
        axes.set(xlabel="steps before the last hidden state", yscale="log")
        finish(axes)
    # A curve that hardly falls must not look as if it did.
    relative.set_ylim(min(relative.get_ylim()[0], 0.05), max(relative.get_ylim()[1], 2))
    absolute.legend(frameon=False)
    return figure
