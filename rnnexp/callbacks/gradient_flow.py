"""Gradient flow: the gradient of the loss with respect to every hidden state, by epoch."""

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

GRADIENT_FLOW_CSV = "gradient_flow.csv"  # file name in the run folder


class GradientFlow(Callback):
    """Measures ||dL/dh_t||, the norm of the gradient of the loss with respect to the hidden state,
    by the distance of step t from the last step: before training and after each epoch.

    gradient_flow.csv in the run folder has the columns `epochs` (trained so far), `distance` (0 is
    the last hidden state) and `gradient_norm`; figures/gradient_flow.png and TensorBoard show the
    curves. The same validation sequences are used each time, in evaluation mode, and the run is not
    affected. In a stack the last layer is measured, in a bidirectional network the forward
    direction.

    sequences: how many sequences to measure on, from the middle of the validation part.

    Raises:
        UserError: `sequences` is less than 1.
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
        # A custom network may draw random numbers even in evaluation mode.
        with determinism.global_stream(0, "gradient flow"):
            norms = gradient_norms(pl_module, batch).tolist()
        curve = {"epochs": epochs, "distance": range(len(norms)), "gradient_norm": norms}
        self.curves.append(pd.DataFrame(curve))
        table = pd.concat(self.curves)
        path = Path(trainer.default_root_dir) / GRADIENT_FLOW_CSV
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
    """The recurrence of a network, with access to the hidden state at every step.

    Raises:
        UserError: the network has no recurrence, or it is a layer of torch, which does not give
            access to its hidden states between two steps.
    """
    recurrence = getattr(network, "recurrence", None)
    if recurrence is None:
        raise UserError(
            f"callbacks.gradient_flow needs a recurrence, and {type(network).__name__} has none: "
            "choose another model"
        )
    if isinstance(recurrence, TorchRecurrence):
        name = type(recurrence.layers).__name__
        raise UserError(
            f"callbacks.gradient_flow needs the hidden states step by step, and torch.nn.{name} "
            f"hides them: set model/recurrence={name.lower()}_cell, which has the same equations"
        )
    return cast(CellRecurrence, recurrence)


def some_sequences(data: DataModule, number: int) -> Any:
    """The first sequences of the batch in the middle of the validation part.

    Raises:
        UserError: there are no validation data.
    """
    loader = data.val_dataloader()
    if not loader:
        raise UserError(
            "callbacks.gradient_flow needs validation data: increase data.validation_fraction"
        )
    batch = next(islice(loader, len(loader) // 2, None))
    return type(batch)(*(None if tensor is None else tensor[:number] for tensor in batch))


def gradient_norms(task: Any, batch: Any) -> Tensor:
    """||dL/dh_t|| by distance, (T,), float64. Entry k is the norm k steps before the last step of a
    sequence, where L is the loss of this sequence, averaged over the sequences that are longer than
    k steps.

    The .grad of the parameters does not change.

    Raises:
        UserError: as for `recurrence_of`.
    """
    recurrence = recurrence_of(task.network)
    with in_evaluation(task.network), on_the_plain_path(recurrence), watched(recurrence) as seen:
        loss = task.batch_loss(batch)
    (x,), hidden = seen
    gradients = torch.autograd.grad(loss, hidden, materialize_grads=True)
    # float64, because the square of a small float32 underflows. The loss is a mean over the batch.
    norms = x.batch * torch.stack([one.double().norm(dim=1) for one in gradients])  # (T, B)
    if x.padding is None:
        return norms.flip(0).mean(1)
    real = ~x.padding
    so_long = real.sum(1)  # (T,): may end with zeros, as the batch may have had longer sequences
    return (reverse(norms * real, x.lengths).sum(1) / so_long)[so_long > 0]


@contextmanager
def watched(recurrence: CellRecurrence) -> Iterator[tuple[list[Sequences], list[Tensor]]]:
    """Collects the input of the recurrence, and h_t (B, H) of its last layer at every step."""
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
    """Run the recurrence on its plain path, the only one that calls the cell at every step."""
    before = recurrence.fused, recurrence.compiled, recurrence.path
    recurrence.fused = recurrence.compiled = False
    try:
        yield
    finally:
        recurrence.fused, recurrence.compiled, recurrence.path = before


@contextmanager
def in_evaluation(network: nn.Module) -> Iterator[None]:
    """Evaluation mode: no dropout, no batch statistics. Every module gets its old mode back."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


# Figure -----------------------------------------------------------------------------------------


def gradient_curves(curves: pd.DataFrame) -> Figure:
    """A curve per epoch, the first and the last one highlighted. Left: the norms. Right: the norms
    relative to the norm at the last hidden state, because a small loss has small gradients.

    curves: the columns of gradient_flow.csv.
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
        # A logarithmic axis has no 0 (underflow).
        absolute.plot(distance, norm.where(norm > 0), **styles[epochs])
        relative.plot(distance, (norm / norm.iloc[0]).where(norm > 0), **styles[epochs])
    absolute.set_title("norm of the gradient of the loss", loc="left")
    relative.set_title("relative to the last hidden state", loc="left")
    for axes in (absolute, relative):
        axes.set(xlabel="steps before the last hidden state", yscale="log")
        finish(axes)
    # A wide range, so that an almost constant curve looks constant.
    relative.set_ylim(min(relative.get_ylim()[0], 0.05), max(relative.get_ylim()[1], 2))
    absolute.legend(frameon=False)
    return figure
