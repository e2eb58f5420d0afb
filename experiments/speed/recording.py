"""What does recording a run cost? The training of power_load_pmgru with and without it, in turns.

Recording covers every loss, the order of batches, the run history, TensorBoard's curves, two
checkpoints per epoch and the hashes of weights. Both contenders validate on one batch.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from experiments.speed import harness
from experiments.speed.harness import Findings
from experiments.speed.timing import Stopwatch
from rnnexp.callbacks.checkpoint import Checkpoint
from rnnexp.callbacks.history import History
from rnnexp.config import compose
from rnnexp.hashes import hash_tensors
from rnnexp.process import determinism
from rnnexp.runs.build import build_data, build_task, build_trainer
from rnnexp.runs.settings import resolve, set_up_process

RECORDED, BARE = "with recording", "without"


def main(argv: Sequence[str] | None = None) -> int:
    parser = harness.parser(__doc__, "one round, for trials: nothing is expected")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("overrides", metavar="KEY=VALUE", nargs="*", help="as for rnnexp train")
    return harness.run(parser.parse_args(argv), answer, bars="recording")


def answer(options: argparse.Namespace, stopwatch: Stopwatch) -> Findings:
    experiment = ["experiment=power_load_pmgru", "trainer.max_epochs=2", "monitor=val/smape"]
    overrides = [*experiment, *options.overrides]
    contenders = {
        name: partial(train, overrides, recording=name == RECORDED) for name in (RECORDED, BARE)
    }
    times = stopwatch.in_turns(contenders, 1 if options.quick else options.rounds)
    cost = (times[RECORDED] / times[BARE] - 1).median()
    recorded, bare = times.median()
    sentence = f"with recording {recorded:.2f} s, without {bare:.2f} s: {100 * cost:+.1f} %"
    return Findings([sentence], {"time of recording to time of training": cost})


class NoDigest:
    """Replaces the hash of the batch order."""

    def update(self, numbers: bytes) -> None:
        """Ignore the numbers."""

    def hexdigest(self) -> str:
        return ""


def train(overrides: list[str], recording: bool) -> float:
    """Seconds of one training, including its recording."""
    silent = ["callbacks.progress_bar=null", "callbacks.figures=null"]
    config = resolve(compose([*overrides, *silent]))
    if not recording:
        config.logger = config.callbacks.learning_rate = None
    set_up_process(config)
    data: Any = build_data(config)
    task: Any = build_task(config, data)
    history = History()
    callbacks: list[Callback] = [history, Checkpoint(config.monitor, config.mode)]
    if not recording:
        callbacks = []
        data.training_windows.seen = NoDigest()
        task.log = lambda *arguments, **options: None
    with tempfile.TemporaryDirectory() as folder:
        trainer: pl.Trainer = build_trainer(config, Path(folder), *callbacks)
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
