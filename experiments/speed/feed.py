"""What does the feed cost, and how does it grow with the data? The batches of an epoch as a run
gathers them, beside a Dataset that is read sample by sample."""

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pandas as pd
import torch
from matplotlib.figure import Figure
from rich.markdown import Markdown
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from experiments import study
from experiments.speed import command, machine
from experiments.speed.growth import along, at
from experiments.speed.timing import Stopwatch, Work, quartiles, ratio
from rnnexp import console
from rnnexp.config import compose
from rnnexp.process import cores, determinism
from rnnexp.runs.build import build_data
from rnnexp.runs.settings import resolve
from rnnexp.tasks.forecasting.data import ForecastingData

HERE = Path(__file__).parent
RNNEXP, SINGLY = "rnnexp", "sample by sample"
DAYS = (420, 4_200, 42_000)  # of hourly data
QUICK = (20, 40)
BATCH = 1024  # windows
COLORS = {RNNEXP: "#d1495b", SINGLY: "#00798c"}


class Windows(Dataset[tuple[Tensor, Tensor]]):
    """The windows of a run as one writes them: a slice, and the value that follows; no calendar."""

    def __init__(self, data: ForecastingData) -> None:
        self.values, self.length = data.store.values, data.look_back

    def __len__(self) -> int:
        return len(self.values) - self.length

    def __getitem__(self, start: int) -> tuple[Tensor, Tensor]:
        following = start + self.length
        return self.values[start:following], self.values[following]


def main(argv: Sequence[str] | None = None) -> int:
    quick = "little data, to see how it works: nothing is written"
    return command.run(argv, __doc__, quick, answer)


def answer(quick: bool) -> int:
    """Measure, and write table and figure. Returns the exit code: 1 where the machine was not
    quiet."""
    determinism.prepare(deterministic=True, threads=len(cores.available()))
    if not quick:
        machine.require_quiet()
    watch, stopwatch = machine.Watch(), Stopwatch()
    sizes = [read(days) for days in (QUICK if quick else DAYS)]
    times = measure(sizes, stopwatch, rounds=2 if quick else 5)
    facts, unrest = machine.conditions(watch.others(), stopwatch.pulse)
    title = f"Microseconds a window of {sizes[0].look_back} hours, batches of {BATCH}"
    text = study.markdown_table(title, table(sizes, times))
    text += f"\nOn {machine.description()}. {facts}"
    console.show(Markdown(text))
    if quick:
        return 0
    if unrest:
        print(f"study: README.md stays as it is: {unrest}", file=sys.stderr)
        return 1
    study.write_between_markers(HERE / "README.md", text, "feed")
    draw(sizes, times).savefig(HERE / "feed.png", dpi=110)
    return 0


def read(days: int) -> ForecastingData:
    """One SYNTHETIC series, whose training windows begin at every hour."""
    overrides = ["data=synthetic_load", "data/chunking=running_basis", f"data.batch_size={BATCH}"]
    config = compose([*overrides, "data.number=1", f"data.days={days}"])
    data = build_data(resolve(config))
    assert isinstance(data, ForecastingData)
    data.setup("fit")
    return data


# Measuring --------------------------------------------------------------------------------------


def measure(sizes: Sequence[ForecastingData], stopwatch: Stopwatch, rounds: int) -> pd.DataFrame:
    """Microseconds a window (rounds, contenders at a size)."""
    works, windows = dict[str, Work](), dict[str, int]()
    for data in sizes:
        hours = hours_of(data)
        works[at(RNNEXP, hours)] = partial(epoch, data)
        windows[at(RNNEXP, hours)] = epoch(data)
        works[at(SINGLY, hours)] = partial(singly, data)
        windows[at(SINGLY, hours)] = singly(data)
    return 1e6 * stopwatch.side_by_side(works, rounds) / pd.Series(windows)


def epoch(data: ForecastingData) -> int:
    """How many windows the batches of an epoch have, shuffled, with calendar and targets."""
    return sum(len(batch.target) for batch in data.train_dataloader())


def singly(data: ForecastingData) -> int:
    """How many windows the batches of an epoch have that torch's DataLoader makes of samples."""
    draw = torch.Generator().manual_seed(0)
    batches = DataLoader(Windows(data), BATCH, shuffle=True, generator=draw)
    return sum(len(target) for _, target in batches)


def hours_of(data: ForecastingData) -> int:
    return len(data.store.values)


def megabytes(data: ForecastingData) -> float:
    """What is held of the series: values, calendar, and what is a target."""
    store = data.store
    return sum(one.nbytes for one in (store.values, store.calendar, store.observed)) / 1e6


# What came out ----------------------------------------------------------------------------------


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
    """Left the time of a window, right the memory of the series, by hours of data."""
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
