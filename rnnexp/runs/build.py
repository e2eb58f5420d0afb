"""Builds the objects of a run from its resolved config."""

import warnings
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.callbacks import Callback, ProgressBar
from pytorch_lightning.loggers import Logger, TensorBoardLogger

from rnnexp.callbacks.checkpoint import Checkpoint, CheckpointFiles
from rnnexp.callbacks.checkpoint_names import BEST
from rnnexp.callbacks.loggers.mlflow import Mlflow
from rnnexp.callbacks.loggers.offline import check_installed
from rnnexp.callbacks.loggers.wandb import Wandb
from rnnexp.config import instantiate, targets
from rnnexp.config.schema import plain
from rnnexp.data.loading.module import DataModule, Spec
from rnnexp.data.source import Source
from rnnexp.errors import UserError
from rnnexp.nearest import did_you_mean
from rnnexp.process import determinism
from rnnexp.process.memory import check_memory, release_freed_memory
from rnnexp.runs.folder.reading import CHECKPOINT_MISMATCH, best_checkpoint, read_state_dict
from rnnexp.runs.folder.tensors import mismatch
from rnnexp.runs.parallel import DataParallel, devices
from rnnexp.tasks.task import Task

# The argument that names a run.
LABELS: dict[type[Logger], str] = {TensorBoardLogger: "sub_dir", Mlflow: "label", Wandb: "label"}


def task_class(config: DictConfig) -> type[Task]:
    """The task class that a config names.

    Raises:
        UserError: the class is not a `Task`, or does not implement all of it.
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


def check_task(config: DictConfig) -> None:
    """Check that the task of a config accepts its settings, its network and source of data. Nothing
    is built.

    Raises:
        UserError: it does not.
    """
    task, source = task_class(config), targets.locate(config.data, "data")
    if not issubclass(source, Source):
        raise UserError(f"data._target_: {config.data._target_} is not a source of data")
    if not issubclass(source, task.sources):
        raise UserError(
            f"the task {task.__name__} cannot use the data {source.__name__}: omit task=..., which "
            f"follows from the data (here {source.task}), or choose other data"
        )
    task.check_settings(config.task)
    task.check_network(targets.locate(config.model, "model"), config.task)


def check_data(config: DictConfig) -> None:
    """Check the settings of the source of data, before a run has a folder. One of the user's own
    classes may read in its constructor, so it is not built here.

    Raises:
        UserError: a setting is wrong.
    """
    if not targets.is_added(targets.locate(config.data, "data").__module__):
        instantiate(config, "data", seed=config.seed)


def data_module(config: DictConfig) -> DataModule:
    """The data module of a config's task and data source. Nothing is read yet.

    Raises:
        UserError: the task does not accept this source.
    """
    check_task(config)
    source: Source = instantiate(config, "data", seed=config.seed)
    return task_class(config).data_module(source)


def build_data(config: DictConfig) -> DataModule:
    """The data module, with its data read and split. With them data.on_device=auto is decided.

    Raises:
        UserError: the data cannot be read, or the task does not accept their source.
    """
    data = data_module(config)
    data.setup("fit")
    release_freed_memory()  # of the texts, which took more than what is kept
    if config.trainer.accelerator == "gpu":
        data.decide_on_device()
    return data


def outline(config: DictConfig, spec: Spec) -> torch.nn.Module | None:
    """The network of a config without memory for its weights, on the device `meta`: names, shapes
    and types. None if a class of the user's own is part of it, which may compute with its weights.

    Raises:
        UserError: a setting of the network or the spec is wrong.
    """
    nodes = targets.nodes(plain(config.model), "model")
    if any(targets.is_added(targets.locate(node, key).__module__) for key, node in nodes):
        return None
    try:
        with torch.random.fork_rng(), torch.device("meta"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch, about sizes of 0
            network: torch.nn.Module = instantiate(config, "model", spec=spec)
    except (RuntimeError, OverflowError) as error:  # e.g. sizes beyond 2^63
        line = str(error).partition("\n")[0]
        raise UserError(f"model: a network of these sizes cannot be built ({line})") from error
    if not isinstance(network, torch.nn.Module):
        raise UserError(f"model._target_: {config.model._target_} is not a network")
    return network


def build_network(config: DictConfig, spec: Spec) -> torch.nn.Module:
    """The network with its initial weights.

    Raises:
        UserError: a setting of the network is wrong.
        RunFailed: its weights do not fit into the memory.
    """
    planned = outline(config, spec)
    if planned is not None:
        check_memory(sum(x.numel() * x.element_size() for x in planned.state_dict().values()))
    network: torch.nn.Module = instantiate(config, "model", spec=spec)
    return network


def build_task(config: DictConfig, data: DataModule) -> Task:
    """The task, and in it the network with its initial weights.

    Raises:
        UserError: a setting of the task or the network is wrong.
        RunFailed: the network does not fit into the memory.
    """
    with determinism.global_stream(config.seed, "weights"):
        network = build_network(config, data.spec)
    data.initialize(network)
    task: Task = instantiate(
        config,
        "task",
        network=network,
        spec=data.spec,
        optimizer=instantiate(config, "optimizer"),
        scheduler=instantiate(config, "scheduler") if config.scheduler else None,
    )
    task.monitor = config.monitor
    return task


def build_trainer(
    config: DictConfig,
    folder: Path,
    *callbacks: Callback,
    label: str | None = None,
    start: dict[str, Any] | None = None,
) -> pl.Trainer:
    """Lightning's Trainer with the configured logger and callbacks, and with `callbacks`.

    label: the name of the run in the logger; TensorBoard names a run after its folder. start: the
    checkpoint from which the training goes on.
    """
    config = _in_folder(config, folder)
    configured = [
        instantiate(config, f"callbacks.{name}") for name, node in config.callbacks.items() if node
    ]
    logger: Logger | bool = False
    if config.logger:
        kind = targets.locate(config.logger, "logger")
        named = {key: label for known, key in LABELS.items() if label and issubclass(kind, known)}
        logger = instantiate(config, "logger")(save_dir=str(folder), **named)
        place = getattr(logger, "log_dir", None) or folder
        if not Path(place).resolve().is_relative_to(folder.resolve()):
            raise UserError(f"logger: it would write to {place}, but {targets.OWN_FOLDER}")
    return instantiate(
        config,
        "trainer",
        strategy=DataParallel() if devices(config) > 1 else "auto",
        callbacks=[*configured, *callbacks],
        plugins=[CheckpointFiles(folder, start)],
        logger=logger,
        default_root_dir=str(folder),
        enable_progress_bar=any(isinstance(callback, ProgressBar) for callback in configured),
        enable_checkpointing=any(isinstance(callback, Checkpoint) for callback in callbacks),
    )


def close_loggers(trainer: pl.Trainer) -> None:
    """End what a logger keeps running beside the run."""
    for logger in trainer.loggers:
        if isinstance(logger, Wandb):
            logger.close()


def check_logger(config: DictConfig) -> None:
    """Check that the logger of a config can be used here, before the data are read.

    Raises:
        UserError: its package is not installed.
    """
    if config.logger:
        kind = targets.locate(config.logger, "logger")
        if issubclass(kind, (Mlflow, Wandb)):
            check_installed(kind.__name__.lower())


def _in_folder(config: DictConfig, folder: Path) -> DictConfig:
    """The config with every `dirpath` of Lightning's classes as a folder in that of the run."""
    tree = plain(config)
    for _, node in targets.nodes(tree, ""):
        if node["_target_"] in targets.LIGHTNING and node.get("dirpath") is not None:
            node["dirpath"] = str(folder / node["dirpath"])
    return OmegaConf.create(tree)


