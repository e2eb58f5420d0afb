"""One-hot words against embeddings in one network: cost and accuracy."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.container import BarContainer
from matplotlib.figure import Figure

from experiments import study
from rnnexp.runs.comparison.leaderboard import Entry
from rnnexp.runs.folder.reading import read_run

HERE = Path(__file__).parent
WORKS = "experiment=sentiment_gru_onehot_works"
LARGE = 64_350  # words of the lecture's largest vocabulary
ONE_HOT, VECTORS, BASELINE, CHANCE = "#d1495b", "#00798c", "#66a182", "#4c4c4c"


@dataclass(frozen=True)
class Training:
    """A row of the table: its first cells, and the overrides of its training."""

    words: str
    network: str
    trained: str
    overrides: tuple[str, ...]


# By the name of the run.
TRAININGS = {
    "sentiment_gru_onehot_works": Training("one-hot", "2 x 512", "ours", (WORKS,)),
    "sentiment_gru_onehot_64350": Training(
        f"one-hot, table of {LARGE:,} rows",
        "2 x 512",
        "ours",
        (WORKS, f"model.representation.rows={LARGE}"),
    ),
    "sentiment_gru_glove_works": Training(
        "GloVe",
        "2 x 512",
        "ours",
        (
            WORKS,
            "data/vectors=glove",
            "data.vectors.standardize=true",
            "model/representation=embeddings",
        ),
    ),
    # One epoch instead of five: the loss does not fall.
    "sentiment_gru_onehot": Training(
        "one-hot",
        "2 x 512",
        "the lecture's",
        ("experiment=sentiment_gru_onehot", "data.per_class=250", "trainer.max_epochs=1"),
    ),
    "sentiment_gru_embeddings": Training(
        "GloVe",
        "2 x 200",
        "the lecture's",
        ("experiment=sentiment_gru_embeddings", "data.per_class=250", "data/vectors=glove"),
    ),
}  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    options = study.parser(__doc__, list(TRAININGS)).parse_intermixed_args(argv)
    return study.exit_code(lambda: run(options))


def run(options: argparse.Namespace) -> int:
    jobs = [job for name in options.only for job in plan(name, options.overrides, options.seeds)]
    files = study.Files(HERE, "one_hot.png", "expected_one_hot.yaml", place="one-hot")
    return study.run(options, jobs, answer, files, whole=study.is_whole(options, list(TRAININGS)))


def answer(completed: list[Entry]) -> study.Answer:
    found, others = costs(completed), baselines(completed)
    text = f"{table(found, others)}\n{study.trained_on(completed)}"
    return study.Answer(text, completed, lambda: draw(found, others))


def plan(name: str, overrides: Sequence[str], seeds: Sequence[int]) -> list[study.Job]:
    """The training of one row, with the first seed only, because it takes minutes."""
    return study.jobs_of([(*TRAININGS[name].overrides, f"name={name}", *overrides)], seeds[:1])


@dataclass(frozen=True)
class Cost:
    """The measured costs of a row, means over its seeds.

    memory: the largest peak memory of the process in bytes, NaN if it was not recorded. epoch:
    seconds per epoch. review: seconds of training per review.
    """

    name: str
    seeds: list[int]
    parameters: int
    memory: float
    epoch: float
    review: float
    accuracy: float
    deviation: float

    @property
    def training(self) -> Training:
        return TRAININGS[self.name]

    @property
    def label(self) -> str:
        row = self.training
        return f"{row.words}\n{row.network}, training: {row.trained}"


def baselines(runs: Sequence[Entry]) -> dict[str, float]:
    """Test accuracies of the baselines of `sentiment_gru_onehot_works`, by name."""
    for run in runs:
        if run.config["name"] == "sentiment_gru_onehot_works":
            rows = study.baseline_rows(run)
            return {row.config["name"]: row.metrics["test/accuracy"] for row in rows}
    return {}


def costs(runs: Sequence[Entry]) -> list[Cost]:
    """The costs of the completed runs, in the order of the table."""
    found = []
    for name in TRAININGS:
        if same := [run for run in runs if run.config["name"] == name]:
            found.append(_cost(name, same))
    return found


def _cost(name: str, runs: list[Entry]) -> Cost:
    records = [read_run(run.folder) for run in runs]
    accuracy = [run.metrics["test/accuracy"] for run in runs]
    epoch = np.mean([run.seconds / run.config["trainer.max_epochs"] for run in runs])
    return Cost(
        name=name,
        seeds=[run.seed for run in runs],
        parameters=records[0]["parameters"],
        memory=max(record.get("peak_memory_bytes") or float("nan") for record in records),
        epoch=float(epoch),
        review=float(epoch / records[0]["split"]["training"]["documents"]),
        accuracy=float(np.mean(accuracy)),
        deviation=float(np.std(accuracy, ddof=1)) if len(runs) > 1 else float("nan"),
    )


def table(found: Sequence[Cost], others: dict[str, float]) -> str:
    """others: test accuracy by name, for the sentence below the table."""
    rows = [
        {
            "words": one.training.words,
            "GRU": one.training.network,
            "training": one.training.trained,
            "parameters": f"{one.parameters:,}",
            "peak memory, GB": _number(one.memory / 1e9, ".2f"),
            "an epoch, s": _number(one.epoch, ".0f"),
            "a review, ms": _number(1e3 * one.review, ".0f"),
            "test accuracy": f"{one.accuracy:.4f}"
            + ("" if np.isnan(one.deviation) else f" ± {one.deviation:.4f}"),
            "seeds": " ".join(map(str, one.seeds)),
        }
        for one in found
    ]
    written = study.markdown_table("One-hot against embeddings", pd.DataFrame(rows))
    if others:
        best_first = sorted(others.items(), key=lambda pair: -pair[1])
        named = ", ".join(f"{name} {accuracy:.4f}" for name, accuracy in best_first)
        written += f"\nBaselines on the words of our trainings: {named}.\n"
    return written


def _number(value: float, form: str) -> str:
    return "" if np.isnan(value) else format(value, form)


def draw(found: Sequence[Cost], others: dict[str, float]) -> Figure:
    """One row per training, one panel per quantity. others: test accuracies; the best is drawn."""
    figure = Figure(figsize=(12, 0.8 + 0.75 * len(found)), layout="constrained")
    panels = figure.subplots(1, 4, sharey=True)
    quantities = {
        "parameters, million": ([one.parameters / 1e6 for one in found], ".1f"),
        "peak memory, GB": ([one.memory / 1e9 for one in found], ".2f"),
        "training a review, ms": ([1e3 * one.review for one in found], ".0f"),
        "test accuracy, %": ([100 * one.accuracy for one in found], ".1f"),
    }
    colors = [ONE_HOT if one.training.words.startswith("one-hot") else VECTORS for one in found]
    for axes, (title, (values, form)) in zip(panels, quantities.items(), strict=True):
        bars = _bars(axes, values, colors)
        texts = ["not recorded" if np.isnan(one) else format(one, form) for one in values]
        inside = {"label_type": "center", "color": "white"} if axes is panels[3] else {"padding": 3}
        axes.bar_label(bars, texts, fontsize=9, **inside)
        axes.set_title(title, fontsize=11)
    panels[0].set_yticks(range(len(found)), [one.label for one in found])
    panels[0].invert_yaxis()
    accuracy = panels[3]
    accuracy.set_xlim(40, 96)
    accuracy.axvline(50, color=CHANCE, ls=":", lw=1)
    accuracy.set_xlabel("dotted: guessing", fontsize=9, color=CHANCE)
    if others:
        name, best = max(others.items(), key=lambda pair: pair[1])
        accuracy.axvline(100 * best, color=BASELINE, ls="--", lw=1.5)
        accuracy.set_xlabel(f"dotted: guessing; dashed: {name}", fontsize=9, color=CHANCE)
    return figure


def _bars(axes: Axes, values: list[float], colors: list[str]) -> BarContainer:
    """Horizontal bars; none for NaN."""
    drawn = np.nan_to_num(np.array(values))
    bars = axes.barh(range(len(values)), drawn, color=colors, height=0.6)
    axes.set_xlim(0, 1.25 * max(drawn.max(), 1e-9))
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    return bars


if __name__ == "__main__":
    sys.exit(main())
