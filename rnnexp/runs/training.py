"""The training of a run."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import pytorch_lightning as pl
from omegaconf import DictConfig, open_dict
from pytorch_lightning.callbacks import Callback

from rnnexp import console
from rnnexp.callbacks.checkpoint import Checkpoint
from rnnexp.callbacks.history import History
from rnnexp.callbacks.step_loss import StepLoss
from rnnexp.data.loading.module import DataModule
from rnnexp.process import determinism
from rnnexp.process.group import Member, rank_and_size
from rnnexp.runs.board.summary import log_layout
from rnnexp.runs.build import (
    build_data,
    build_task,
    build_trainer,
    check_limits,
    check_monitor,
    count_parameters,
    path_of,
)
from rnnexp.runs.folder.record import RunRecord
from rnnexp.runs.parallel import check_equal, check_shares, devices, on_one_device, other_processes
from rnnexp.runs.settings import set_up_process
from rnnexp.runs.start import Start, read_start
from rnnexp.tables import counted
from rnnexp.tasks.task import Task


def train(
    record: RunRecord,
    config: DictConfig,
    task: Task,
    data: DataModule,
    start: Start | None,
    callbacks: Sequence[Callback],
) -> tuple[pl.Trainer, History]:
    """Train the task, from its initial weights or from a checkpoint.

    Returns a trainer for the test, and the history.
    """
    label = record.run.get("label")
    named = str(label or f"seed {config.seed}")
    whole = named if named.startswith(f"{config.name}_") else f"{config.name}, {named}"
    history = History(whole, record.history)
    checkpoint = Checkpoint(
        config.monitor, config.mode, config.checkpoint, history, record.interruption
    )
    if start:
        start.check(record, task)
        start.replay(data)
        start.cut_event_files(record.folder)
        record.goes_on(**start.facts())
        console.show(start.sentence(config))
    record.save(
        spec=data.spec.to_plain(),
        headline=[one.to_plain() for one in task.headline],
        parameters=count_parameters(task.network),
    )
    check_limits(config, data)
    check_monitor(config, task, data)
    console.show(
        f"{type(task.network).__name__}: {counted(count_parameters(task.network), 'parameter')}"
    )
    if devices(config) > 1:
        check_shares(task, data)

    with ExitStack() as held:
        held.enter_context(other_processes(config, take_part, start.folder if start else None))
        held.enter_context(record.interruption.delayed())
        trainer = fit(
            config, record.folder, task, data, start, history, checkpoint, callbacks, label
        )
    record.save(path=path_of(task.network))
    if devices(config) > 1:
        trainer = build_trainer(on_one_device(config), record.folder, history, label=label)
    return trainer, history


def take_part(member: Member, config: DictConfig, start_folder: Path | None) -> None:
    """Train in another process of the same run, which writes into a folder that is dropped."""
    set_up_process(config)
    data = build_data(config)
    task = build_task(config, data)
    start = read_start(start_folder) if start_folder else None
    if start:
        start.replay(data)
    history = History()
    checkpoint = Checkpoint(config.monitor, config.mode, config.checkpoint, history)
    with open_dict(config):
        config.trainer.profiler = None  # it would print
    with member.joined():
        folder = member.place / f"run_{member.rank}"
        folder.mkdir()
        fit(config, folder, task, data, start, history, checkpoint)


def fit(
    config: DictConfig,
    folder: Path,
    task: Task,
    data: DataModule,
    start: Start | None,
    history: History,
    checkpoint: Checkpoint,
    callbacks: Sequence[Callback] = (),
    label: str | None = None,
) -> pl.Trainer:
    """What every process of a run does in the training."""
    trainer = build_trainer(
        config,
        folder,
        *(history, StepLoss(history), checkpoint, *callbacks),
        label=label,
        start=start.checkpoint if start else None,
    )
    rank, _ = rank_and_size()
    stream = ("training", rank) if rank else ("training",)
    check_equal(task, "before the training")
    with ExitStack() as held:
        held.enter_context(determinism.global_stream(config.seed, *stream))
        if start:
            held.enter_context(start.read_by(checkpoint))
        else:
            log_layout(trainer)
        trainer.fit(task, datamodule=data, ckpt_path=str(start.path) if start else None)
    check_equal(task, "after the training")
    return trainer
