"""What does the feed cost, and how does its cost grow with the data? Compares the batches of an
epoch as in a run with batches that a DataLoader builds sample by sample."""

import argparse
import sys
from collections.abc import Sequence
from functools import partial

import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from experiments import study
from experiments.speed import harness
from experiments.speed.growth import along, at
from experiments.speed.harness import Findings
from experiments.speed.timing import Stopwatch, Work, quartiles, ratio
from rnnexp.config import compose
from rnnexp.runs.build import build_data
from rnnexp.runs.settings import resolve
from rnnexp.tasks.forecasting.data import ForecastingData

RNNEXP, SINGLY = "rnnexp", "sample by sample"
DAYS = (420, 4_200, 42_000)  # of hourly data
QUICK = (20, 40)
BATCH = 1024  # windows
COLORS = {RNNEXP: "#d1495b", SINGLY: "#00798c"}


def main(argv: Sequence[str] | None = None) -> int:
    options = harness.parser(__doc__).parse_args(argv)
    return harness.run(options, answer, bars="feed", place="feed", picture="feed.png")


def answer(options: argparse.Namespace, stopwatch: Stopwatch) -> Findings:
    sizes = [read(days) for days in (QUICK if options.quick else DAYS)]
    times = measure(sizes, stopwatch, rounds=2 if options.quick else 5)
    title = f"Microseconds a window of {sizes[0].source.look_back} hours, batches of {BATCH}"
    written = study.markdown_table(title, table(sizes, times))
    return Findings([written], draw=lambda: draw(sizes, times))


def read(days: int) -> ForecastingData:
    """One SYNTHETIC series with a training window at every hour."""
    overrides = ["data=synthetic_load", "data/chunking=running_basis", f"data.batch_size={BATCH}"]
    config = compose([*overrides, "data.number=1", f"data.days={days}"])
    data = build_data(resolve(config))
    assert isinstance(data, ForecastingData)
    return data


# Contenders: each returns the number of windows in an epoch -------------------------------------


def epoch(data: ForecastingData) -> int:
    """As in a run: shuffled, with calendar and targets."""
    return sum(len(batch.target) for batch in data.train_dataloader())


def singly(data: ForecastingData) -> int:
    """With torch's DataLoader, from single samples."""
    draw = torch.Generator().manual_seed(0)
    batches = DataLoader(Windows(data), BATCH, shuffle=True, generator=draw)
    return sum(len(target) for _, target in batches)


class Windows(Dataset[tuple[Tensor, Tensor]]):
    """The usual Dataset: a slice and the value that follows it, without a calendar."""

    def __init__(self, data: ForecastingData) -> None:
        self.values, self.length = data.source.store.values, data.source.look_back

    def __len__(self) -> int:
        return len(self.values) - self.length

    def __getitem__(self, start: int) -> tuple[Tensor, Tensor]:
        following = start + self.length
        return self.values[start:following], self.values[following]


# Measuring --------------------------------------------------------------------------------------


def measure(sizes: Sequence[ForecastingData], stopwatch: Stopwatch, rounds: int) -> pd.DataFrame:
    """Microseconds per window (rounds, contenders at a size)."""
    works, windows = dict[str, Work](), dict[str, int]()
    for data in sizes:
        for name, gather in ((RNNEXP, epoch), (SINGLY, singly)):
            column = at(name, hours_of(data))
            works[column], windows[column] = partial(gather, data), gather(data)
    return 1e6 * stopwatch.side_by_side(works, rounds) / pd.Series(windows)


def hours_of(data: ForecastingData) -> int:
    return len(data.source.store.values)


def megabytes(data: ForecastingData) -> float:
    """The memory of the series: values, calendar, and which values are targets."""
    store = data.source.store
    return sum(one.nbytes for one in (store.values, store.calendar, store.observed)) / 1e6


# Results ----------------------------------------------------------------------------------------


def table(sizes: Sequence[ForecastingData], times: pd.DataFrame) -> pd.DataFrame:
    lines = []
    for data in sizes:
        ours, theirs = (at(name, hours_of(data)) for name in (RNNEXP, SINGLY))
        lines.append(
            {
                "hours of data": f"{hours_of(data):,}",
                "series in memory, MB": f"{megabytes(data):.2f}",
                RNNEXP: str(quartiles(times[ours])),
                SINGLY: str(quartiles(times[theirs])),
                f"{SINGLY} to {RNNEXP}": str(ratio(times, theirs, ours)),
            }
        )
    return pd.DataFrame(lines)


def draw(sizes: Sequence[ForecastingData], times: pd.DataFrame) -> Figure:
    """Time a window on the left, memory of the series on the right, by hours of data."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    hours = [hours_of(data) for data in sizes]
    for name, color in COLORS.items():
        medians = [times[at(name, one)].median() for one in hours]
        left.plot(hours, medians, "o-", color=color, label=name)
    left.set_ylabel("microseconds a window")
    left.legend(frameon=False, loc="lower right")
    right.plot(hours, [megabytes(data) for data in sizes], "o-", color=COLORS[RNNEXP])
    right.set_ylabel("series in memory, MB")
    right.set_yscale("log")
    left.set_ylim(bottom=0)
    for axes in (left, right):
        along(axes, hours, "hours of data")
    return figure


if __name__ == "__main__":
    sys.exit(main())