def count_parameters(network: torch.nn.Module) -> int:
    """The number of trainable parameters."""
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)


def path_of(network: torch.nn.Module) -> str | None:
    """The paths that the network's recurrence has taken, such as `fused`, or `fused, torch` if it
    tests on another one than it trains; None if the network has none."""
    recurrence = getattr(network, "recurrence", None)
    return ", ".join(sorted(getattr(recurrence, "used", ()))) or getattr(recurrence, "path", None)


def check_limits(config: DictConfig, data: DataModule) -> None:
    """Check that trainer.limit_PART_batches leaves at least one batch of each part, and that an
    epoch has a validation.

    Raises:
        UserError: a limit is 0, or a fraction that amounts to less than one batch; or
            trainer.val_check_interval is more batches than an epoch has.
    """
    loaders = (data.train_dataloader(), data.val_dataloader(), data.test_dataloader())
    for part, loader in zip(("train", "val", "test"), loaders, strict=True):
        limit = config.trainer.get(f"limit_{part}_batches")
        batches = limit * len(loader) if isinstance(limit, float) else limit
        if loader and batches is not None and batches < 1:
            raise UserError(
                f"trainer.limit_{part}_batches={limit} leaves no batch of {len(loader)}: raise it"
            )
    _check_interval(config, len(loaders[0]))


def _check_interval(config: DictConfig, batches: int) -> None:
    interval, limit = (config.trainer.get(k) for k in ("val_check_interval", "limit_train_batches"))
    if type(interval) is not int or config.trainer.get("check_val_every_n_epoch", 1) is None:
        return
    if limit is not None:
        batches = int(limit * batches) if isinstance(limit, float) else min(limit, batches)
    if interval > batches:
        raise UserError(
            f"trainer.val_check_interval is {interval}, and an epoch has {batches} batches: lower "
            "it, or set trainer.check_val_every_n_epoch=null to count the batches of all epochs"
        )


def check_monitor(config: DictConfig, task: Task, data: DataModule) -> None:
    """Check that validation will compute the monitored metric.

    Raises:
        UserError: there are no validation data, or validation has no such metric.
    """
    if config.monitor is None:
        return
    if not data.val_dataloader():
        raise UserError(
            f"monitor={config.monitor} needs validation data: set monitor=null to keep the last "
            "checkpoint, or increase data.validation_fraction"
        )
    if config.monitor not in task.monitors:
        offer = did_you_mean(config.monitor, task.monitors)
        raise UserError(f"monitor={config.monitor} is not a validation metric{offer}")
    directions = {f"val/{metric.name}": metric.lower_is_better for metric in task.all_metrics}
    mode = "min" if directions.get(config.monitor, True) else "max"
    if config.mode != mode:
        raise UserError(
            f"mode is {config.mode}, but of {config.monitor} the best value is the {mode}imum: set "
            f"mode={mode}"
        )


def load_best(task: Task, folder: Path) -> None:
    """Load the weights of the run's best checkpoint into the task.

    Raises:
        UserError: there is no checkpoint, it does not match the network, or there is none of a
            validation that would have chosen it.
    """
    checkpoint = best_checkpoint(folder)
    if task.monitor and checkpoint.name != BEST:
        raise UserError(
            f"monitor={task.monitor} chose no checkpoint, because the run ended before a "
            "validation: let it train longer or validate more often, or set monitor=null"
        )
    state = read_state_dict(checkpoint)
    if wrong := mismatch(task, state):
        raise UserError(CHECKPOINT_MISMATCH.format(checkpoint, wrong))
    for name, mine in task.state_dict(keep_vars=True).items():  # trainer.precision=64 has float64
        mine.data = mine.data.to(state[name].dtype)
    task.load_state_dict(state)
