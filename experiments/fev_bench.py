"""Shared by the studies on the data sets of fev-bench: runs beside the published figures."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from experiments import study
from rnnexp.runs.comparison.leaderboard import Entry

METRICS = ["sql", "mase", "coverage_80"]
NETWORK, PUBLISHED = "#d1495b", "#4c4c4c"


@dataclass(frozen=True)
class Figures:
    """What a forecaster of the published table reaches. note: what it was allowed."""

    name: str
    sql: float
    mase: float
    note: str = ""

    @property
    def label(self) -> str:
        return f"{self.name} ({self.note})" if self.note else self.name


def main(
    description: str,
    experiments: Sequence[str],
    published: Sequence[Figures],
    here: Path,
    argv: Sequence[str] | None = None,
) -> int:
    """The command of a study. Returns the exit code."""
    options = study.parser(description, experiments).parse_intermixed_args(argv)
    return study.exit_code(lambda: _run(options, experiments, published, here))


def _run(
    options: argparse.Namespace,
    experiments: Sequence[str],
    published: Sequence[Figures],
    here: Path,
) -> int:
    return study.run(
        options,
        study.plan(options.only, options.seeds, options.overrides),
        lambda completed: _answer(completed, published),
        study.Files(here, figure="sql.png"),
        whole=study.is_whole(options, experiments),
    )


def _answer(completed: list[Entry], published: Sequence[Figures]) -> study.Answer:
    runs = [study.by_name(run, METRICS) for run in completed]
    others = study.baseline_rows(runs[0])
    others += [
        study.row(runs[0], one.label, {"sql": one.sql, "mase": one.mase}) for one in published
    ]
    text = study.markdown(runs, others)
    return study.Answer(text, [*runs, *others], lambda: _draw(runs, published))


def _draw(runs: list[Entry], published: Sequence[Figures]) -> Figure:
    """SQL and MASE: a row for each network with a point per seed, and one for each published
    forecaster."""
    names = list(dict.fromkeys(run.config["name"] for run in runs))
    rows = [*names, *(one.label for one in published)]
    figure = Figure(figsize=(9, 1.4 + 0.32 * len(rows)), layout="constrained")
    for axes, metric in zip(figure.subplots(1, 2, sharey=True), ("sql", "mase"), strict=True):
        for height, name in enumerate(names):
            values = [run.metrics[f"test/{metric}"] for run in runs if run.config["name"] == name]
            axes.plot(values, [height] * len(values), "o", color=NETWORK, alpha=0.6)
            axes.plot(sum(values) / len(values), height, "|", color=NETWORK, ms=16, mew=2)
        for height, one in enumerate(published, start=len(names)):
            axes.plot(getattr(one, metric), height, "D", color=PUBLISHED, ms=5)
        axes.set_xlabel(f"{metric.upper()}, lower is better")
        axes.grid(axis="x", alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    axes.set_yticks(range(len(rows)), rows)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    figure.suptitle("Circles: our runs, one a seed, and their means. Diamonds: published.", size=10)
    return figure
