"""One run, from a composed config to a recorded result."""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from omegaconf import DictConfig
from pytorch_lightning.callbacks import Callback

from rnnexp import console
from rnnexp.callbacks.loggers import mlflow, wandb
from rnnexp.config import check
from rnnexp.config.targets import added_packages
from rnnexp.data.loading.module import DataModule
from rnnexp.hashes import hash_tensors
from rnnexp.process import cores
from rnnexp.process.code import installed
from rnnexp.process.memory import enough_memory, peak_memory
from rnnexp.runs.board.summary import log_summary
from rnnexp.runs.build import (
    build_data,
    build_task,
    check_logger,
    close_loggers,
    load_best,
    task_class,
)
from rnnexp.runs.folder.record import RunRecord, recording
from rnnexp.runs.parallel import devices
from rnnexp.runs.results import results, tested
from rnnexp.runs.settings import (
    AUTO,
    facts_of_this_process,
    resolve,
    set_up_process,
    with_monitor,
)
from rnnexp.runs.start import Start
from rnnexp.runs.training import train
from rnnexp.streams import guarded
from rnnexp.tables import counted
from rnnexp.tasks.baseline_cache import BaselineCache, baseline_metrics
from rnnexp.tasks.task import Task


@guarded()
def run(
    config: DictConfig,
    folder: Path,
    start: Start | None = None,
    callbacks: Sequence[Callback] = (),
    **facts: Any,
) -> float | None:
    """Run one experiment and record it in `folder`, which must not hold a run yet.

    start: a checkpoint of another run from which this one goes on. callbacks: beside those of the
    config; they may not change the result. facts: further entries of run.json.

    Returns the monitored metric of the best checkpoint, for sweepers; None if no metric is
    monitored.

    Raises:
        UserError: the config or the data are wrong, or the folder already holds a run.
        CannotRerun: the run cannot go on from `start`.
        RunFailed: the training cannot continue.
        Pruned: a callback has ended the training.
    """
    argv = facts.pop("argv", sys.argv)
    with recording(folder, argv, config, **facts) as record:
        if start:
            start.copy_into(folder)
        return conduct(record, config, start, callbacks)


def conduct(
    record: RunRecord,
    config: DictConfig,
    start: Start | None = None,
    callbacks: Sequence[Callback] = (),
) -> float | None:
    """Conduct the experiment of a record, from its beginning or from a checkpoint.

    Raises and returns: as `run`.
    """
    with ExitStack() as held:
        held.enter_context(showing_how_to_go_on(record.folder))
        held.enter_context(enough_memory())
        asked, config = config, resolve(config)
        held.enter_context(cores.claimed(config.determinism.threads * devices(config)))
        config, data = prepare(record, asked, config)
        task = build_task(config, data)
        trainer, history = train(record, config, task, data, start, callbacks)
        held.callback(close_loggers, trainer)
        digest = {
            "weights/last": hash_tensors(task.state_dict()),
            "batch_order": data.batch_order,
            "losses": [loss.hex() for loss in history.losses],
        }

        for optimizer in trainer.optimizers:  # frees one or two times the size of the weights
            optimizer.state.clear()
        started = time.perf_counter()
        if config.monitor:  # else the task already has the weights to test
            load_best(task, record.folder)
        metrics = test_weights(trainer, task, data)
        seconds = {
            "train": round(history.train_seconds, 3),
            "validation": round(history.validation_seconds, 3),
            "evaluation": round(time.perf_counter() - started, 3),
        }
        digest["weights/best"] = hash_tensors(task.state_dict())
        digest["predictions"] = hash_tensors(task.predictions)
        record.save(peak_memory_bytes=peak_memory())  # before the baselines, which are not counted
        with console.working(f"computing the baselines on the same {data.spec.things}"):
            # A repetition that read them from the cache of the run would show nothing.
            cache = BaselineCache(console.show, reads="rerun_of" not in record.run)
            baselines = baseline_metrics(task, data, cache)

        record.digest(digest)
        record.predictions(task.predictions_table(data))
        log_summary(trainer, config, task, data, metrics, record.run)
        record.metrics(metrics | baselines)
        record.completed(seconds=seconds)
    console.show(*results(task, metrics, baselines, tested(config)))
    show_end(seconds, record.folder)
    return metrics[config.monitor] if config.monitor else None


