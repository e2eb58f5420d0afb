"""Figures of a classification run, and its worst mistakes."""

import html
import math
import re
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import pandas as pd
import pytorch_lightning as pl
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from pytorch_lightning.loggers import TensorBoardLogger

from rnnexp.callbacks.figures import (
    PREDICTION,
    SECOND,
    TARGET,
    Figures,
    Outcome,
    finish,
    legend_beside,
    no_math,
)
from rnnexp.callbacks.loss_curve import loss_curve
from rnnexp.printing import printable
from rnnexp.tasks.classification.data import ClassificationData
from rnnexp.tasks.classification.tables import (
    accuracy_by_group,
    confusion_counts,
    percent_of_true,
)
from rnnexp.tasks.classification.task import Classification

FEW = 8  # most classes for which the confusion matrix has room for every number
WIDE = 14  # most characters of a class name that fit below a cell of such a matrix
SHOWN = 1000  # most characters of a document in `most_wrong`


class ClassificationFigures(Figures):
    """loss.png, confusion_matrix.png, accuracy_by_category.png if there are categories, and
    probability.png for two classes, in the run folder; `most_wrong` as text in TensorBoard.

    wrong: number of documents in `most_wrong`.
    """

    def __init__(self, wrong: int = 10) -> None:
        self.wrong = wrong

    def draw(self, outcome: Outcome) -> dict[str, Figure]:
        predictions, history = outcome.predictions, outcome.history
        classes, things = outcome.spec.classes, outcome.spec.things
        figures = {"confusion_matrix": confusion_matrix(confusion_counts(predictions, classes))}
        groups = accuracy_by_group(predictions)
        if len(groups):
            figures["accuracy_by_category"] = accuracy_bars(groups, things)
        if len(classes) == 2:
            figures["probability"] = probability_histogram(predictions, classes, things)
        if len(history):
            figures["loss"] = class_loss_curve(history, len(classes), outcome.loss)
        return figures

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        super().on_test_end(trainer, pl_module)
        if isinstance(trainer.logger, TensorBoardLogger):
            task, data = cast(Classification, pl_module), cast(Any, trainer).datamodule
            trainer.logger.experiment.add_text("most_wrong", most_wrong(task, data, self.wrong))


def confusion_matrix(counts: pd.DataFrame) -> Figure:
    """Percentages of each true class, and counts. counts: (C, C), rows are the true classes."""
    number, few = len(counts), len(counts) <= FEW
    cell = 1.25 if few else 0.62  # inches
    names = 0.09 * max(len(str(name)) for name in counts.columns)  # inches
    size = (cell * number + 1.6 + names, cell * number + 1.9 + (0 if few else names))
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots()
    percent = percent_of_true(counts).to_numpy()
    axes.imshow(percent, cmap="Blues", norm=PowerNorm(0.5, 0, 100))  # keeps small shares visible
    for (row, column), count in np.ndenumerate(counts.to_numpy()):
        share = percent[row, column]
        if np.isnan(share) or not (few or count):  # in a large matrix an empty cell means zero
            continue
        text = f"{share:.2f} %\n{count:,}" if few else f"{share:.0f} %\n{count:,}"
        color, points = "white" if share > 35 else "black", "medium" if few else "x-small"
        axes.text(column, row, text, ha="center", va="center", size=points, color=color)
    axes.set_xticks(range(number), [no_math(str(name)) for name in counts.columns])
    if not few or max(map(len, counts.columns)) > WIDE:
        axes.tick_params("x", rotation=90)
    tested = [f"{no_math(str(name))} ({total:,})" for name, total in counts.sum(axis=1).items()]
    axes.set_yticks(range(number), tested)
    title = "Confusion matrix,\n% of each true class, and count"
    axes.set(xlabel="predicted", ylabel="true (tested)", title=title)
    axes.set_xticks(np.arange(0.5, number - 1), minor=True)
    axes.set_yticks(np.arange(0.5, number - 1), minor=True)
    axes.grid(which="minor", color="white" if few else "lightgray")
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_visible(False)
    return figure


