"""What a run needs of a task, whatever it is about."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Literal

import pandas as pd
import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from rnnexp.data.loading.module import DataModule, Spec
from rnnexp.data.source import Source
from rnnexp.errors import RunFailed, UserError
from rnnexp.nn.representations import has_sparse_gradients
from rnnexp.optim.gradients import clip_grad_norm_, clip_grad_value_
from rnnexp.optim.rows import RowOptimizer
from rnnexp.tables import Table
from rnnexp.tasks.answers import Answers
from rnnexp.tasks.metric import NONE_ADDED, Metric

MakeOptimizer = Callable[..., torch.optim.Optimizer]
MakeScheduler = Callable[..., torch.optim.lr_scheduler.LRScheduler]


class Task(pl.LightningModule):
    """A LightningModule around a network: loss, metrics, optimiser; no architecture.

    After a test, `predictions` holds what was predicted and what was right, in the order of the
    test set. `results` holds the metrics of the last validation and test by their full names
    (`test/smape`), in double precision.

    optimizer: called with the parameters. scheduler: called with the optimiser and `steps`, the
    number of training steps of the run; it moves at every step.

    A task is a subclass. What it must say is listed first below; what it may say, after that.

    sources, spec_class, data_module: what the task can be fed from, what it learns of the data, and
    what feeds it. new_data: what `rnnexp predict` takes, texts or series. added_metrics: those of
    the config (`task.metrics`), for a task that takes them.
    baselines_version: part of the key under which baselines are kept: raise it whenever a number of
    a baseline changes.
    """

    sources: ClassVar[type[Source]]
    spec_class: ClassVar[type[Spec]]
    data_module: ClassVar[type[DataModule]]
    new_data: ClassVar[Literal["texts", "series"]] = "texts"
    baselines_version: ClassVar[int] = 1

    network: nn.Module

    def __init__(
        self,
        network: nn.Module,
        spec: Any,
        optimizer: MakeOptimizer,
        scheduler: MakeScheduler | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self.spec = spec
        self.make_optimizer, self.make_scheduler = optimizer, scheduler
        self.added_metrics = NONE_ADDED
        self.predictions: dict[str, Tensor] = {}
        self.results: dict[str, float] = {}

    # What a task must say -----------------------------------------------------------------------

    @property
    def metrics(self) -> list[Metric]:
        """What a validation and a test report, and baselines too; the one to compare runs by
        first."""
        raise NotImplementedError

    def batch_loss(self, batch: Any) -> Tensor:
        """The loss of a batch in training, of which nothing is logged."""
        raise NotImplementedError

    def predictions_table(self, data: Any) -> pd.DataFrame:
        """One row for everything that was predicted in the test."""
        raise NotImplementedError

    # What a task may say ------------------------------------------------------------------------

    def tables(self) -> list[Table]:
        """What else a person should see of the test, below the headline."""
        return []

    def baselines(self, data: Any) -> dict[str, dict[str, float]]:
        """Simple predictors on the same test set: name -> metric -> value."""
        return {}

    @classmethod
    def answer(cls, network: Any, data: Any, given: Sequence[Any]) -> Answers:
        """What a trained network says of new texts (str) or files of series (Path).

        data: after `restore`.

        Raises:
            UserError: the task predicts nothing new, or what is given cannot be read.
        """
        raise UserError(f"{cls.__name__} does not say how it predicts new data (Task.answer)")

    # What all tasks share -----------------------------------------------------------------------

    def training_step(self, batch: Any, batch_index: int) -> Tensor:
        loss = self.batch_loss(batch)
        self.report_loss(loss, len(batch[0]))
        return loss

    @property
    def all_metrics(self) -> list[Metric]:
        """Those of the task, and those that the config adds.

        Raises:
            UserError: one of the config's has the name of one of the task's.
        """
        added, names = self.added_metrics.described, {metric.name for metric in self.metrics}
        for metric in added:
            if metric.name in names:
                raise UserError(
                    f"task.metrics.{metric.name}: the task has a metric of this name already, "
                    "choose another one"
                )
        return [*self.metrics, *added]

    @property
    def headline(self) -> list[Metric]:
        """The metrics that a result table shows."""
        return [metric for metric in self.all_metrics if metric.headline]

    @property
    def monitors(self) -> list[str]:
        """The names in a validation by which a best checkpoint can be chosen."""
        return ["val/loss", *(f"val/{metric.name}" for metric in self.all_metrics)]

    def report_loss(self, loss: Tensor, batch_size: int) -> None:
        """Log a training loss.

        Raises:
            RunFailed: it is not finite. The weights are still those of the step before.
        """
        if not torch.isfinite(loss):
            raise RunFailed(
                f"the training loss became {loss.item()} at epoch {self.current_epoch}, step "
                f"{self.global_step}: lower optimizer.lr or set trainer.gradient_clip_val"
            )
        self.log(
            "train/loss", loss, on_step=True, on_epoch=True, prog_bar=True, batch_size=batch_size
        )

    def report_metrics(self, span: str, metrics: dict[str, float], shown: str) -> None:
        """Log the metrics of the `val` or `test` span; the progress bar has the one to show."""
        for name, value in metrics.items():
            self.results[f"{span}/{name}"] = value
            self.log(f"{span}/{name}", value, prog_bar=name == shown)

    # Rows of large tables that are not in use lie behind the others (`rnnexp.optim.rows`). They are
    # caught up before anything else than a training step reads the weights, and clipped as rows.

    def on_validation_start(self) -> None:
        self._catch_up()

    def on_train_epoch_end(self) -> None:
        self._catch_up()

    def _catch_up(self) -> None:
        for optimizer in self.trainer.optimizers:
            if isinstance(optimizer, RowOptimizer):
                optimizer.catch_up()

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        if gradient_clip_val:
            clip = clip_grad_value_ if gradient_clip_algorithm == "value" else clip_grad_norm_
            clip(self.network.parameters(), gradient_clip_val)

    def configure_optimizers(self) -> Any:
        try:
            optimizer = self.make_optimizer(self.network.parameters())
            if isinstance(optimizer, RowOptimizer) and has_sparse_gradients(self.network):
                optimizer.check_tables()
        except (TypeError, ValueError) as error:  # say, a rate below zero
            raise UserError(f"optimizer: {' '.join(str(error).split())}") from error
        if self.make_scheduler is None:
            return optimizer
        steps = self.trainer.estimated_stepping_batches
        if steps == float("inf"):
            raise UserError(
                "a learning-rate schedule needs to know the end of the run: give "
                "trainer.max_epochs, or set scheduler=constant"
            )
        scheduler = self.make_scheduler(optimizer, steps=int(steps))
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }
