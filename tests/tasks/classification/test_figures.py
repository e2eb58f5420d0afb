"""Figures of a classification: their content, their files, and safe Markdown for any text."""

import html
import math
import re
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
import pytorch_lightning as pl
import torch
from matplotlib.container import ErrorbarContainer
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loggers import TensorBoardLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugin_util import markdown_to_safe_html
from torch import Tensor, nn

from rnnexp import console
from rnnexp.callbacks.history import History
from rnnexp.data.text.documents import Document
from rnnexp.runs.results import results
from rnnexp.tasks.classification.figures import (
    ClassificationFigures,
    accuracy_bars,
    class_loss_curve,
    confusion_matrix,
    probability_histogram,
    verbatim,
)
from rnnexp.tasks.classification.tables import accuracy_by_group
from rnnexp.tasks.classification.task import Classification
from tests.support.toy_documents import ToyDocuments, document, fed

NASTY = (
    "| a | b |\n|---|---|\n| *1* | __2__ |\n\n# heading\n> quote\n- item\n1. one\n```\ncode\n```\n"
    "    indented [x](http://y) ![z](q) <script>alert(1)</script> a && b &amp; &#35; back\\slash\n"
    "`tick` ~~~ --- === {curly} 5 < 6 > 4 don't + 100% _under_ kitchen_&_house :-) [1]: x ! \\| \\"
)
HISTORY = [
    {"epoch": 0, "train/loss": 0.7, "val/loss": 0.6, "val/accuracy": 0.6},
    {"epoch": 1, "train/loss": 0.5, "val/loss": 0.55, "val/accuracy": 0.7},
]


class FirstTokenTells(nn.Module):
    """Log-probabilities of two classes by the number n of the first token: p(1) = n / 8."""

    def forward(self, tokens: Tensor, *rest: Tensor | None) -> Tensor:
        probability = tokens[:, 0] / 8
        return torch.stack([1 - probability, probability], dim=1).log()


class AlwaysTheFirst(nn.Module):
    def __init__(self, classes: int) -> None:
        super().__init__()
        self.scores = torch.eye(classes)[:1]

    def forward(self, tokens: Tensor, *rest: Tensor | None) -> Tensor:
        return self.scores.log_softmax(1).expand(len(tokens), -1)


def notes() -> ToyDocuments:
    """The tokens w1 to w7 have the numbers 1 to 7, for w1 is the most frequent and so on."""
    words = [f"w{n}" for n in range(1, 8)]
    known = [document(" ".join(words[:last]), last % 2) for last in range(1, 8)]
    tested = [
        Document(["w5"], 1, "lamps", "right"),
        Document(["w6"], 0, "kettles", "the third"),  # its true class has 2/8
        Document(["w2"], 0, "kettles", "right"),
        Document(["w1"], 1, "lamps_&_*bulbs*", f"the first {NASTY}"),  # 1/8
        Document(["w7"], 0, "lamps", "the second " + "word " * 400),  # 1/8, later in the test
    ]
    return ToyDocuments(["bad", "good"], known, tested, validation_fraction=0)


def evaluated(
    folder: Path, source: ToyDocuments, network: nn.Module, *callbacks: Callback
) -> Classification:
    data = fed(source)
    task = Classification(cast(Any, network), data.spec, torch.optim.SGD)
    trainer = pl.Trainer(
        accelerator="cpu",
        logger=TensorBoardLogger(str(folder), name="", version=""),
        callbacks=list(callbacks),
        default_root_dir=str(folder),
        enable_progress_bar=False,
        enable_checkpointing=False,
        enable_model_summary=False,
    )
    trainer.test(task, datamodule=data, verbose=False)
    cast(TensorBoardLogger, trainer.logger).finalize("success")
    return task


def in_tensorboard(folder: Path) -> tuple[set[str], str]:
    """Tags of the images, and the text of the most wrong."""
    events = EventAccumulator(str(folder), size_guidance={"tensors": 0}).Reload()
    (text,) = events.Tensors("most_wrong/text_summary")
    return set(events.Tags()["images"]), text.tensor_proto.string_val[0].decode()


def read(rendered: str) -> str:
    """The visible text of HTML."""
    return html.unescape(re.sub(r"<[^>]+>", "", rendered))


def pictures(folder: Path) -> set[str]:
    for path in (folder / "figures").iterdir():
        assert path.read_bytes().startswith(b"\x89PNG")
    return {path.stem for path in (folder / "figures").iterdir()}


def test_two_classes_with_categories(tmp_path: Path) -> None:
    history = History()
    history.rows = HISTORY
    evaluated(tmp_path, notes(), FirstTokenTells(), ClassificationFigures(), history)
    expected = {"confusion_matrix", "accuracy_by_category", "probability", "loss"}
    assert pictures(tmp_path) == expected
    assert in_tensorboard(tmp_path)[0] == expected


def test_eighteen_classes_without_categories(tmp_path: Path) -> None:
    classes = [f"language {n}" for n in range(18)]
    documents = [document(f"a b {n}", n) for n in range(18)]
    data = ToyDocuments(classes, documents, documents, validation_fraction=0)
    task = evaluated(tmp_path, data, AlwaysTheFirst(18), ClassificationFigures())
    assert pictures(tmp_path) == {"confusion_matrix"}
    assert task.tables() == []
    text = in_tensorboard(tmp_path)[1]
    assert text.startswith("17 of 18 test notes")
    assert text.count("\n> ") == 10


def test_the_most_wrong_in_their_order(tmp_path: Path) -> None:
    evaluated(tmp_path, notes(), FirstTokenTells(), ClassificationFigures(wrong=3))
    rendered = markdown_to_safe_html(in_tensorboard(tmp_path)[1])
    paragraphs = [read(one).strip() for one in re.findall(r"<p>.*?</p>", rendered, re.DOTALL)]
    cut = ("the second " + "word " * 400)[:1000] + " ..."
    assert paragraphs == [
        "3 of 5 test notes are misclassified.",
        "1. lamps_&_*bulbs*: good, predicted bad (p = 0.8750)",
        " ".join(f"the first {NASTY}".split()),
        "2. lamps: bad, predicted good (p = 0.8750)",
        cut,
        "3. kettles: bad, predicted good (p = 0.7500)",
        "the third",
    ]
    assert rendered.count("<blockquote>") == 3
    assert set(re.findall(r"<(\w+)", rendered)) == {"p", "strong", "blockquote"}


@pytest.mark.parametrize("text", [NASTY, *NASTY.splitlines(), "a\tb\r\n\r\nc", "\u2028x\x0b| y"])
def test_verbatim_reads_as_the_text(text: str) -> None:
    rendered = markdown_to_safe_html(f"> {verbatim(text)}")
    assert read(rendered).strip() == " ".join(text.split())
    assert set(re.findall(r"<(\w+)", rendered)) <= {"blockquote", "p"}


def test_verbatim_is_cut() -> None:
    assert verbatim("x" * 30, 10) == "x" * 10 + " \\.\\.\\."
    assert verbatim("x" * 10, 10) == "x" * 10


def test_confusion_matrix_has_percent_and_count() -> None:
    classes = ["bad", "good", "never"]
    counts = pd.DataFrame([[3, 1, 0], [0, 2, 0], [0, 0, 0]], index=classes, columns=classes)
    axes = confusion_matrix(counts).axes[0]
    shown = {text.get_position(): text.get_text() for text in axes.texts}
    assert shown[0, 0] == "75.00 %\n3"
    assert shown[1, 0] == "25.00 %\n1"  # predicted good, truly bad
    assert shown[0, 1] == "0.00 %\n0"
    assert not any(row == 2 for _, row in shown)  # nothing of the third was tested
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        "bad (4)",
        "good (2)",
        "never (0)",
    ]
    assert [label.get_text() for label in axes.get_xticklabels()] == classes


def test_large_confusion_matrix_leaves_zeros_out() -> None:
    counts = pd.DataFrame(np.diag(np.arange(1, 19)))
    axes = confusion_matrix(counts).axes[0]
    assert [text.get_text() for text in axes.texts] == [f"100 %\n{n}" for n in range(1, 19)]


def test_accuracy_bars_have_their_intervals() -> None:
    right = [True] * 9 + [False] + [True] * 10
    table = pd.DataFrame({"group": ["lamps"] * 10 + ["kettles"] * 10, "target": "good"})
    table["prediction"] = np.where(right, "good", "bad")
    groups = accuracy_by_group(table)
    axes = accuracy_bars(groups, "notes").axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["lamps", "kettles"]
    assert [patch.get_width() for patch in axes.patches] == [90.0, 100.0]  # type: ignore[attr-defined]
    (errors,) = (one for one in axes.containers if isinstance(one, ErrorbarContainer))
    for segment, name in zip(errors.lines[2][0].get_segments(), ["lamps", "kettles"], strict=True):
        ends = sorted(segment[:, 0])
        interval = 100 * groups.loc[name, ["low", "high"]].to_numpy(dtype=float)
        assert ends == pytest.approx(interval)
    assert [text.get_text() for text in axes.texts] == ["90.0 % of 10", "100.0 % of 10"]
    assert axes.lines[-1].get_label() == "all: 95.0 %"


def test_a_class_name_is_no_formula() -> None:
    classes = ["a$\\frac$b", "$\\x$"]
    table = pd.DataFrame({"target": classes, "prediction": classes, "group": classes})
    table[f"p_{classes[1]}"] = [0.1, 0.9]
    for figure in (
        confusion_matrix(pd.DataFrame([[1, 0], [0, 1]], index=classes, columns=classes)),
        probability_histogram(table, classes, "notes"),
        accuracy_bars(accuracy_by_group(table), "notes"),
    ):
        figure.draw_without_rendering()  # fails where a formula is wrong


def test_histogram_tells_the_true_classes_apart() -> None:
    table = pd.DataFrame(
        {"target": ["bad", "bad", "good", "good"], "p_good": [0.01, 0.99, 0.98, 1.0]}
    )
    figure = probability_histogram(table, ["bad", "good"], "notes")
    axes = figure.axes[0]
    bad, good = ([bar.get_height() for bar in bars] for bars in cast(Any, axes.containers))
    assert bad == [1, *[0] * 18, 1]
    assert good == [*[0] * 19, 2]
    assert axes.get_legend() is None  # it stands beside the axes, not over the bars
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts[:2] == ["truly bad (2)", "truly good (2)"] and len(texts) == 3


def test_loss_starts_at_zero_and_shows_the_loss_of_guessing() -> None:
    figure = class_loss_curve(pd.DataFrame(HISTORY), 2)
    left, right = figure.axes
    lines = {line.get_label(): np.asarray(line.get_ydata()).tolist() for line in left.lines}
    assert lines["training loss"] == [0.7, 0.5]
    assert lines["validation loss"] == [0.6, 0.55]
    assert lines["guessing: ln 2"] == [math.log(2)] * 2
    assert -0.1 < left.get_ylim()[0] < 0 and left.get_ylim()[1] > 0.7
    assert np.asarray(left.lines[0].get_xdata()).tolist() == [1, 2]
    assert len(figure.legends[0].get_texts()) == 4
    assert np.asarray(right.lines[0].get_ydata()).tolist() == [0.6, 0.7]
    assert right.get_ylim()[0] < 0 and right.get_ylim()[1] > 1
    without_validation = pd.DataFrame(HISTORY)[["epoch", "train/loss"]]
    assert len(class_loss_curve(without_validation, 2).axes) == 1


def test_a_loss_of_ones_own_has_its_name_and_no_guessing() -> None:
    figure = class_loss_curve(pd.DataFrame(HISTORY), 2, "FocalLoss")
    assert figure.axes[0].get_ylabel() == "FocalLoss"
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == ["training loss", "validation loss", "validation accuracy (right)"]


def test_the_console_has_the_tables_below_the_headline(tmp_path: Path) -> None:
    task = evaluated(tmp_path, notes(), FirstTokenTells())
    baselines = {f"baseline/majority/{metric.name}": 0.5 for metric in task.headline}
    with console.console.capture() as capture:
        console.show(*results(task, task.results, baselines))
    text = capture.get()
    headline, _, rest = text.partition("Confusion matrix")
    matrix, _, groups = rest.partition("Accuracy by category")
    assert "majority" in headline and "this run" in headline
    rows = [re.findall(r"[\w.&*]+", line) for line in (matrix + groups).splitlines()]
    assert ["true", "bad", "33.33", "66.67", "3"] in rows
    assert ["true", "good", "50.00", "50.00", "2"] in rows
    assert ["kettles", "0.500", "0.095", "to", "0.905", "2"] in rows
    assert task.results["test/accuracy/kettles"] == 0.5
    assert task.results["test/accuracy/lamps_&_*bulbs*"] == 0
    assert task.results["test/accuracy"] == pytest.approx(2 / 5)
