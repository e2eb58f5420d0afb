"""Checkpoints in the run folder: `best.ckpt` by the monitored metric, and `last.ckpt`, from which
an interrupted run goes on."""

import errno
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, cast

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins import TorchCheckpointIO
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.loggers import Logger

from rnnexp.callbacks.checkpoint_names import BEST, LAST, NEXT, PREVIOUS
from rnnexp.callbacks.history import History
from rnnexp.callbacks.position import position_of, restore, restore_means, with_corrected_counts
from rnnexp.config.targets import OWN_FOLDER
from rnnexp.errors import UserError
from rnnexp.files import written_beside
from rnnexp.hashes import hash_content
from rnnexp.process.interruption import Interruption

CHECKPOINT_FORMAT = 1  # tensors and plain values, with rnnexp's names of the weights


class Checkpoint(ModelCheckpoint):
    """Lightning's ModelCheckpoint with our file names, and a `last.ckpt` from which the run can go
    on, bit for bit.

    `last.ckpt` is written before the first batch of every epoch but the first, after the last
    epoch, and between two batches when it is due or when a signal has asked for an interruption.
    Then the training ends by KeyboardInterrupt. Without a monitored metric there is no `best.ckpt`.

    due: when `last.ckpt` is due within an epoch: every_minutes, every_steps; None: it is not.
    history: its batches are those that have been trained on. interruption: what signals do.
    trains: whether a batch has been trained on in this process, after all that was to be restored.
    """

    def __init__(
        self,
        monitor: str | None = None,
        mode: Literal["min", "max"] = "min",
        due: Mapping[str, Any] | None = None,
        history: History | None = None,
        interruption: Interruption | None = None,
    ) -> None:
        super().__init__(
            monitor=monitor,
            mode=mode,
            filename=BEST.removesuffix(".ckpt"),
            save_top_k=1 if monitor else 0,
            auto_insert_metric_name=False,
            enable_version_counter=False,
        )
        self.every_minutes = (due or {}).get("every_minutes")
        self.every_steps = (due or {}).get("every_steps")
        self.history, self.interruption = history or History(), interruption or Interruption()
        self.trains = False
        self._saved_at = time.monotonic()
        self._position: dict[str, Any] = {}  # while last.ckpt is being written
        self._restored: dict[str, Any] = {}  # the position from which the run goes on
        self._silent: list[Logger] = []  # loggers, until that position is reached

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        self.dirpath = str(Path(trainer.default_root_dir) / "checkpoints")
        super().setup(trainer, pl_module, stage)

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._restored.get("trained"):  # nothing is left to do, also after an early stop
            trainer.should_stop = True

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        super().on_train_start(trainer, pl_module)
        if self._restored:
            self._silent = trainer.loggers
            if not self._restored.get("longer"):  # what comes before the position has been logged
                trainer.loggers = []
        self._saved_at = time.monotonic()
        self.interruption.watch()  # Lightning has taken over SIGTERM

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if self._restored:
            restore(trainer, self._restored)
            trainer.loggers = self._silent
        elif batch_idx % trainer.accumulate_grad_batches == 0:
            asked = self.interruption.asked
            due = asked or self._is_due(trainer, batch_idx)
            # All processes of a run save together, since each has random states of its own.
            if trainer.strategy.reduce_boolean_decision(due, all=False):
                self._save_last(trainer, batch_idx)
            if asked:
                raise KeyboardInterrupt

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)
        if self._restored:
            restore_means(trainer, self._restored["means"])
            self._restored = {}
        self.trains = True

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._restored:  # it was trained
            trainer.loggers = self._silent
        self._save_last(trainer, 0, trained=True)
        if self.interruption.asked:
            raise KeyboardInterrupt

    def _is_due(self, trainer: pl.Trainer, batch: int) -> bool:
        if batch == 0:
            return trainer.global_step > 0
        minutes = (time.monotonic() - self._saved_at) / 60
        return (self.every_minutes is not None and minutes >= self.every_minutes) or (
            self.every_steps is not None and trainer.global_step % self.every_steps == 0
        )

    def _save_last(self, trainer: pl.Trainer, batch: int, trained: bool = False) -> None:
        folder = Path(trainer.default_root_dir) / "checkpoints"
        self._position = {**position_of(trainer, batch), "trained": trained}
        try:
            trainer.save_checkpoint(folder / NEXT)
        finally:
            self._position = {}
        if trainer.is_global_zero:  # no other process writes
            if (folder / LAST).exists():
                os.replace(folder / LAST, folder / PREVIOUS)
            os.replace(folder / NEXT, folder / LAST)
        self._saved_at = time.monotonic()

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        checkpoint["rnnexp_format"] = CHECKPOINT_FORMAT
        if self._position:
            checkpoint["position"] = self._position
            checkpoint["trained"] = self.history.trained
            with_corrected_counts(checkpoint)

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        for callback in cast(Any, trainer).callbacks:
            if callback.state_dict() and callback.state_key not in checkpoint["callbacks"]:
                raise ValueError(f"it has nothing of {type(callback).__name__}")
        self._restored = checkpoint["position"]

    # Lightning keeps paths, and forgets the best score if the folder has been moved.

    def state_dict(self) -> dict[str, Any]:
        return {"best_score": self.best_model_score}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        score = state_dict["best_score"]
        if score is not None:
            best = str(Path(str(self.dirpath)) / BEST)
            self.best_model_score = self.kth_value = score
            self.best_model_path = self.kth_best_model_path = best
            self.best_k_models = {best: score}


class CheckpointFiles(TorchCheckpointIO):
    """Writes checkpoints directly to their file, in the folder of the run alone, with a hash of
    their content.

    Lightning first builds a checkpoint in memory: a copy of the weights and optimiser states.

    start: the checkpoint from which the run goes on, already read.
    """

    def __init__(self, folder: Path, start: dict[str, Any] | None = None) -> None:
        super().__init__()
        self.folder = folder.resolve()
        self.start = start

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        place = Path(path).resolve()
        if not place.is_relative_to(self.folder):  # a callback has formatted it
            raise UserError(f"a checkpoint cannot be written to {path}: {OWN_FOLDER}")
        if not self.folder.is_dir():
            raise FileNotFoundError(errno.ENOENT, "the folder has been removed", str(self.folder))
        place.parent.mkdir(parents=True, exist_ok=True)
        checkpoint["sha256"] = hash_content(checkpoint)
        with written_beside(place) as beside, beside.open("wb") as file:
            try:
                torch.save(checkpoint, file)
            except RuntimeError as error:
                if isinstance(error.__context__, OSError):  # of the file, which torch renames
                    raise error.__context__ from None
                raise
            file.flush()
            os.fsync(file.fileno())

    def load_checkpoint(self, path: str | Path, *arguments: Any, **settings: Any) -> dict[str, Any]:
        assert self.start is not None, "a run goes on from a checkpoint that has been checked"
        return self.start
