"""The progress bar: how far the run is, the loss now, and the last validation."""

from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import RichProgressBar

from rnnexp.console import console


class Progress(RichProgressBar):
    """Lightning's rich bar with the few figures that a person watches."""

    def __init__(self) -> None:
        super().__init__(refresh_rate=5, leave=False, console_kwargs={"width": console.width})

    def get_metrics(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule
    ) -> dict[str, int | str | float | dict[str, float]]:
        found: dict[str, Any] = super().get_metrics(trainer, pl_module)
        shown = {"loss": found.get("train/loss_step")}
        shown |= {name: found[name] for name in found if name.startswith("val/")}
        return {name: value for name, value in shown.items() if value is not None}
