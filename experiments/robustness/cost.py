"""What do checkpoints cost? Trains `power_load_pmgru` with a checkpoint every 30 seconds beside
those of each epoch, and measures how long the training waits for each of them."""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pandas as pd

from experiments import study
from rnnexp import console
from rnnexp.callbacks.checkpoint import Checkpoint
from rnnexp.cli import main as rnnexp
from rnnexp.process import cores
from rnnexp.process.machine import cpu_name
from rnnexp.runs.folder.reading import read_run

HERE = Path(__file__).parent
APART = 30.0  # seconds
MOST = 0.02  # of the time of training


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="synthetic data; writes nothing")
    options = parser.parse_args(argv)
    small = ["data=synthetic_load", "trainer.max_epochs=2"] if options.quick else []
    waits: list[float] = []
    save = Checkpoint._save_last

    def timed(self: Checkpoint, *arguments: Any, **settings: Any) -> None:
        began = time.perf_counter()
        save(self, *arguments, **settings)
        waits.append(time.perf_counter() - began)

    with tempfile.TemporaryDirectory() as place, patch.object(Checkpoint, "_save_last", timed):
        folder = Path(place) / "run"
        overrides = [
            "experiment=power_load_pmgru",
            *small,
            f"checkpoint.every_minutes={APART / 60}",
        ]
        if code := rnnexp(["train", *overrides, f"hydra.run.dir={folder}"]):
            return code
        training = float(read_run(folder)["seconds"]["train"])
        size = (folder / "checkpoints" / "last.ckpt").stat().st_size
    each = statistics.median(waits)
    row = {
        "training, s": f"{training:.1f}",
        "checkpoints": str(len(waits)),
        "size, MB": f"{size / 1e6:.1f}",
        "median wait, ms": f"{1000 * each:.1f}",
        "longest, ms": f"{1000 * max(waits):.1f}",
        "all, of the training": f"{sum(waits) / training:.2%}",
        "one every 30 s": f"{each / APART:.3%}",
    }
    text = study.markdown_table("Checkpoints of power_load_pmgru", pd.DataFrame([row]))
    text += f"\n{cpu_name()}, {len(cores.available())} cores."
    console.show(text)
    if not options.quick:
        study.write_between_markers(HERE / "README.md", text, "cost")
    return 0 if each / APART < MOST else 1


if __name__ == "__main__":
    sys.exit(main())