def prepare(
    record: RunRecord, asked: DictConfig, config: DictConfig
) -> tuple[DictConfig, DataModule]:
    """Set up the process and read the data.

    Returns the resolved config without any `auto`, and the data module.
    """
    check(config)
    check_logger(config)
    record.config(config)
    record.save(**facts_of_this_process(config))
    if packages := task_class(config).baseline_packages(config.task):
        record.save(baseline_versions=installed(packages))
    set_up_process(config)
    show_begin(config, record.folder)

    data = build_data(config)
    record.save(**data.facts())
    record.kept(data.kept())
    console.show(*data.report())
    if config.data.get("on_device") == AUTO:
        config.data.on_device = data.source.on_device
        record.config(config)
    if config.monitor == AUTO:
        monitor, why = task_class(config).auto_monitor(data)
        config = with_monitor(asked, config, monitor)
        record.config(config)
        console.show(*filter(None, [why]))
    return config, data


def test_weights(trainer: pl.Trainer, task: Task, data: DataModule) -> dict[str, float]:
    """Validate and test the task's current weights: the only use of the test set in a run.

    Returns the metrics by name: `test/smape`, ..., and `val/loss` if there are validation data.
    """
    metrics = {}
    if data.val_dataloader():
        loggers, trainer.loggers = trainer.loggers, []  # keep the logged curve by epoch
        trainer.validate(task, datamodule=data, verbose=False)
        trainer.loggers = loggers
        if "val/loss" in trainer.callback_metrics:
            metrics["val/loss"] = float(trainer.callback_metrics["val/loss"])
    trainer.test(task, datamodule=data, verbose=False)
    return dict(sorted({**metrics, **task.results}.items()))


# Console output ---------------------------------------------------------------------------------


def show_begin(config: DictConfig, folder: Path) -> None:
    threads, processes = config.determinism.threads, devices(config)
    machine = f"{config.trainer.accelerator}, {counted(threads, 'thread')}"
    if processes > 1:
        machine = f"{processes} processes of {machine}"
    console.show(f"{config.name}  seed {config.seed}, {machine} -> {console.from_here(folder)}")


def show_end(seconds: dict[str, float], folder: Path) -> None:
    """Show where the time went, where the results are, and which commands to type next."""
    console.show(
        f"training {seconds['train']:.1f} s, validation {seconds['validation']:.1f} s, "
        f"evaluation {seconds['evaluation']:.1f} s"
    )
    place = console.from_here(folder)
    console.show_line(f"run folder   {place}")
    for words in to_look_at(place):
        console.show_line(f"look at it   {words}")
    console.show_line(f"a page       {to_type('report', folder)}")
    console.show_line(f"test again   {to_type('test', folder)}")
    console.show_line(f"repeat it    {to_type('rerun', folder)}")


def to_look_at(place: Path) -> Iterator[str]:
    """What to type to look at what a run's logger has written. place: the run folder."""
    if (place / "tensorboard").exists():
        yield console.command("rnnexp", "board", place)
    if (kept := place / mlflow.PLACE).exists():
        ui = console.command("mlflow", "ui", "--backend-store-uri", kept)
        yield f"{mlflow.ALLOWED}=true {ui}  # after pip install mlflow"
    if parts := sorted((place / wandb.PLACE).glob("offline-run-*")):
        yield f"{console.command('wandb', 'sync', *parts)}  # sends it to your account"


def to_type(command: str, folder: Path, *options: object) -> str:
    """What to type for a command on the folder of a run or a sweep."""
    allow = [word for package in added_packages() for word in ("--allow", package)]
    return console.command("rnnexp", command, console.from_here(folder), *options, *allow)


@contextmanager
def showing_how_to_go_on(folder: Path) -> Iterator[None]:
    """Show which command goes on with the run if the block is interrupted."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):  # Lightning turns Ctrl-C into SystemExit
        console.show_line(f"go on        {to_type('resume', folder)}")
        raise
