"""Checkpoints in the run folder: `best.ckpt` by the monitored metric, and `last.ckpt`."""

from pathlib import Path
from typing import Any, Literal

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins import TorchCheckpointIO
from pytorch_lightning.callbacks import ModelCheckpoint

from rnnexp.config.targets import OWN_FOLDER
from rnnexp.errors import UserError
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
    """Writes checkpoints directly to their file, in the folder of the run alone.

    Lightning first builds a checkpoint in memory: a copy of the weights and optimiser states.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder.resolve()

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        place = Path(path).resolve()
        if not place.is_relative_to(self.folder):  # a callback has formatted it
            raise UserError(f"a checkpoint cannot be written to {path}: {OWN_FOLDER}")
        place.parent.mkdir(parents=True, exist_ok=True)
        with written_beside(place) as beside, beside.open("wb") as file:
            try:
                torch.save(checkpoint, file)
            except RuntimeError as error:
                if isinstance(error.__context__, OSError):  # of the file, which torch renames
                    raise error.__context__ from None
                raise
