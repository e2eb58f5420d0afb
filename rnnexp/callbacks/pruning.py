"""Ends the training of a trial that does worse than the others of its search."""

from collections.abc import Callable

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from rnnexp.errors import Pruned


class Pruning(Callback):
    """Reports the monitored metric after every epoch with a validation.

    report: called with the number of the epoch, from 0, and the metric; says whether the training
    ends.

    Raises:
        Pruned: it does. The last epoch is only reported: nothing would be saved.
    """

    def __init__(self, report: Callable[[int, float], bool]) -> None:
        self.report = report
        self._validated = False

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._validated = not trainer.sanity_checking

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        value = trainer.callback_metrics.get(str(pl_module.monitor))
        if self._validated and value is not None:
            epoch = trainer.current_epoch
            if self.report(epoch, float(value)) and epoch + 1 != trainer.max_epochs:
                raise Pruned(epoch + 1)
        self._validated = False
