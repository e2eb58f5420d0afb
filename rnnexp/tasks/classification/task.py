"""The classification task: negative log-likelihood loss, and metrics over all classes."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.tensorboard import SummaryWriter

from rnnexp.data.text.source import DocumentSource
from rnnexp.data.text.tokens import TokenBatch
from rnnexp.tables import Table
from rnnexp.tasks.classification.answers import Classes, classify
from rnnexp.tasks.classification.baselines import classification_baselines
from rnnexp.tasks.classification.board import show_curves, show_words
from rnnexp.tasks.classification.data import ClassificationData
from rnnexp.tasks.classification.metrics import classification_metrics, described
from rnnexp.tasks.classification.network import Classifier
from rnnexp.tasks.classification.spec import ClassificationSpec
from rnnexp.tasks.classification.tables import (
    accuracy_by_group,
    confusion_counts,
    confusion_table,
    group_table,
)
from rnnexp.tasks.classification.trace import trace
from rnnexp.tasks.loss import Loss, chosen_loss, loss_name, one_number
from rnnexp.tasks.metric import AddedMetric, AddedMetrics, Metric
from rnnexp.tasks.task import MakeOptimizer, MakeScheduler, Task
from rnnexp.tasks.trace import Trace

LOSSES: dict[str, Loss] = {"nll": functional.nll_loss}
MOST_CLASSES = 8  # most classes for which a console has room for the confusion matrix


class Classification(Task):
    """Trains a Classifier, by default with the negative log-likelihood of the true class.

    loss: called with log-probabilities (B, C) and the indices of the true classes (B,). metrics:
    further metrics.

    `predictions` has, in the order of the test documents, `row` (n,), the index of the document,
    `log_probability` (n, C) and `target` (n,).
    """

    sources = DocumentSource
    spec_class = ClassificationSpec
    data_module = ClassificationData
    ceilings = ("perfect_memoriser",)

    network: Classifier
    spec: ClassificationSpec

    def __init__(
        self,
        network: Classifier,
        spec: ClassificationSpec,
        optimizer: MakeOptimizer,
        scheduler: MakeScheduler | None = None,
        loss: Literal["nll"] | Loss = "nll",
        metrics: Mapping[str, AddedMetric] | None = None,
    ) -> None:
        super().__init__(network, spec, optimizer, scheduler)
        self.loss, self.added_metrics = chosen_loss(loss, LOSSES), AddedMetrics(metrics or {})
        self.loss_name = loss_name(loss)
        self._evaluated: list[tuple[Tensor, Tensor, Tensor]] = []

    def batch_loss(self, batch: TokenBatch) -> Tensor:
        output = self.network(batch.tokens, batch.lengths, batch.extra)
        return one_number(self.loss(output, batch.label))

    def terms(self, batch: TokenBatch) -> int:
        return len(batch.label)

    def validation_step(self, batch: TokenBatch, batch_index: int) -> None:
        output = self._evaluate(batch)
        loss = one_number(self.loss(output, batch.label))
        self.log("val/loss", loss, batch_size=len(batch.label))

    def on_validation_epoch_end(self) -> None:
        _, log_probability, target = self._collected()
        metrics = classification_metrics(log_probability, target, self.spec.classes)
        added = self.added_metrics(log_probability, target)
        self.report_metrics("val", metrics | added, shown="accuracy")

    def test_step(self, batch: TokenBatch, batch_index: int) -> None:
        self._evaluate(batch)

    def on_test_epoch_end(self) -> None:
        row, log_probability, target = self._collected()
        self.predictions = {"row": row, "log_probability": log_probability, "target": target}
        metrics = classification_metrics(log_probability, target, self.spec.classes)
        metrics |= self._by_group() | self.added_metrics(log_probability, target)
        self.report_metrics("test", metrics, shown="accuracy")

    def _evaluate(self, batch: TokenBatch) -> Tensor:
        output = self.network(batch.tokens, batch.lengths, batch.extra)
        self._evaluated.append((batch.row, output, batch.label))
        return output

    def _collected(self) -> tuple[Tensor, Tensor, Tensor]:
        """Row, log-probabilities and label of all evaluated documents, sorted by row."""
        row, output, label = (torch.cat(part).cpu() for part in zip(*self._evaluated, strict=True))
        self._evaluated.clear()
        order = torch.argsort(row)
        return row[order], output[order], label[order]

    def _by_group(self) -> dict[str, float]:
        """`accuracy/GROUP` for every group of the test documents."""
        groups = accuracy_by_group(self.predictions_table(self._datamodule()))
        return {f"accuracy/{group}": share for group, share in groups["accuracy"].items()}

    def tables(self) -> list[Table]:
        """The confusion matrix, for up to MOST_CLASSES classes, and the accuracy of each group."""
        predictions = self.predictions_table(self._datamodule())
        things, tables = self.spec.things, []
        if len(self.spec.classes) <= MOST_CLASSES:
            counts = confusion_counts(predictions, self.spec.classes)
            tables.append(confusion_table(counts, things))
        groups = accuracy_by_group(predictions)
        if len(groups):
            tables.append(group_table(groups, things))
        return tables

    def _datamodule(self) -> ClassificationData:
        data = self.trainer.datamodule  # type: ignore[attr-defined]
        assert isinstance(data, ClassificationData)
        return data

    @property
    def metrics(self) -> list[Metric]:
        return described(len(self.spec.classes))

    def baselines(self, data: ClassificationData) -> dict[str, dict[str, float]]:
        return classification_baselines(data.source, self.added_metrics)

    def show_on_board(self, board: SummaryWriter, data: ClassificationData) -> None:
        """The curves of precision and recall, and the words in space."""
        target, classes = self.predictions["target"], self.spec.classes
        show_curves(board, self.predictions["log_probability"], target, classes)
        show_words(board, self.network, data.source, classes)

    @classmethod
    def answer(cls, network: Classifier, data: ClassificationData, given: Sequence[str]) -> Classes:
        return classify(network, data, given)

    @classmethod
    def trace(
        cls, network: Classifier, data: ClassificationData, given: str, layer: int | None = None
    ) -> Trace:
        return trace(network, data, given, layer)

    def predictions_table(self, data: ClassificationData) -> pd.DataFrame:
        """One row per test document: document, group, target, prediction, and p_CLASS, the
        probability of each class."""
        rows = self.predictions["row"].tolist()
        log_probability = self.predictions["log_probability"]
        names = self.spec.classes
        table: dict[str, Any] = {
            "document": rows,
            "group": [data.source.documents["test"][row].group for row in rows],
            "target": [names[label] for label in self.predictions["target"].tolist()],
            "prediction": [names[label] for label in log_probability.argmax(1).tolist()],
        }
        for number, name in enumerate(names):
            table[f"p_{name}"] = log_probability[:, number].exp().float().numpy()
        return pd.DataFrame(table)
