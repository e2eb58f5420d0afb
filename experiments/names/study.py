"""The language of a last name: how accurate are the networks, and how much is memorised?"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments import study
from rnnexp.runs.comparison.leaderboard import Entry
from rnnexp.runs.folder.reading import read_predictions

HERE = Path(__file__).parent
OURS, LECTURE = ["names_best", "names_gru"], "names_char_rnn"
EXPERIMENTS = [*OURS, LECTURE]
METRICS = ["accuracy", "balanced_accuracy", "macro_f1", "top3_accuracy"]
SPLITS = {"rows": "as usual: names stand in both parts", "names": "no name in two parts"}
COLORS = {"names_best": "#00798c", "names_gru": "#edae49", LECTURE: "#d1495b"}
BASELINE = "#4c4c4c"


def main(argv: Sequence[str] | None = None) -> int:
    options = study.parser(__doc__, EXPERIMENTS).parse_intermixed_args(argv)
    return study.exit_code(lambda: run(options))


def run(options: argparse.Namespace) -> int:
    jobs = [job for name in options.only for job in plan(name, options)]
    whole = study.is_whole(options, EXPERIMENTS)
    return study.run(options, jobs, answer, study.Files(HERE, figure="names.png"), whole=whole)


def answer(completed: list[Entry]) -> study.Answer:
    rows = {split: rows_of(completed, split) for split in SPLITS}
    text = "\n".join(
        f"Split `{split}`, {SPLITS[split]}:\n\n{study.markdown(*found)}\n"
        for split, found in rows.items()
        if found[0]
    ).rstrip()
    return study.Answer(text, completed, lambda: draw(completed, rows))


def plan(name: str, options: argparse.Namespace) -> list[study.Job]:
    """The jobs of one experiment: ours on both splits, the lecture's only on `rows`."""
    splits = list(SPLITS) if name in OURS else ["rows"]
    trainings = [(f"experiment={name}", f"data.split={split}", *options.overrides)
                 for split in splits]  # fmt: skip
    return study.jobs_of(trainings, options.seeds)


def rows_of(runs: Sequence[Entry], split: str) -> tuple[list[Entry], list[Entry]]:
    """The rows of a split's table: the runs, and the baselines on the same names."""
    found = [run for run in runs if run.config["data.split"] == split]
    others = study.baseline_rows(found[0]) if found else []
    return [study.by_name(run, METRICS) for run in found], others


# The figure -------------------------------------------------------------------------------------


def draw(runs: Sequence[Entry], rows: dict[str, tuple[list[Entry], list[Entry]]]) -> Figure:
    """Left: the test accuracy on each split, one point per seed. Right: the recall of each language
    on the split by rows, mean over the seeds."""
    figure = Figure(figsize=(14, 7), layout="constrained")
    left, right = figure.subplots(1, 2)
    accuracies(left, {split: [*found, *others] for split, (found, others) in rows.items()})
    languages(right, [run for run in runs if run.config["data.split"] == "rows"])
    return figure


def accuracies(axes: Axes, rows: dict[str, list[Entry]]) -> None:
    """One row per network or baseline, by accuracy on the split by rows; one marker per split."""
    found = {
        split: pd.DataFrame(
            [(row.config["name"], 100 * row.metrics["test/accuracy"]) for row in of_split],
            columns=["name", "accuracy"],
        ).groupby("name")["accuracy"]
        for split, of_split in rows.items()
    }
    names = list(found["rows"].mean().sort_values(ascending=False).index)
    for split, (marker, above) in {"rows": ("o", -0.17), "names": ("D", 0.17)}.items():
        for name, values in found[split]:
            color, height = COLORS.get(str(name), BASELINE), names.index(name) + above
            points = axes.plot(values, [height] * len(values), marker, color=color, alpha=0.8)
            points[0].set_markerfacecolor(color if split == "rows" else "white")
            axes.annotate(f"{values.mean():.1f}", (values.max(), height), xytext=(8, 0),
                          textcoords="offset points", va="center", fontsize=9)  # fmt: skip
    axes.set_yticks(range(len(names)), [name.replace("_", " ") for name in names])
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlim(right=104)
    axes.set(xlabel="test accuracy, % (points: seeds, numbers: means)")
    title = "Filled: data.split=rows. Hollow: data.split=names, no name in two parts"
    axes.set_title(title, fontsize=10, loc="left")
    axes.grid(axis="x", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)


def languages(axes: Axes, runs: Sequence[Entry]) -> None:
    """One row per language, the most frequent in the test set first; one bar per network."""
    tested = read_predictions(runs[0].folder)["target"].value_counts()
    names = list(dict.fromkeys(run.config["name"] for run in runs))
    height = 0.8 / len(names)
    for number, name in enumerate(names):
        shares = recall([run for run in runs if run.config["name"] == name], list(tested.index))
        places = np.arange(len(tested)) + (number - (len(names) - 1) / 2) * height
        axes.barh(places, 100 * shares, height, color=COLORS[name], label=name)
    labels = [f"{language}, {count:,}" for language, count in tested.items()]
    axes.set_yticks(range(len(tested)), labels)
    axes.invert_yaxis()
    axes.set(xlim=(0, 100), xlabel="recall of each language, %")
    axes.set_title("Languages and their tested names, split by rows", fontsize=10, loc="left")
    axes.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.08), ncols=len(names))
    axes.grid(axis="x", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)


def recall(runs: Sequence[Entry], classes: Sequence[str]) -> np.ndarray:
    """The recall of every class, mean over the runs."""
    table = pd.DataFrame([run.metrics for run in runs])
    return table[[f"test/recall/{one}" for one in classes]].mean().to_numpy()


if __name__ == "__main__":
    sys.exit(main())
