"""The history of a run: one row per epoch, every training loss exactly, and the times."""

import math
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import chain
from typing import Any, cast

import pandas as pd
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback

WRITE_EVERY = 1.0  # seconds: a file of many short epochs would take longer than they


class History(Callback):
    """rows: one dict per epoch (epoch, step, learning rate, seconds, logged metrics).
    losses_by_epoch: for each epoch the loss of every training step, in order. train_seconds: the
    time of training without validation. validation_seconds: the time of validation.

    run: what figures call the run, e.g. "quickstart, pmgru_seed0". write: called with the rows
    after an epoch, so that they survive a kill; at most once in `WRITE_EVERY` seconds.
    """

    def __init__(
        self, run: str = "", write: Callable[[list[dict[str, float]]], None] | None = None
    ) -> None:
        self.run = run
        self._write = write
        self._written, self._written_at = 0, -math.inf
        self.rows: list[dict[str, float]] = []
        self.losses_by_epoch: list[list[float]] = []
        self.train_seconds = 0.0
        self.validation_seconds = 0.0
        self._epoch_losses = torch.empty(0)
        self._seen = 0
        self._since = 0.0

    @property
    def losses(self) -> list[float]:
        """The loss of every training step of the finished epochs, in order."""
        return list(chain.from_iterable(self.losses_by_epoch))

    def mean_loss(self, steps: int) -> float:
        """The mean loss of the last steps of the epoch that is running."""
        return float(self._epoch_losses[max(self._seen - steps, 0) : self._seen].mean())

    def table(self) -> pd.DataFrame:
        """The rows, with the column `losses`: a list, the loss of every step of the epoch."""
        table = pd.DataFrame(self.rows)
        if self.losses_by_epoch:
            table["losses"] = self.losses_by_epoch
        return table

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._since = time.perf_counter()
        self._epoch_losses = self._epoch_losses.to(pl_module.device)  # from a checkpoint

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # One tensor per epoch: a small tensor per step would fragment the memory of the large
        # tensors, which could then not be reused.
        batches = int(trainer.num_training_batches)
        self._epoch_losses = torch.zeros(batches, dtype=torch.double, device=pl_module.device)
        self._seen = 0

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        loss = outputs.get("whole", outputs["loss"])  # whole: of the shares of several devices
        self._epoch_losses[batch_idx] = loss.detach()
        self._seen = batch_idx + 1

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.state.fn == "fit" and not trainer.sanity_checking:
            self.train_seconds += self._lap()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.state.fn == "fit" and not trainer.sanity_checking:
            self.validation_seconds += self._lap()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        losses = self._epoch_losses[: self._seen].tolist()  # one transfer per epoch
        self.losses_by_epoch.append(losses)
        self._seen = 0
        self.train_seconds += self._lap()
        row: dict[str, float] = {"epoch": trainer.current_epoch, "step": trainer.global_step}
        row["learning_rate"] = trainer.optimizers[0].param_groups[0]["lr"]
        row["train_seconds"] = round(self.train_seconds, 3)
        for name, value in sorted(trainer.callback_metrics.items()):
            if name.startswith("val/") or name == "train/loss":
                row[name] = float(value)
        self.rows.append(row)
        if time.monotonic() > self._written_at + WRITE_EVERY:
            self._write_rows()

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.train_seconds += self._lap()
        self._write_rows()

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        with suppress(OSError):  # perhaps the disk is full, which is the exception
            self._write_rows()

    @property
    def trained(self) -> list[int]:
        """The number of batches of every epoch so far, of the one that is running included."""
        return [*map(len, self.losses_by_epoch), self._seen]

    def state_dict(self) -> dict[str, Any]:
        return {
            "rows": self.rows,
            "losses": torch.tensor(self.losses, dtype=torch.double),
            "batches": [len(losses) for losses in self.losses_by_epoch],
            "epoch_losses": self._epoch_losses,
            "seen": self._seen,
            "train_seconds": self.train_seconds + (time.perf_counter() - self._since),
            "validation_seconds": self.validation_seconds,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.rows = state_dict["rows"]
        split = state_dict["losses"].split(state_dict["batches"])
        self.losses_by_epoch = [losses.tolist() for losses in split]
        self._epoch_losses, self._seen = state_dict["epoch_losses"], state_dict["seen"]
        self.train_seconds = state_dict["train_seconds"]
        self.validation_seconds = state_dict["validation_seconds"]

    def _write_rows(self) -> None:
        if self._write and len(self.rows) > self._written:
            self._write(self.rows)
            self._written, self._written_at = len(self.rows), time.monotonic()

    def _lap(self) -> float:
        now = time.perf_counter()
        lap, self._since = now - self._since, now
        return lap


def history_of(trainer: pl.Trainer) -> History:
    """The history among the callbacks of a trainer; an empty one if there is none."""
    found = (one for one in cast(Any, trainer).callbacks if isinstance(one, History))
    return next(found, History())
