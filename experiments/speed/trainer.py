"""What does Lightning's Trainer cost? The same training steps, driven by it as in a run of rnnexp,
by it alone, and by a bare loop, in turns."""

import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import pandas as pd
import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from rich.markdown import Markdown

from experiments import study
from experiments.speed import command, machine
from experiments.speed.timing import quartiles
from rnnexp import console
from rnnexp.callbacks.history import History
from rnnexp.config import compose
from rnnexp.optim.gradients import clip_grad_norm_
from rnnexp.process import cores, determinism
from rnnexp.runs import experiment

HERE = Path(__file__).parent
RUN, TRAINER, BARE = "as in a run", "Trainer alone", "bare loop"
TRAINING = [
    "experiment=quickstart",
    "monitor=null",
    "data.validation_fraction=0",
    "callbacks.figures=null",
    "callbacks.progress_bar=null",  # which draws on a terminal alone
]
SIZES = {  # steps of some milliseconds, and of some tens
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


class Clock(Callback):
    """seconds: from the start of the training to its end."""

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._start = perf_counter()

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.seconds = perf_counter() - self._start


def main(argv: Sequence[str] | None = None) -> int:
    quick = "two rounds, to see how it works: nothing is written"
    return command.run(argv, __doc__, quick, answer)


def answer(quick: bool) -> int:
    """Measure, and write the table. Returns the exit code: 1 where the machine was not quiet."""
    threads = len(cores.available())
    determinism.prepare(deterministic=True, threads=threads)
    if not quick:
        machine.require_quiet()
    watch = machine.Watch()
    lines = []
    for size, overrides in SIZES.items():
        print(size, flush=True)
        training = [*TRAINING, *overrides, f"determinism.threads={threads}"]
        lines.append({"": size} | row(measure(training, rounds=2 if quick else 5)))
    busy = watch.others()
    title = "Milliseconds a training step of pmGRU"
    text = f"{study.markdown_table(title, pd.DataFrame(lines))}\nOn {machine.description()}."
    console.show(Markdown(text))
    if quick:
        return 0
    if busy is not None and busy > machine.OTHERS:
        print(
            f"study: README.md stays as it is: others kept {busy:.2f} cores busy", file=sys.stderr
        )
        return 1
    study.write_between_markers(HERE / "README.md", text, "trainer")
    return 0


def measure(overrides: list[str], rounds: int) -> pd.DataFrame:
    """Seconds a training step (rounds, contenders); a first round does not count."""
    contenders = {RUN: as_in_a_run, TRAINER: trainer_alone, BARE: bare_loop}
    times = []
    for number in range(rounds + 1):
        order = list(contenders)[:: 1 if number % 2 else -1]
        times.append({name: contenders[name](overrides) for name in order})
    return pd.DataFrame(times[1:])


def row(times: pd.DataFrame) -> dict[str, str]:
    """As texts: each contender's time, and what it adds to the bare loop's."""
    cells = {BARE: f"{1000 * times[BARE].median():.2f}"}
    for name in (TRAINER, RUN):
        added = times[name] - times[BARE]
        share = quartiles(added / times[BARE])
        cells[name] = (
            f"{1000 * times[name].median():.2f}: {1000 * added.median():+.2f}, "
            f"{share.median:+.1%} ({share.low:+.1%} to {share.high:+.1%})"
        )
    return cells


# Contenders: seconds a training step ------------------------------------------------------------


def as_in_a_run(overrides: list[str]) -> float:
    """The loss logged at every step, TensorBoard, the history."""
    config, data, task = built(overrides)
    return trained(config, data, task, History())


def trainer_alone(overrides: list[str]) -> float:
    """Nothing logged, no callback, no logger."""
    config, data, task = built(overrides)
    config.logger, config.callbacks = None, {}
    task.log = lambda *arguments, **options: None
    return trained(config, data, task)


def trained(config: Any, data: Any, task: Any, *callbacks: Callback) -> float:
    clock = Clock()
    with TemporaryDirectory() as folder, determinism.global_stream(0, "training"):
        trainer = experiment.build_trainer(config, Path(folder), *callbacks, clock)
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


def built(overrides: list[str]) -> tuple[Any, Any, Any]:
    """Config, data and task, at the same initial weights each time."""
    config = experiment.resolve(compose(overrides))
    experiment.set_up_process(config)
    data = experiment.build_data(config)
    return config, data, experiment.build_task(config, data)


if __name__ == "__main__":
    sys.exit(main())
