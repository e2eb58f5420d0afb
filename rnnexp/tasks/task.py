"""The base class of all tasks."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal

import pandas as pd
import pytorch_lightning as pl
import torch
from torch import Tensor, distributed, nn
from torch.utils.tensorboard import SummaryWriter

from rnnexp.data.loading.loader import Share
from rnnexp.data.loading.module import DataModule, Spec
from rnnexp.data.source import Source
from rnnexp.errors import RunFailed, UserError, unimplemented
from rnnexp.nn.representations import has_sparse_gradients
from rnnexp.optim.gradients import clip_grad_norm_, clip_grad_value_, reduce_gradients
from rnnexp.optim.rows import RowOptimizer
from rnnexp.process.group import is_grouped
from rnnexp.tables import Table
from rnnexp.tasks.answers import Answers
from rnnexp.tasks.baseline_cache import BaselineCache
from rnnexp.tasks.metric import NONE_ADDED, Metric
from rnnexp.tasks.trace import Trace

MakeOptimizer = Callable[..., torch.optim.Optimizer]
MakeScheduler = Callable[..., torch.optim.lr_scheduler.LRScheduler]


class Task(pl.LightningModule):
    """A LightningModule around a network: loss, metrics and optimiser, but no architecture.

    After a test, `predictions` has the predictions and targets, in the order of the test set.
    `results` has the metrics of the last validation and test by their full names (`test/smape`), in
    double precision.

    optimizer: called with the parameters. scheduler: called with the optimiser and `steps`, the
    number of training steps of the run; updates the learning rate at every step.

    A task is a subclass. Below, the methods that it must implement come first, then those that it
    may override.

    sources, spec_class, data_module: the classes of its data source, spec and data module.
    new_data: the input of `rnnexp predict`, texts or series. takes_known: `answer` has a further
    argument, `known`: files (Path) of what is known beforehand.
    added_metrics: the metrics that the config adds (`task.metrics`), if the task accepts any.
    monitor: the validation metric that chooses the best checkpoint; None if none does. loss_name:
    what figures call the loss, for a task of several.
    ceilings: baselines that know the test set, which no run can be asked to beat.
    """

    sources: ClassVar[type[Source]]
    spec_class: ClassVar[type[Spec]]
    data_module: ClassVar[type[DataModule]]
    new_data: ClassVar[Literal["texts", "series"]] = "texts"
    takes_known: ClassVar[bool] = False
    ceilings: ClassVar[tuple[str, ...]] = ()

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
        self.monitor: str | None = None
        self.loss_name = ""
        self.predictions: dict[str, Tensor] = {}
        self.results: dict[str, float] = {}

    # What a task must implement -----------------------------------------------------------------

    @property
    def metrics(self) -> list[Metric]:
        """The metrics of validation, test and baselines; the first one compares runs."""
        raise unimplemented(self, "metrics")

    def batch_loss(self, batch: Any) -> Tensor:
        """The loss of a training batch: a scalar tensor. Must not log anything."""
        raise unimplemented(self, "batch_loss(batch)")

    def predictions_table(self, data: Any) -> pd.DataFrame:
        """One row per prediction of the last test."""
        raise unimplemented(self, "predictions_table(data)")

    # What a task may override -------------------------------------------------------------------

    def tables(self) -> list[Table]:
        """Further tables on the last test, printed below the metrics."""
        return []

    def baselines(self, data: Any) -> dict[str, dict[str, float]]:
        """The metrics of simple baselines on the test set: name -> metric -> value."""
        return {}

    @property
    def baseline_metrics(self) -> list[Metric]:
        """The metrics that each of `baselines` has."""
        return self.metrics

    def terms(self, batch: Any) -> int:
        """The number of terms of the mean that `batch_loss` is, by which the losses of several
        devices are weighted: what trainer=ddp needs."""
        raise unimplemented(self, "terms(batch), to train on several devices")

    @classmethod
    def check_settings(cls, settings: Mapping[str, Any]) -> None:
        """Check what the config says of the task, as far as it can be before the data are read.

        Raises:
            UserError: a setting is wrong.
        """

    @classmethod
    def auto_monitor(cls, data: Any) -> tuple[str, str]:
        """What `monitor=auto` is on these data, and a sentence on the choice, empty if it needs
        none."""
        return "val/loss", ""

    def extra_baselines(self, data: Any, cache: BaselineCache) -> dict[str, dict[str, float]]:
        """Baselines that the config asks for, which use the cache themselves: name -> metric ->
        value."""
        return {}

    def show_on_board(self, board: SummaryWriter, data: Any) -> None:
        """Add to TensorBoard what the task shows of its last test and its network, beside curves,
        hyperparameters and metrics. Must not change either."""

    @classmethod
    def baseline_packages(cls, settings: Mapping[str, Any]) -> Sequence[str]:
        """The packages that compute `extra_baselines`, by what the config says of the task."""
        return ()

    @classmethod
    def answer(cls, network: Any, data: Any, given: Sequence[Any]) -> Answers:
        """Predict for new texts (str) or files of series (Path) with a trained network.

        data: after `restore`.

        Raises:
            UserError: the task does not support new data, or the input cannot be read.
        """
        raise UserError(f"{cls.__name__} does not predict new data: it does not define `answer`")

    @classmethod
    def trace(cls, network: Any, data: Any, given: Any, layer: int | None = None) -> Trace:
        """What a trained network does with one text (str) or file of a series (Path), step after
        step. A task on series has a further argument, `series`: the name of one of several in the
        file.

        data: after `restore`. layer: whose states, from 1; None: the top one.

        Raises:
            UserError: the task cannot be traced, or the input cannot be read.
        """
        raise UserError(
            f"{cls.__name__} cannot be traced: rnnexp trace is for classification and for the next "
            "value of a series (task=forecasting), and a task of one's own must define `trace`"
        )

    # What all tasks share -----------------------------------------------------------------------

    def training_step(self, batch: Any, batch_index: int) -> Tensor | dict[str, Tensor]:
        if isinstance(batch, Share):
            return self._step_of_a_share(batch)
        loss = self.batch_loss(batch)
        self.report_loss(loss, len(batch[0]))
        return loss

    def _step_of_a_share(self, share: Share) -> dict[str, Tensor]:
        """`whole`, the loss of the whole batch; and `loss`, which is to be differentiated.

        The devices average their gradients. So that the average is the gradient of the whole loss,
        each loss is multiplied by its share of the terms and by the number of devices.
        """
        own = self.batch_loss(share.batch)
        terms = self.terms(share.batch) if share.counts else 0
        sums = torch.stack([own.detach().double() * terms, own.new_tensor(terms).double()])
        distributed.all_reduce(sums)
        total = sums[1].clamp(min=1)  # 0: no term of the batch counts
        whole = (sums[0] / total).to(own.dtype)
        self.report_loss(whole, share.items)
        factor = (terms * distributed.get_world_size() / total).to(own.dtype)
        return {"loss": own * factor, "whole": whole}

    @property
    def all_metrics(self) -> list[Metric]:
        """The metrics of the task and those that the config adds.

        Raises:
            UserError: an added metric has the name of one of the task's.
        """
        added, names = self.added_metrics.described, {metric.name for metric in self.metrics}
        for metric in added:
            if metric.name in names:
                raise UserError(
                    f"task.metrics.{metric.name}: the task already has a metric of this name, "
                    "choose another name"
                )
        return [*self.metrics, *added]

    @property
    def headline(self) -> list[Metric]:
        """The metrics that result tables show."""
        return [metric for metric in self.all_metrics if metric.headline]

    @property
    def monitors(self) -> list[str]:
        """The validation metrics that can select the best checkpoint."""
        return ["val/loss", *(f"val/{metric.name}" for metric in self.all_metrics)]

    def report_loss(self, loss: Tensor, batch_size: int) -> None:
        """Log a training loss.

        Raises:
            RunFailed: the loss is not finite. The weights have not been updated by this step.
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
        """Log the metrics of `val` or `test`. shown: the metric in the progress bar."""
        for name, value in metrics.items():
            self.results[f"{span}/{name}"] = value
            self.log(f"{span}/{name}", value, prog_bar=name == shown)

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        if is_grouped():
            reduce_gradients(self.network.parameters())

    # Lazy optimisers delay the updates of unused rows (`rnnexp.optim.rows`). These hooks apply the
    # updates before anything but a training step reads the weights. Clipping handles row gradients.

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
        except (TypeError, ValueError) as error:  # e.g. a negative learning rate
            raise UserError(f"optimizer: {' '.join(str(error).split())}") from error
        if self.make_scheduler is None:
            return optimizer
        steps = self.trainer.estimated_stepping_batches
        if steps == float("inf"):
            raise UserError(
                "a learning-rate schedule needs the number of steps of the run: set "
                "trainer.max_epochs, or scheduler=constant"
            )
        scheduler = self.make_scheduler(optimizer, steps=int(steps))
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }
