"""The next hour of electric load: does the cell or the training decide the accuracy?"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from matplotlib.figure import Figure

import rnnexp
from experiments import study
from rnnexp import console
from rnnexp.runs.comparison.leaderboard import Entry
from rnnexp.tasks.forecasting.data import ForecastingData
from rnnexp.tasks.forecasting.trees import VARIANTS, lightgbm_metrics, require_lightgbm

HERE = Path(__file__).parent
# The lecture's training comes last because it takes half an hour per seed.
EXPERIMENTS = ["power_load_pmgru", "power_load_gru", "power_load_lstm", "power_load_pmgru_lecture"]
METRICS = ["smape", "mae_MW", "rmse_MW"]
NETWORK, BASELINE = "#d1495b", "#4c4c4c"


def main(argv: Sequence[str] | None = None) -> int:
    parser = study.parser(__doc__, EXPERIMENTS)
    parser.add_argument(
        "--lightgbm", action="store_true", help="also train gradient-boosted trees as a baseline"
    )
    options = parser.parse_intermixed_args(argv)
    return study.exit_code(lambda: run(options))


def run(options: argparse.Namespace) -> int:
    if options.lightgbm:
        require_lightgbm()
    return study.run(
        options,
        study.plan(options.only, options.seeds, options.overrides),
        lambda completed: answer(completed, options.lightgbm),
        study.Files(HERE, figure="smape.png"),
        whole=options.lightgbm and study.is_whole(options, EXPERIMENTS),
        wanted="only the whole study with --lightgbm writes it",
    )


def answer(completed: list[Entry], lightgbm: bool) -> study.Answer:
    runs = [study.by_name(run, METRICS) for run in completed]
    others = study.baseline_rows(runs[0])
    if lightgbm:
        others += lightgbm_rows(runs[0])
    text = study.markdown(runs, others)
    return study.Answer(text, [*runs, *others], lambda: draw(runs, others))


def lightgbm_rows(run: Entry) -> list[Entry]:
    """LightGBM on the data of a run."""
    data = cast(ForecastingData, rnnexp.load(run.folder).data)
    data.setup("test")
    with console.working("training LightGBM, one model per series"):
        return [study.row(run, name, *lightgbm_metrics(data, name)) for name in VARIANTS]


def draw(runs: list[Entry], others: list[Entry]) -> Figure:
    """Test sMAPE: one row per network with a point per run; the baselines are lines."""
    names = list(dict.fromkeys(run.config["name"] for run in runs))
    figure = Figure(figsize=(8, 1.6 + 0.5 * len(names)), layout="constrained")
    axes = figure.subplots()
    for height, name in enumerate(names):
        values = [run.metrics["test/smape"] for run in runs if run.config["name"] == name]
        axes.plot(values, [height] * len(values), "o", color=NETWORK, alpha=0.6)
        axes.plot(sum(values) / len(values), height, "|", color=NETWORK, ms=18, mew=2)
    worst = max(run.metrics["test/smape"] for run in runs)
    beyond = []
    for other in others:
        name, value = other.config["name"].replace("_", " "), other.metrics["test/smape"]
        if value > 1.25 * worst:
            beyond.append(f"{name} {value:.3g}")
            continue
        axes.axvline(value, color=BASELINE, lw=1, ls="--")
        axes.annotate(
            name,
            (value, 1),
            xycoords=("data", "axes fraction"),
            xytext=(0, 3),
            textcoords="offset points",
            rotation=30,
            color=BASELINE,
            fontsize=9,
        )
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlabel(
        "test sMAPE, % (points: seeds, bars: means)"
        + (f"\nfurther right: {', '.join(beyond)}" if beyond else "")
    )
    axes.grid(axis="x", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


if __name__ == "__main__":
    sys.exit(main())
