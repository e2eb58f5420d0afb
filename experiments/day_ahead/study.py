"""Tomorrow's electric load, issued at ten: what does a recurrent network add to ridge and trees?"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from experiments import study
from rnnexp.runs.comparison.leaderboard import Entry
from rnnexp.tasks.forecasting.trees import require_lightgbm

HERE = Path(__file__).parent
EXPERIMENTS = ["power_load_day_ahead"]
METRICS = ["mase", "sql", "smape", "mae_MW", "coverage_80"]
BASELINES = ["seasonal_naive_day", "seasonal_naive_week", "ridge", "lightgbm"]
NETWORK, BASELINE = "#d1495b", "#4c4c4c"


def main(argv: Sequence[str] | None = None) -> int:
    options = study.parser(__doc__ or "", EXPERIMENTS).parse_intermixed_args(argv)
    return study.exit_code(lambda: run(options))


def run(options: argparse.Namespace) -> int:
    require_lightgbm()
    overrides = ["task.lightgbm=true", *options.overrides]
    return study.run(
        options,
        study.plan(options.only, options.seeds, overrides),
        answer,
        study.Files(HERE, figure="mase.png"),
        whole=study.is_whole(options, EXPERIMENTS),
    )


def answer(completed: list[Entry]) -> study.Answer:
    runs = [study.by_name(run, METRICS) for run in completed]
    others = study.baseline_rows(runs[0])
    text = study.markdown(runs, others)
    return study.Answer(text, [*runs, *others], lambda: draw(completed))


def draw(runs: list[Entry]) -> Figure:
    """The MASE of all zones together and of each: a point for each run; the baselines for all."""
    metrics = runs[0].metrics
    zones = [name for name in metrics if name.startswith("test/mase/")]
    places = {"all zones": "test/mase"} | {name.removeprefix("test/mase/"): name for name in zones}
    figure = Figure(figsize=(9, 4), layout="constrained")
    axes = figure.subplots()
    for name, marker in zip(BASELINES, "^vsD", strict=True):
        value = metrics[f"baseline/{name}/mase"]
        label = name.replace("_", " ")
        axes.plot(["all zones"], [value], marker, color=BASELINE, alpha=0.7, label=label)
    for number, run in enumerate(runs):
        values = [run.metrics[metric] for metric in places.values()]
        label = "GRU, a point a seed" if number == 0 else "_"  # named once
        axes.plot(list(places), values, "o", color=NETWORK, alpha=0.6, label=label)
    axes.set_ylabel("MASE of tomorrow's 24 hours")
    axes.set_ylim(bottom=0)
    axes.grid(axis="y", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside right upper", frameon=False)
    return figure


if __name__ == "__main__":
    sys.exit(main())
