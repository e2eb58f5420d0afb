"""Checkpoints in the run folder: `best.ckpt` by the monitored metric, and `last.ckpt`."""

from pathlib import Path
from typing import Any, Literal

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins import TorchCheckpointIO
from pytorch_lightning.callbacks import ModelCheckpoint

from rnnexp.files import written_beside

CHECKPOINT_FORMAT = 1  # tensors and plain values, with rnnexp's names of the weights


class Checkpoint(ModelCheckpoint):
    """Lightning's ModelCheckpoint with our file names, and a `last.ckpt` after every epoch.

    Lightning's own `save_last` writes it only in epochs that are the best so far. Without a
    monitored metric there is only `last.ckpt`.
    """

    def __init__(self, monitor: str | None = None, mode: Literal["min", "max"] = "min") -> None:
        super().__init__(
            monitor=monitor,
            mode=mode,
            filename="best",
            save_top_k=1 if monitor else 0,
            auto_insert_metric_name=False,
            enable_version_counter=False,
        )

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        self.dirpath = str(Path(trainer.default_root_dir) / "checkpoints")
        super().setup(trainer, pl_module, stage)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        super().on_train_epoch_end(trainer, pl_module)
        trainer.save_checkpoint(Path(trainer.default_root_dir) / "checkpoints" / "last.ckpt")

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        checkpoint["rnnexp_format"] = CHECKPOINT_FORMAT


class CheckpointFiles(TorchCheckpointIO):
    """Writes checkpoints directly to their file.

    Lightning first builds a checkpoint in memory: a copy of the weights and optimiser states.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with written_beside(Path(path)) as beside:
            torch.save(checkpoint, beside)