def accuracy_bars(groups: pd.DataFrame, things: str) -> Figure:
    """The accuracy of each group with its 95 % interval, and the overall accuracy.

    groups: the table of `accuracy_by_group`.
    """
    groups = groups.sort_values("accuracy")
    pooled = 100 * groups["correct"].sum() / groups["tested"].sum()
    figure = Figure(figsize=(7, 0.3 * len(groups) + 1.6), layout="constrained")
    axes = figure.subplots()
    place = list(range(len(groups)))
    accuracy = 100 * groups["accuracy"]
    around = [accuracy - 100 * groups["low"], 100 * groups["high"] - accuracy]
    axes.barh(place, accuracy, xerr=around, color=SECOND, alpha=0.6, ecolor=TARGET, capsize=2)
    axes.axvline(pooled, color=PREDICTION, ls="--", label=f"all: {pooled:.1f} %")
    for one, share, tested in zip(place, accuracy, groups["tested"], strict=True):
        axes.text(102, one, f"{share:.1f} % of {tested:,}", va="center")
    axes.set_yticks(place, list(map(no_math, groups.index)))
    axes.set(xlim=(0, 101), ylim=(-0.6, len(groups) - 0.4))
    axes.set(xlabel="accuracy, % (with its 95 % interval)")
    figure.legend(loc="outside upper right", frameon=False)
    figure.suptitle(f"Accuracy by category, tested {no_math(things)}", x=0.02, ha="left")
    finish(axes)
    axes.grid(visible=False, axis="y")
    return figure


def probability_histogram(predictions: pd.DataFrame, classes: Sequence[str], things: str) -> Figure:
    """Histograms of the predicted probability of the second of two classes, by true class, side by
    side."""
    figure = Figure(figsize=(9, 4), layout="constrained")
    axes = figure.subplots()
    column = f"p_{classes[1]}"
    of_class = [predictions.loc[predictions["target"] == name, column] for name in classes]
    labels = [
        f"truly {no_math(name)} ({len(one):,})" for name, one in zip(classes, of_class, strict=True)
    ]
    axes.hist(of_class, bins=20, range=(0, 1), color=[PREDICTION, SECOND], label=labels)
    axes.axvline(0.5, color=TARGET, lw=1, ls="--", label="predicted class changes here")
    axes.set(
        xlim=(0, 1),
        xlabel=f"predicted probability of {no_math(classes[1])}",
        ylabel=f"tested {no_math(things)}",
        title="Predicted probability, by true class",
    )
    legend_beside(figure)
    finish(axes)
    return figure


def class_loss_curve(history: pd.DataFrame, classes: int, loss: str = "nll") -> Figure:
    """Loss and accuracy, and for the loss `nll` that of guessing among equally likely classes.

    history: as in `loss_curve`. loss: the name of the loss.
    """
    label, levels = loss, {}
    if loss == "nll":
        label, levels = (
            "negative log-likelihood, nats",
            {f"guessing: ln {classes}": math.log(classes)},
        )
    figure = loss_curve(history, label, "accuracy", "accuracy", "linear", levels)
    for right in figure.axes[1:]:
        right.set_ylim(-0.04, 1.04)  # a margin keeps an accuracy of 1 off the frame
    return figure


def most_wrong(task: Classification, data: ClassificationData, number: int) -> str:
    """Markdown: the misclassified documents whose true class had the lowest probability."""
    table = task.predictions_table(data)
    target = task.predictions["target"].unsqueeze(1)
    table["score"] = task.predictions["log_probability"].gather(1, target).squeeze(1).numpy()
    wrong = table[table["target"] != table["prediction"]].sort_values("score", kind="stable")
    entries = [f"{len(wrong):,} of {len(table):,} test {task.spec.things} are misclassified."]
    for place, one in enumerate(wrong.head(number).to_dict("records"), start=1):
        document = data.source.documents["test"][one["document"]]
        group = f"{document.group}: " if document.group else ""
        probability = one[f"p_{one['prediction']}"]
        what = f"{group}{one['target']}, predicted {one['prediction']} (p = {probability:.4f})"
        entries += [f"**{place}\\. {verbatim(what)}**", f"> {verbatim(document.text, SHOWN)}"]
    return "\n\n".join(entries)


def verbatim(text: str, most: int | None = None) -> str:
    """Markdown that renders as the given text, on one line, cut after `most` characters."""
    line = printable(" ".join(text.split()))
    line = line if most is None or len(line) <= most else f"{line[:most]} ..."
    return re.sub(r"([\\`*_{}\[\]()#+\-.!|])", r"\\\1", html.escape(line, quote=False))
