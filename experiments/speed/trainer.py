"""What does Lightning's Trainer cost? Times the same training steps as in a run of rnnexp, with the
Trainer alone, and with a bare loop."""

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import pandas as pd
import pytorch_lightning as pl
import torch
from omegaconf import DictConfig
from pytorch_lightning.callbacks import Callback

from experiments import study
from experiments.speed import harness
from experiments.speed.harness import Findings
from experiments.speed.timing import Stopwatch, quartiles
from rnnexp.callbacks.history import History
from rnnexp.config import compose
from rnnexp.optim.gradients import clip_grad_norm_
from rnnexp.process import determinism
from rnnexp.runs.build import build_data, build_task, build_trainer
from rnnexp.runs.settings import resolve, set_up_process

RUN, TRAINER, BARE = "as in a run", "Trainer alone", "bare loop"
TRAINING = [
    "experiment=quickstart",
    "monitor=null",
    "data.validation_fraction=0",
    "callbacks.figures=null",
    "callbacks.progress_bar=null",  # it draws only on a terminal
]
SIZES = {  # steps of a few milliseconds, and of a few tens
    "hidden 64, batch 8, 30 steps": [
        "model.hidden_size=64",
        "data.batch_size=8",
        "data.chunking.length=30",
        "trainer.max_epochs=2",
    ],
    "hidden 128, batch 64, 128 steps": [
        "model.hidden_size=128",
        "data.batch_size=64",
        "trainer.max_epochs=8",
    ],
}


QUICK_HELP = "two rounds, for trials: nothing is written"


def main(argv: Sequence[str] | None = None) -> int:
    options = harness.parser(__doc__, QUICK_HELP).parse_args(argv)
    return harness.run(options, answer, bars="trainer", place="trainer")


def answer(options: argparse.Namespace, stopwatch: Stopwatch) -> Findings:
    lines = []
    for size, overrides in SIZES.items():
        print(size, flush=True)
        training = [*TRAINING, *overrides, f"determinism.threads={torch.get_num_threads()}"]
        times = measure(training, stopwatch, rounds=2 if options.quick else 5)
        lines.append({"": size} | row(times))
    title = "Milliseconds a training step of pmGRU"
    return Findings([study.markdown_table(title, pd.DataFrame(lines))])


def measure(overrides: list[str], stopwatch: Stopwatch, rounds: int) -> pd.DataFrame:
    """Seconds per training step (rounds, contenders)."""
    contenders = {RUN: as_in_a_run, TRAINER: trainer_alone, BARE: bare_loop}
    bound = {name: partial(contender, overrides) for name, contender in contenders.items()}
    return stopwatch.in_turns(bound, rounds)


def row(times: pd.DataFrame) -> dict[str, str]:
    """Each contender's time as text, and what it adds to the bare loop's."""
    cells = {BARE: f"{1000 * times[BARE].median():.2f}"}
    for name in (TRAINER, RUN):
        added = times[name] - times[BARE]
        share = quartiles(added / times[BARE])
        cells[name] = (
            f"{1000 * times[name].median():.2f}: {1000 * added.median():+.2f}, "
            f"{share.median:+.1%} ({share.low:+.1%} to {share.high:+.1%})"
        )
    return cells


# Contenders: seconds per training step ----------------------------------------------------------


def as_in_a_run(overrides: list[str]) -> float:
    """With the loss logged at every step, TensorBoard and the history."""
    config, data, task = built(overrides)
    return trained(config, data, task, History())


def trainer_alone(overrides: list[str]) -> float:
    """Without logging, callbacks or logger."""
    config, data, task = built(overrides)
    config.logger, config.callbacks = None, {}
    task.log = lambda *arguments, **options: None
    return trained(config, data, task)


class Clock(Callback):
    """seconds: from the start to the end of the training."""

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._start = perf_counter()

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.seconds = perf_counter() - self._start


def trained(config: DictConfig, data: Any, task: Any, *callbacks: Callback) -> float:
    clock = Clock()
    with TemporaryDirectory() as folder, determinism.global_stream(0, "training"):
        trainer = build_trainer(config, Path(folder), *callbacks, clock)
        trainer.fit(task, datamodule=data)
    return clock.seconds / trainer.global_step


def bare_loop(overrides: list[str]) -> float:
    """The same batches, losses, gradients, clipping, optimiser and schedule."""
    config, data, task = built(overrides)
    loader, parameters = data.train_dataloader(), list(task.network.parameters())
    epochs = config.trainer.max_epochs
    steps = epochs * len(loader)
    optimizer = task.make_optimizer(parameters)
    scheduler = task.make_scheduler(optimizer, steps=steps)
    start = perf_counter()
    for epoch in range(epochs):
        loader.sampler.set_epoch(epoch)
        for batch in loader:
            loss = task.batch_loss(batch)
            optimizer.zero_grad()
            loss.backward()
            clip_grad_norm_(parameters, config.trainer.gradient_clip_val)
            optimizer.step()
            scheduler.step()
    return (perf_counter() - start) / steps


def built(overrides: list[str]) -> tuple[DictConfig, Any, Any]:
    """Config, data and task, with the same initial weights each time."""
    config = resolve(compose(overrides))
    set_up_process(config)
    data = build_data(config)
    return config, data, build_task(config, data)


if __name__ == "__main__":
    sys.exit(main())
