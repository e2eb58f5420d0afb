"""What do many series cost? Prepares SYNTHETIC hourly series from CSV files for training, each time
in a process of its own, and measures time and memory."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from experiments import study
from rnnexp import console
from rnnexp.config import compose
from rnnexp.process import cores
from rnnexp.process.machine import cpu_name
from rnnexp.process.memory import keep_freed_memory, peak_memory, release_freed_memory
from rnnexp.runs.build import build_data

HERE = Path(__file__).parent
MOST_SECONDS, MOST_BYTES = 60.0, 24.0  # of all values, of each
TASKS = {"forecasting": [], "horizon": ["task=horizon", "data.horizon=24", "data.look_back=168"]}
READ = ["data=series_csv", "data.datetime_column=time", "data.value_column=value", "model=gru"]
FILES = {  # what is measured -> where it lies, and how it is read
    "one file": ("long.csv", ["data.series_column=name"]),
    "one file, with defects": ("defects.csv", ["data.series_column=name"]),
    "a file each": ("files", []),
}


@dataclass(frozen=True)
class Numbers:
    """series: how many. hours: of each."""

    series: int = 100
    hours: int = 87_650


QUICK = Numbers(series=3, hours=2000)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few short series; writes nothing")
    parser.add_argument("--one", nargs="+", help=argparse.SUPPRESS)  # overrides of one measurement
    options = parser.parse_args(argv)
    if options.one:
        print(json.dumps(prepare(options.one)))
        return 0
    with tempfile.TemporaryDirectory() as place:
        rows = measure(QUICK if options.quick else Numbers(), Path(place))
    text = study.markdown_table("Many series", pd.DataFrame(rows))
    text += f"\n{cpu_name()}, one of {len(cores.available())} cores."
    console.show(text)
    if options.quick:
        return 0
    study.write_between_markers(HERE / "README.md", text, "series")
    slow = max(float(row["seconds"]) for row in rows)
    large = max(float(row["bytes a value"]) for row in rows)
    if slow > MOST_SECONDS or large > MOST_BYTES:
        console.show(f"not as expected: {slow} s, at most {MOST_SECONDS}, or {large} bytes a value")
        return 1
    return 0


def measure(numbers: Numbers, place: Path) -> list[dict[str, str]]:
    """The rows of the table."""
    write(numbers, place)
    rows = []
    for what, (name, settings) in FILES.items():
        for task, more in TASKS.items():
            words = [*READ, *settings, *more, f"data.root={place / name}"]
            done = subprocess.run(
                [sys.executable, __file__, "--one", *words],
                env=os.environ | {"OMP_NUM_THREADS": "1"},
                capture_output=True,
                text=True,
                check=True,
            )
            rows.append({"what": what, "task": task, **json.loads(done.stdout)})
            console.show(str(rows[-1]))
    return rows


def write(numbers: Numbers, place: Path) -> None:
    """The files. Of the series with defects, each begins at its own hour, every hundredth row is
    absent, and every hundredth cell empty."""
    time = pd.date_range("2010-01-01", periods=numbers.hours, freq="h")
    texts, hour = time.strftime("%Y-%m-%d %H:%M").to_numpy(), np.arange(numbers.hours)
    draw = np.random.default_rng(0)
    (place / "files").mkdir()
    with (place / "long.csv").open("w") as long, (place / "defects.csv").open("w") as defects:
        for file in (long, defects):
            file.write("name,time,value\n")
        for number in range(numbers.series):
            name = f"S{number:03}"
            day = 300 * np.sin(2 * np.pi * hour / 24) + draw.normal(0, 30, numbers.hours)
            values = (1000 + day).round(2).tolist()
            cells = [f"{text},{value}\n" for text, value in zip(texts, values, strict=True)]
            long.write("".join(f"{name},{cell}" for cell in cells))
            (place / "files" / f"{name}.csv").write_text("time,value\n" + "".join(cells))
            for row in range(number, numbers.hours):
                cell = f"{texts[row]},\n" if row % 100 == 1 else cells[row]
                if row % 100 != 50:
                    defects.write(f"{name},{cell}")


def prepare(overrides: Sequence[str]) -> dict[str, str]:
    """Read, clean and split series, as a training does; what it took."""
    torch.set_num_threads(1)
    config = compose(list(overrides))
    keep_freed_memory()
    build_data(compose(["data=synthetic_load", "model=gru"]))  # imports all there is
    release_freed_memory()
    before, began = resident_memory(), time.perf_counter()
    data = build_data(config)
    seconds, values = time.perf_counter() - began, len(data.source.store.values)  # type: ignore[attr-defined]
    taken, peak = resident_memory() - before, (peak_memory() or 0) - before
    return {
        "values": f"{values:,}",
        "seconds": f"{seconds:.1f}",
        "bytes a value": f"{taken / values:.1f}",
        "at the peak": f"{peak / values:.0f}",
    }


def resident_memory() -> int:
    """Of this process, in bytes; Linux alone says it."""
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    sys.exit(main())
