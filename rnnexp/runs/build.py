"""From a resolved config to the objects of a run."""

from pathlib import Path
from typing import cast

import pytorch_lightning as pl
import torch
from omegaconf import DictConfig
from pytorch_lightning.callbacks import Callback, ProgressBar

from rnnexp.callbacks.checkpoint import Checkpoint, CheckpointFiles
from rnnexp.config import instantiate, targets
from rnnexp.data.loading.module import DataModule
from rnnexp.data.source import Source
from rnnexp.errors import UserError
from rnnexp.nearest import did_you_mean
from rnnexp.process import determinism
from rnnexp.runs.folder.reading import NOT_ITS_WEIGHTS, best_checkpoint, read_state_dict
from rnnexp.tasks.task import Task


def task_class(config: DictConfig) -> type[Task]:
    """The class of a config's task.

    Raises:
        UserError: the config names another class, or one that is not whole.
    """
    found = targets.locate(config.task, "task")
    if not issubclass(found, Task):
        raise UserError(f"task._target_: {config.task._target_} is not a task")
    for name in ("sources", "spec_class", "data_module"):
        if not hasattr(found, name):
            raise UserError(
                f"task._target_: {config.task._target_} must say {name} (rnnexp.tasks.task.Task)"
            )
    return found


def data_module(config: DictConfig) -> DataModule:
    """The data module of a config's task over its source of data; nothing is read yet.

    Raises:
        UserError: the task cannot be fed from this source.
    """
    task = task_class(config)
    source: Source = instantiate(config, "data", seed=config.seed)
    if not isinstance(source, task.sources):
        raise UserError(
            f"task is {task.__name__}, and the data {type(source).__name__} are for "
            f"{source.task}: set task={source.task}, or choose other data"
        )
    return task.data_module(source)


def build_data(config: DictConfig) -> DataModule:
    """The data module, read and split."""
    data = data_module(config)
    data.setup("fit")
    return data


def build_task(config: DictConfig, data: DataModule) -> Task:
    """The network at its initial weights, inside its task.

    Raises:
        UserError: task and network refuse their settings.
    """
    with determinism.global_stream(config.seed, "weights"):
        network = instantiate(config, "model", spec=data.spec)
    data.initialize(network)
    return cast(
        Task,
        instantiate(
            config,
            "task",
            network=network,
            spec=data.spec,
            optimizer=instantiate(config, "optimizer"),
            scheduler=instantiate(config, "scheduler") if config.scheduler else None,
        ),
    )


def build_trainer(config: DictConfig, folder: Path, *callbacks: Callback) -> pl.Trainer:
    """Lightning's Trainer, with the configured logger and callbacks, and those given."""
    configured = [
        instantiate(config, f"callbacks.{name}") for name, node in config.callbacks.items() if node
    ]
    logger = instantiate(config, "logger")(save_dir=str(folder)) if config.logger else False
    return instantiate(
        config,
        "trainer",
        callbacks=[*configured, *callbacks],
        plugins=[CheckpointFiles()],
        logger=logger,
        default_root_dir=str(folder),
        enable_progress_bar=any(isinstance(callback, ProgressBar) for callback in configured),
        enable_checkpointing=any(isinstance(callback, Checkpoint) for callback in callbacks),
    )


def count_parameters(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)


def path_of(network: torch.nn.Module) -> str | None:
    """Which code runs the network's recurrence; None where it does not say so."""
    return getattr(getattr(network, "recurrence", None), "path", None)


def check_limits(config: DictConfig, data: DataModule) -> None:
    """Refuse trainer.limit_PART_batches that leaves no batch of a part.

    Raises:
        UserError: it is 0, or too small a part of the batches that there are.
    """
    loaders = (data.train_dataloader(), data.val_dataloader(), data.test_dataloader())
    for part, loader in zip(("train", "val", "test"), loaders, strict=True):
        limit = config.trainer.get(f"limit_{part}_batches")
        batches = limit * len(loader) if isinstance(limit, float) else limit
        if loader and batches is not None and batches < 1:
            raise UserError(
                f"trainer.limit_{part}_batches={limit} leaves no batch of {len(loader)}: raise it"
            )


def check_monitor(config: DictConfig, task: Task, data: DataModule) -> None:
    """Refuse to train for a metric that there will not be.

    Raises:
        UserError: nothing is validated, or the validation has no such metric.
    """
    if config.monitor is None:
        return
    if not data.val_dataloader():
        raise UserError(
            f"monitor={config.monitor} needs data to validate on: set monitor=null to keep the "
            "last checkpoint, or a larger data.validation_fraction"
        )
    if config.monitor not in task.monitors:
        offer = did_you_mean(config.monitor, task.monitors)
        raise UserError(f"monitor={config.monitor} is not validated{offer}")


def load_best(task: Task, folder: Path) -> None:
    """Give the task the weights of the run's best checkpoint.

    Raises:
        UserError: they are not those of its network.
    """
    checkpoint = best_checkpoint(folder)
    try:
        task.load_state_dict(read_state_dict(checkpoint))
    except RuntimeError as error:  # of other names or sizes
        raise UserError(NOT_ITS_WEIGHTS.format(checkpoint)) from error
