"""Do two processes train the same network as one? Trains experiments on real data in float64, once
with one process and once with two that share every batch, and compares the weights."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import torch

from experiments import study
from rnnexp import console
from rnnexp.process import cores
from rnnexp.process.machine import cpu_name
from rnnexp.runs.folder.reading import read_checkpoint

HERE = Path(__file__).parent
# Without dropout, for which each process draws numbers of its own.
EXPERIMENTS = {
    "electric load, pmGRU": ["experiment=power_load_pmgru", "trainer.max_epochs=2"],
    "reviews, one-hot words with lazy rows": [
        *("experiment=sentiment_gru_onehot_works", "trainer.max_epochs=1"),
        *("model.dropout=0", "model.readout.dropout=0"),
    ],
    "names, GRU": [
        *("experiment=names_gru", "trainer.max_epochs=1", "model.token_dropout=0"),
        *("model.representation.dropout=0", "model.readout.dropout=0"),
    ],
}
BOTH = ["trainer=ddp", "trainer.accelerator=cpu", "trainer.precision=64", "determinism.threads=1"]
BOTH += ["logger=none", "callbacks.figures=null"]
MOST = 1e-6  # relative difference of a weight


def main(argv: Sequence[str] | None = None) -> int:
    argparse.ArgumentParser(description=__doc__).parse_args(argv)
    rows: list[dict[str, str]] = []
    missed: list[str] = []
    with tempfile.TemporaryDirectory() as place:
        for name, settings in EXPERIMENTS.items():
            folders = [Path(place) / f"{len(rows)}_{number}" for number in (1, 2)]
            for number, folder in enumerate(folders, 1):
                train([*settings, *BOTH, f"trainer.devices={number}"], folder)
            difference = largest_difference(*folders)
            orders = {json.loads((x / "digest.json").read_text())["batch_order"] for x in folders}
            times = [json.loads((x / "run.json").read_text())["seconds"]["train"] for x in folders]
            rows.append(
                {
                    "experiment": name,
                    "largest difference of a weight": f"{difference:.1e}",
                    "order of the batches": "equal" if len(orders) == 1 else "OTHER",
                    "training, s": f"{times[0]:.1f}",
                    "with two, s": f"{times[1]:.1f}",
                }
            )
            console.show(str(rows[-1]))
            if difference > MOST or len(orders) > 1:
                missed.append(name)
    text = study.markdown_table("Two processes against one", pd.DataFrame(rows))
    text += f"\n{cpu_name()}, {len(cores.available())} cores, one thread a process."
    console.show(text)
    study.write_between_markers(HERE / "README.md", text, "data_parallel")
    if missed:
        console.show(f"not as expected: {', '.join(missed)}")
    return 1 if missed else 0


def train(settings: list[str], folder: Path) -> None:
    command = [sys.executable, "-m", "rnnexp", "train", *settings, f"hydra.run.dir={folder}"]
    subprocess.run(
        command, env=os.environ | {"OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL, check=True
    )


def largest_difference(one: Path, two: Path) -> float:
    """Between the last weights of two runs, relative to the largest weight of a tensor."""
    then, now = (
        read_checkpoint(folder / "checkpoints" / "last.ckpt")["state_dict"] for folder in (one, two)
    )
    return max(
        float((then[name] - now[name]).abs().max() / then[name].abs().max())
        for name in then
        if torch.is_floating_point(then[name])
    )


if __name__ == "__main__":
    sys.exit(main())
