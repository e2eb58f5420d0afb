"""What do many runs cost? Plans a sweep of many jobs, runs a short one, reads its outcomes, lists
generated run folders with the leaderboard, and loads as many event folders with TensorBoard."""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer

from experiments import study
from rnnexp import console
from rnnexp.launching import sweep
from rnnexp.launching.plan import Plan, check_jobs, plan
from rnnexp.process import cores
from rnnexp.process.machine import cpu_name
from rnnexp.runs.folder.record import make_folder

HERE = Path(__file__).parent
JOB = ["experiment=quickstart_names", "trainer.max_epochs=1", "determinism.threads=1"]
SEEDS = 10  # of each setting in the generated folders
MOST = 10.0  # seconds of the leaderboard over the most folders


@dataclass(frozen=True)
class Numbers:
    """jobs: planned and read. trained: jobs of the sweep that is run. listed: by the leaderboard;
    the last number has a bar. shown: event folders for TensorBoard."""

    jobs: int = 1000
    trained: int = 20
    listed: tuple[int, ...] = (1000, 10_000)
    shown: int = 1000


QUICK = Numbers(jobs=2, trained=1, listed=(3, 20), shown=3)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few runs; writes nothing")
    options = parser.parse_args(argv)
    numbers = QUICK if options.quick else Numbers()
    with tempfile.TemporaryDirectory() as place:
        rows, slowest = measure(numbers, Path(place))
    text = study.markdown_table("Many runs", pd.DataFrame(rows))
    text += f"\n{cpu_name()}, one of {len(cores.available())} cores."
    console.show(text)
    if options.quick:
        return 0
    study.write_between_markers(HERE / "README.md", text, "many")
    if slowest > MOST:
        console.show(f"not as expected: the leaderboard took {slowest:.1f} s, more than {MOST}")
    return 1 if slowest > MOST else 0


def measure(numbers: Numbers, place: Path) -> tuple[list[dict[str, str]], float]:
    """The rows of the table, and the seconds of the longest listing."""
    rows: list[dict[str, str]] = []

    def timed(what: str, number: int, work: Callable[[], Any], note: str = "") -> Any:
        began = time.perf_counter()
        found = work()
        seconds = time.perf_counter() - began
        rows.append(row(what, number, seconds, note))
        console.show(str(rows[-1]))
        return found

    swept = [f"hydra.sweep.dir={place / 'planned'}", f"seed=range({numbers.jobs})"]
    planned = timed("compose the jobs", numbers.jobs, lambda: plan([*JOB, *swept], multirun=True))
    timed("check the jobs", numbers.jobs, lambda: check_jobs(planned.jobs))
    timed("write sweep.json", numbers.jobs, lambda: write(planned))

    trained = place / "trained"
    done = timed("run a sweep, all of it", numbers.trained, lambda: train(numbers.trained, trained))
    seconds = sum(json.loads(path.read_text())["seconds"]["train"] for path in done)
    rows.append(row("of that, training", numbers.trained, seconds))

    like = done[0].parent
    folders = [planned.folder / job.folder for job in planned.jobs]
    for number, folder in enumerate(folders):
        copy(like, folder, number)
    timed("read the outcomes", numbers.jobs, lambda: sweep.outcomes(planned.folder))

    listed = 0
    runs = place / "runs"
    for number in numbers.listed:
        for one in range(listed, number):
            copy(like, runs / f"run{one:05}", one)
        listed = number
        timed("rnnexp leaderboard", number, lambda: leaderboard(runs))
        slowest = time_of(rows[-1])

    events = place / "events"
    for one in range(numbers.shown):
        shutil.copytree(like / "tensorboard", events / f"run{one:05}")
    files = [path for path in events.rglob("*") if path.is_file()]
    size = f"{sum(path.stat().st_size for path in files) / 1e6:.1f} MB in {len(files):,} files"
    timed("load in TensorBoard", numbers.shown, lambda: load(events), size)
    return rows, slowest


def row(what: str, number: int, seconds: float, note: str = "") -> dict[str, str]:
    each = f"{1000 * seconds / number:.1f}"
    cells = {"what": what, "runs": f"{number:,}", "seconds": f"{seconds:.2f}", "each, ms": each}
    return cells | {"on disk": note}


def time_of(row: dict[str, str]) -> float:
    return float(row["seconds"])


def write(planned: Plan) -> None:
    make_folder(planned.folder)
    sweep.write(planned, None)


def train(jobs: int, folder: Path) -> list[Path]:
    """Run a sweep, one job after another. Returns run.json of each job."""
    overrides = [*JOB, f"seed=range({jobs})", f"hydra.sweep.dir={folder}"]
    call("train", "-m", *overrides)
    return sorted(folder.glob("*/run.json"))


def leaderboard(folder: Path) -> str:
    """What `rnnexp leaderboard` prints of the runs in a folder, as CSV."""
    return call("leaderboard", str(folder), "--csv")


def call(*words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "rnnexp", *words],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def load(folder: Path) -> None:
    """Read event files as TensorBoard does (with --load_fast=false)."""
    multiplexer = EventMultiplexer()
    multiplexer.AddRunsFromDirectory(str(folder))
    multiplexer.Reload()


def copy(like: Path, folder: Path, number: int) -> None:
    """Write a run folder like a real one with other settings and results: what the leaderboard
    reads, and the folders beside it.

    number: of the run, which gives its seed, learning rate and accuracy.
    """
    run, metrics = (json.loads((like / name).read_text()) for name in ("run.json", "metrics.json"))
    seed, rate = number % SEEDS, round(0.001 * (number // SEEDS + 1), 6)
    text = (like / "config.yaml").read_text()
    for old, new in (("\nseed: 0\n", f"\nseed: {seed}\n"), ("  lr: 0.02\n", f"  lr: {rate}\n")):
        assert text.count(old) == 1
        text = text.replace(old, new)
    run["config"]["seed"], run["config"]["optimizer"]["lr"] = seed, rate
    run["config_sha256"] = hashlib.sha256(text.encode()).hexdigest()
    run["files"]["config.yaml"] = run["config_sha256"]
    run["overrides"], run["job"] = [*JOB, f"seed={number}"], number
    metrics["test/accuracy"] = number % 97 / 97
    for name in ("checkpoints", "figures", "tensorboard/label"):
        (folder / name).mkdir(parents=True)
    shutil.copyfile(like / "digest.json", folder / "digest.json")
    (folder / "config.yaml").write_text(text)
    (folder / "run.json").write_text(json.dumps(run, indent=2) + "\n")
    (folder / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
