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

from rnnexp.callbacks.figures import PREDICTION, SECOND, TARGET, finish, legend_beside, save, sign
from rnnexp.data.loading.module import DataModule
from rnnexp.errors import UserError
from rnnexp.files import write_text
from rnnexp.nn.cell import Cell
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
        self.cell = ""

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.cell = cell_name(recurrence_of(cast(Any, pl_module).network))
        self.batch = some_sequences(cast(Any, trainer).datamodule, self.sequences)
        if not self.curves:  # else the run goes on from a checkpoint
            self._measure(trainer, pl_module, epochs=trainer.current_epoch)

    def state_dict(self) -> dict[str, Any]:
        return {"curves": [curve.to_dict(orient="list") for curve in self.curves]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.curves = [pd.DataFrame(curve) for curve in state_dict["curves"]]

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
            figure = gradient_curves(table, self.cell)
            sign(figure, trainer)
            trainer.logger.experiment.add_figure("gradient_flow", figure, trainer.global_step)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        save(gradient_curves(pd.concat(self.curves), self.cell), "gradient_flow", trainer)


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


def cell_name(recurrence: CellRecurrence) -> str:
    """The cell for a title, e.g. "GRUChung, 32 units"."""
    layers, first = len(recurrence.layers), cast(Cell, recurrence.layers[0])
    stack = f", last of {layers} layers" if layers > 1 else ""
    both = ", forward direction" if recurrence.backward_layers else ""
    return f"{type(first).__name__}, {first.hidden_size} units{stack}{both}"


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
    before = recurrence.asked, recurrence.path, set(recurrence.used)
    recurrence.asked = "plain"
    try:
        yield
    finally:
        recurrence.asked, recurrence.path, recurrence.used = before


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

# The ranges of the axes are the same in every run, so that two figures can be compared. Only a
# gradient above them stretches them.
RELATIVE, ABSOLUTE = (1e-8, 10.0), (1e-12, 10.0)


def gradient_curves(curves: pd.DataFrame, cell: str) -> Figure:
    """A curve per epoch, the first and the last one highlighted. Left: the norms relative to the
    norm at the last hidden state, because a small loss has small gradients. Right: the norms.

    curves: the columns of gradient_flow.csv. cell: for the title.
    """
    measured = curves["epochs"].unique()
    styles: dict[Any, dict[str, Any]] = {}
    between = measured[1:-1]
    for epochs in between:
        styles[epochs] = {"color": TARGET, "lw": 0.8, "alpha": 0.4, "zorder": 1.5}
    if len(between):
        first, last = f"{between[0]:.0f}", f"{between[-1]:.0f}"
        span = _epochs(between[0]) if first == last else f"after {first} to {last} epochs"
        styles[between[0]]["label"] = span
    for epochs, color in ((measured[-1], PREDICTION), (measured[0], SECOND)):
        styles[epochs] = {"color": color, "lw": 2, "label": _epochs(epochs)}
    figure = Figure(figsize=(12, 4.6), layout="constrained")
    relative, absolute = figure.subplots(1, 2, width_ratios=[1.7, 1])
    for epochs, curve in curves.groupby("epochs"):
        distance, norm = curve["distance"], curve["gradient_norm"]
        seen = norm > 0  # a logarithmic axis has no 0 (underflow)
        part = (norm / norm.iloc[0]).where(seen & (norm.iloc[0] > 0))
        relative.plot(distance, part, **styles[epochs])
        absolute.plot(distance, norm.where(seen), **styles[epochs])
    relative.set_title("relative to the last hidden state: what is left on the way back")
    absolute.set_title("the norm itself, small where the loss is")
    relative.set_ylabel("$\\|dL/dh_t\\|$ / $\\|dL/dh_T\\|$")
    absolute.set_ylabel("$\\|dL/dh_t\\|$")
    for axes, (low, high) in ((relative, RELATIVE), (absolute, ABSOLUTE)):
        hidden = f"\nsmaller than {low:g}: not shown" if axes.dataLim.ymin < low else ""
        axes.set(xlabel=f"steps before the last hidden state, T - t{hidden}", yscale="log")
        axes.set_ylim(low, max(high, 2 * axes.dataLim.ymax))
        finish(axes)
    figure.suptitle(f"Gradient of the loss L with respect to the hidden state h: {cell}")
    legend_beside(figure)
    return figure


def _epochs(epochs: float) -> str:
    if not epochs:
        return "before the training"
    return f"after {epochs:.0f} epoch{'s' if epochs != 1 else ''}"
