"""The progress bar: progress, the current loss, and the last validation metrics."""

from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import RichProgressBar

from rnnexp import console
from rnnexp.printing import printable


class Progress(RichProgressBar):
    """Lightning's Rich progress bar with only the loss and the validation metrics.

    If the console is not a terminal (a file, a pipe), one line per epoch instead.
    """

    def __init__(self) -> None:
        super().__init__(refresh_rate=5 if console.console.is_terminal else 0, leave=False)

    def get_metrics(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule
    ) -> dict[str, int | str | float | dict[str, float]]:
        found: dict[str, Any] = super().get_metrics(trainer, pl_module)
        shown = {"loss": found.get("train/loss_step")}
        shown |= {name: found[name] for name in found if name.startswith("val/")}
        return {printable(name): value for name, value in shown.items() if value is not None}

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        super().on_train_epoch_end(trainer, pl_module)
        if not console.console.is_terminal:
            found = trainer.progress_bar_metrics
            shown = {name.removesuffix("_epoch"): value for name, value in found.items()}
            figures = [
                f"{name} {value:.4g}"
                for name, value in shown.items()
                if name == "train/loss" or name.startswith("val/")
            ]
            console.show(f"{epoch_of(trainer)}  {'  '.join(figures)}")


def epoch_of(trainer: pl.Trainer) -> str:
    """The current epoch, from 1, and the last one if that is known: `epoch 3/10`."""
    epochs = trainer.max_epochs if (trainer.max_epochs or 0) > 0 else "?"
    return f"epoch {trainer.current_epoch + 1}/{epochs}"
