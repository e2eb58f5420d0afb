"""What do checkpoints cost? Trains `power_load_pmgru` with a checkpoint every 30 seconds and with
none within an epoch, one after the other in fresh processes, and compares the time of training."""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from experiments import study
from rnnexp import console
from rnnexp.process.machine import cpu_name

HERE = Path(__file__).parent
EVERY = {"every 30 s": "0.5", "after each epoch": "null"}  # checkpoint.every_minutes
MOST = 1.02  # of the time without


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="synthetic data; writes nothing")
    options = parser.parse_args(argv)
    seconds: dict[str, list[float]] = {name: [] for name in EVERY}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(1 if options.quick else options.rounds):
            for name in list(EVERY)[:: 1 if number % 2 == 0 else -1]:
                run = Path(folder) / f"{number}_{name.replace(' ', '_')}"
                seconds[name].append(train(run, EVERY[name], options.quick))
                console.show(f"round {number + 1}, {name}: {seconds[name][-1]:.2f} s of training")
        size = (run / "checkpoints" / "last.ckpt").stat().st_size
    often, seldom = (statistics.median(seconds[name]) for name in EVERY)
    text = report(seconds, often / seldom, size)
    console.show(text)
    if not options.quick:
        study.write_between_markers(HERE / "README.md", text, "cost")
    return 0 if options.quick or often / seldom < MOST else 1


def train(folder: Path, every_minutes: str, quick: bool) -> float:
    """The seconds of training of one run, without validation."""
    small = ["data=synthetic_load", "trainer.max_epochs=1"] if quick else []
    overrides = ["experiment=power_load_pmgru", *small, "callbacks.progress_bar=null"]
    overrides += [f"checkpoint.every_minutes={every_minutes}", f"hydra.run.dir={folder}"]
    command = [sys.executable, "-m", "rnnexp", "train", *overrides]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=os.environ)
    return float(json.loads((folder / "run.json").read_text())["seconds"]["train"])


def report(seconds: dict[str, list[float]], ratio: float, size: int) -> str:
    rows = [
        {"checkpoint": name, "rounds, s": ", ".join(f"{one:.2f}" for one in found)}
        | {"median, s": f"{statistics.median(found):.2f}"}
        for name, found in seconds.items()
    ]
    table = study.markdown_table("Training of power_load_pmgru", pd.DataFrame(rows))
    return (
        f"{table}\n\nA checkpoint every 30 s takes {ratio:.3f} of the time without, and has "
        f"{size / 1e6:.1f} MB ({cpu_name()}, {len(os.sched_getaffinity(0))} cores)."
    )


if __name__ == "__main__":
    sys.exit(main())
