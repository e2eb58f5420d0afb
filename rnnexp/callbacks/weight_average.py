"""The exponential mean of the weights over the training steps."""

from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import EMAWeightAveraging

from rnnexp import console
from rnnexp.errors import UserError
from rnnexp.nn.representations import has_sparse_gradients
from rnnexp.tables import counted

MOST_OF_THE_FIRST = 0.01  # share of the first weights in a mean that may be called one of the last


class WeightAverage(EMAWeightAveraging):
    """Validates, tests and keeps the exponential mean of the weights instead of the last ones
    (Polyak and Juditsky 1992; Lightning's callback). Buffers are the network's own.

    decay: the share of the mean that a step keeps.

    Raises:
        UserError: decay is not a share; or the optimiser updates some weights later than their
            gradients came, which a mean over the steps would miss.
    """

    def __init__(self, decay: float = 0.99) -> None:
        if not 0 <= decay < 1:
            raise UserError(
                f"callbacks.weight_average.decay is {decay}: it must be at least 0 and below 1"
            )
        super().__init__(decay=decay, use_buffers=False)
        self.decay = decay

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if has_sparse_gradients(pl_module):
            raise UserError(
                "callbacks=weight_average needs all weights after every step, and the updates of "
                "unused rows are delayed: set model.representation.sparse=false"
            )

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        super().on_train_start(trainer, pl_module)
        steps = trainer.estimated_stepping_batches
        share = self.decay ** max(steps - 1, 0)
        if share >= MOST_OF_THE_FIRST and trainer.is_global_zero:
            console.show(
                f"callbacks=weight_average: after {counted(int(steps), 'step')} the mean of the "
                f"weights still has {100 * share:.0f} % of the first ones: train longer "
                "(trainer.max_epochs), lower callbacks.weight_average.decay, or omit it"
            )

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        buffers = dict(pl_module.named_buffers())
        own = {name: one for name, one in checkpoint["state_dict"].items() if name in buffers}
        super().on_save_checkpoint(trainer, pl_module, checkpoint)
        checkpoint["state_dict"] |= own
