"""The mean training loss of every 100 steps, in TensorBoard and on the console."""

from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from rnnexp import console
from rnnexp.callbacks.history import History
from rnnexp.callbacks.progress import epoch_of

EVERY = 100  # steps, as in the lecture
MOST_LINES = 50  # within the epochs of a run


class StepLoss(Callback):
    """Logs the mean loss of every 100 steps of an epoch as `train/loss_of_100_steps`.

    If the console is not a terminal and has a line per epoch (`Progress`), it gets lines within
    long epochs too: each has the mean loss since the last one. In a long run they are further
    apart.

    history: must come before this callback, which reads its losses.
    """

    def __init__(self, history: History) -> None:
        self.history = history
        self.apart = 0  # steps between two lines; 0: no lines

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.progress_bar_callback and not console.console.is_terminal:
            epochs = max(trainer.max_epochs or 1, 1)  # -1: no limit
            self.apart = steps_apart(epochs * int(trainer.num_training_batches))

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        step, steps = batch_idx + 1, int(trainer.num_training_batches)
        if step % EVERY:
            return
        if trainer.logger:
            mean = {f"train/loss_of_{EVERY}_steps": self.history.mean_loss(EVERY)}
            trainer.logger.log_metrics(mean, step=trainer.global_step)
        if self.apart and step % self.apart == 0 and step < steps:
            mean_loss = self.history.mean_loss(self.apart)
            console.show(
                f"{epoch_of(trainer)}, step {step}/{steps}  "
                f"train/loss {mean_loss:.4g} (mean of {self.apart} steps)"
            )


def steps_apart(steps: int) -> int:
    """Steps between two lines on the console, in a run of so many steps."""
    return EVERY * max(-(-steps // (MOST_LINES * EVERY)), 1)
