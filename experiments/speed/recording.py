"""What recording costs: the training of power_load_pmgru with all of it and with none, in turns.

Recorded are every loss, the order of batches, the run history, TensorBoard's curves, two
checkpoints an epoch and the hashes of weights. Validation is cut to one batch in both.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from rnnexp.callbacks.checkpoint import Checkpoint
from rnnexp.callbacks.history import History
from rnnexp.config import compose
from rnnexp.errors import UserError
from rnnexp.process import determinism
from rnnexp.runs import experiment
from rnnexp.runs.folder.digest import hash_tensors

BAR = 0.03  # of the training time


class NoDigest:
    """In the place of the hash of the batches' order."""

    def update(self, numbers: bytes) -> None:
        """Forget them."""

    def hexdigest(self) -> str:
        return ""


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("overrides", nargs="*")
    options = parser.parse_args(argv)
    overrides = ["experiment=power_load_pmgru", "trainer.max_epochs=2", *options.overrides]
    try:
        seconds = measure(overrides, options.rounds)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    cost = statistics.median(a / b - 1 for a, b in zip(*seconds, strict=True))
    recorded, bare = map(statistics.median, seconds)
    print(f"with recording {recorded:.2f} s, without {bare:.2f} s: {100 * cost:+.1f} %")
    return int(cost > BAR)


def measure(overrides: list[str], rounds: int) -> tuple[list[float], list[float]]:
    """Seconds of every round: with recording, and without. The first round is not counted."""
    recorded, bare = [], []
    for number in range(rounds + 1):
        order = (True, False) if number % 2 else (False, True)
        seconds = {recording: train(overrides, recording) for recording in order}
        print(f"round {number}: {seconds[True]:.2f} s, {seconds[False]:.2f} s", flush=True)
        if number:
            recorded.append(seconds[True])
            bare.append(seconds[False])
    return recorded, bare


def train(overrides: list[str], recording: bool) -> float:
    """Seconds of one training, from the first batch to what is recorded of the last."""
    silent = ["callbacks.progress_bar=null", "callbacks.figures=null"]
    config = experiment.resolve(compose([*overrides, *silent]))
    if not recording:
        config.logger = config.callbacks.learning_rate = None
    experiment.set_up_process(config)
    data: Any = experiment.build_data(config)
    task: Any = experiment.build_task(config, data)
    history = History()
    callbacks: list[Callback] = [history, Checkpoint(config.monitor, config.mode)]
    if not recording:
        callbacks = []
        data._training_windows.seen = NoDigest()
        task.log = lambda *arguments, **options: None
    with tempfile.TemporaryDirectory() as folder:
        trainer: pl.Trainer = experiment.build_trainer(config, Path(folder), *callbacks)
        trainer.limit_val_batches = 1
        with determinism.global_stream(0, "training"):
            started = time.perf_counter()
            trainer.fit(task, datamodule=data)
            if recording:
                hash_tensors(task.state_dict())
                [loss.hex() for loss in history.losses]
            return time.perf_counter() - started


if __name__ == "__main__":
    sys.exit(main())
