"""The sentiment of product reviews: why do the lecture's networks stay at chance, what works?"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from experiments import study
from rnnexp.runs.comparison.leaderboard import Entry
from rnnexp.runs.folder.reading import read_digest

HERE = Path(__file__).parent
# With the lecture's training. N = 250 in three categories gives about as many reviews as its N = 40
# in 25. One seed suffices to see that the loss does not fall.
LECTURE = [
    "sentiment_textnet_onehot",
    "sentiment_textnet_embeddings",
    "sentiment_textnet_order2_onehot",
    "sentiment_textnet_order2_embeddings",
    "sentiment_gru_embeddings",
]
OURS = ["sentiment_gru_last_hidden", "sentiment_best"]
SPLITS = [1, 2, 3, 4]  # in addition to split 0, one seed each: a single split may be easy or hard
METRICS = ["accuracy", "recall/negative", "recall/positive", "nll"]
CHANCE, COLORS = "#4c4c4c", ("#d1495b", "#edae49", "#00798c", "#66a182", "#7768ae")


def main(argv: Sequence[str] | None = None) -> int:
    options = study.parser(__doc__, [*LECTURE, *OURS]).parse_intermixed_args(argv)
    return study.exit_code(lambda: run(options))


def run(options: argparse.Namespace) -> int:
    jobs = [job for experiment in options.only for job in plan(experiment, options)]
    whole = study.is_whole(options, [*LECTURE, *OURS])
    return study.run(options, jobs, answer, study.Files(HERE, figure="loss.png"), whole=whole)


def answer(completed: list[Entry]) -> study.Answer:
    on_split_0 = [run for run in completed if run.config["data.split_seed"] == 0]
    runs = [study.by_name(run, METRICS) for run in on_split_0]
    first_of_each_test = {run.data: run for run in reversed(runs)}.values()
    others = [row for run in first_of_each_test for row in study.baseline_rows(run)]
    text = study.markdown(runs, others) + "\n\n" + splits_table(completed)
    return study.Answer(text, [*runs, *others], lambda: draw(completed))


def plan(experiment: str, options: argparse.Namespace) -> list[study.Job]:
    """The jobs of one experiment. The lecture's networks have one seed. They read GloVe instead of
    word2vec, whose published file has 1.7 GB."""
    if experiment in OURS:
        jobs = study.plan([experiment], options.seeds, options.overrides)
        for split in SPLITS:
            overrides = [f"data.split_seed={split}", *options.overrides]
            jobs += study.plan([experiment], options.seeds[:1], overrides)
        return jobs
    vectors = ["data/vectors=glove"] if experiment.endswith("embeddings") else []
    overrides = ["data.per_class=250", *vectors, *options.overrides]
    return study.plan([experiment], options.seeds[:1], overrides)


def splits_table(runs: list[Entry]) -> str:
    """The test accuracy of our networks and of the baselines on every split, with one seed."""
    found: dict[int, dict[str, float]] = {}
    for run in runs:
        if run.config["name"] in OURS:
            accuracy = found.setdefault(run.config["data.split_seed"], {})
            accuracy.setdefault(run.config["name"], run.metrics["test/accuracy"])
            accuracy |= {row.config["name"]: row.metrics["test/accuracy"]
                         for row in study.baseline_rows(run)}  # fmt: skip
    table = pd.DataFrame(found).sort_index(axis=1)
    written = table.map("{:.4f}".format)
    written.columns = pd.Index([f"split {split}" for split in table])
    pairs = zip(table.mean(axis=1), table.std(axis=1), strict=True)
    written["mean"] = [f"{mean:.4f} ± {deviation:.4f}" for mean, deviation in pairs]
    written = written.loc[table.mean(axis=1).sort_values(ascending=False).index]
    title = "Test accuracy on each split, one seed"
    return study.markdown_table(title, written.reset_index(names="name"))


def draw(runs: list[Entry]) -> Figure:
    """Training loss by reviews seen, with the lecture's training and with ours (first seed)."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    for axes, names in zip(figure.subplots(1, 2, sharey=True), (LECTURE, OURS), strict=True):
        for name, color in zip(names, COLORS, strict=False):
            run = next(run for run in runs if run.config["name"] == name)
            seen, loss = smooth_loss(run)
            axes.plot(seen, loss, color=color, label=name)
        axes.axhline(np.log(2), color=CHANCE, ls=":", lw=1)
        axes.annotate("guessing, ln 2", (0.99, np.log(2)), xycoords=("axes fraction", "data"),
                      ha="right", va="bottom", color=CHANCE)  # fmt: skip
        axes.set(xlabel="reviews seen in training", ylim=(0, 0.9))
        axes.legend(frameon=False, fontsize=8, loc="lower left")
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].set(title="The lecture's training", ylabel="training loss, mean of 500 reviews")
    figure.axes[1].set_title("Ours")
    return figure


def smooth_loss(run: Entry) -> tuple[np.ndarray, np.ndarray]:
    """Reviews seen, and the mean training loss of the last 500 of them (from 250 on)."""
    losses = pd.Series([float.fromhex(loss) for loss in read_digest(run.folder)["losses"]])
    batch = int(run.config["data.batch_size"])
    smooth = losses.rolling(500 // batch, min_periods=250 // batch).mean()
    return batch * np.arange(1, len(losses) + 1), smooth.to_numpy()


if __name__ == "__main__":
    sys.exit(main())
