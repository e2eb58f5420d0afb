"""The story of one run, from a composed config to a recorded result."""

import logging
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, cast

import pytorch_lightning as pl
import torch
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pytorch_lightning.callbacks import Callback, ProgressBar
from pytorch_lightning.loggers import TensorBoardLogger

from rnnexp import console, cores, determinism, targets
from rnnexp.baselines import baseline_metrics
from rnnexp.callbacks.checkpoint import Checkpoint, CheckpointFiles
from rnnexp.callbacks.history import History
from rnnexp.config import check, instantiate
from rnnexp.data.module import DataModule
from rnnexp.errors import UserError
from rnnexp.nearest import did_you_mean
from rnnexp.nn import kernels
from rnnexp.record import (
    NOT_ITS_WEIGHTS,
    best_checkpoint,
    code_state,
    device_name,
    hash_tensors,
    now,
    peak_memory,
    read_state_dict,
    recording,
    versions,
)
from rnnexp.tasks.classification import Classification
from rnnexp.tasks.forecasting import Forecasting
from rnnexp.tasks.task import Task

TASKS: dict[str, type[Task]] = {"classification": Classification, "forecasting": Forecasting}


def run(config: DictConfig, folder: Path, **facts: Any) -> float | None:
    """Run one experiment and record it in `folder`, which must not hold a run yet.

    facts: further ones for run.json.

    Returns the monitored metric of the best checkpoint, for sweepers; None where nothing is
    monitored.

    Raises:
        UserError: a mistake in the config or the data.
        RunFailed: the training cannot go on.
    """
    with recording(folder, sys.argv) as record, ExitStack() as held:
        record.asked(config)
        config = resolve(config)
        held.enter_context(cores.claimed(config.determinism.threads))
        check(config)
        record.config(config)
        record.save(**facts_of_this_process(config), **facts)
        set_up_process(config)
        console.begin(config, folder)

        data = build_data(config)
        record.save(**data.facts())
        record.vocabulary(data.tokens)
        record.ngram_table(data.ngram_table)
        console.show(data.report())

        task = build_task(config, data)
        history, checkpoint = History(), Checkpoint(config.monitor, config.mode)
        trainer = build_trainer(config, folder, history, checkpoint)
        parameters = count_parameters(task.network)
        record.save(spec=data.spec, headline=task.headline, parameters=parameters)
        check_limits(config, data)
        check_monitor(config, task, data)
        console.show_network(type(task.network).__name__, parameters)

        try:
            with determinism.global_stream(config.seed, "training"):
                trainer.fit(task, datamodule=data)
        finally:  # an interrupted run keeps what it knows
            record.history(history.rows)
            record.save(path=cast(Any, task.network).recurrence.path)
        digest = {
            "weights/last": hash_tensors(task.state_dict()),
            "batch_order": data.batch_order,
            "losses": [loss.hex() for loss in history.losses],
        }

        for optimizer in trainer.optimizers:  # as large as the weights, or twice; nobody needs it
            optimizer.state.clear()
        started = time.perf_counter()
        if config.monitor:  # else the last weights are the best, and the task has them
            load_best(task, folder)
        metrics = test_weights(trainer, task, data)
        seconds = {
            "train": round(history.train_seconds, 3),
            "validation": round(history.validation_seconds, 3),
            "evaluation": round(time.perf_counter() - started, 3),
        }
        digest["weights/best"] = hash_tensors(task.state_dict())
        digest["predictions"] = hash_tensors(task.predictions)
        record.save(peak_memory_bytes=peak_memory())  # of training and test, not of the baselines
        with console.working(f"computing the baselines on the same {data.spec['things']}"):
            baselines = baseline_metrics(data)

        record.digest(digest)
        record.predictions(task.predictions_table(data))
        log_summary(trainer, config, metrics)
        record.metrics(metrics | baselines)
        record.save(status="completed", finished=now(), seconds=seconds)
    console.show_metrics(task, metrics, baselines)
    console.show_end(seconds, folder)
    return metrics[config.monitor] if config.monitor else None


# Before the data are read -----------------------------------------------------------------------


def resolve(config: DictConfig) -> DictConfig:
    """The config with its interpolations resolved and every `auto` decided."""
    config = config.copy()
    try:
        OmegaConf.resolve(config)
        if config.trainer.accelerator == "auto":
            config.trainer.accelerator = "gpu" if torch.cuda.is_available() else "cpu"
        if config.trainer.accelerator not in ("cpu", "gpu"):
            raise UserError(
                f"trainer.accelerator is {config.trainer.accelerator!r}: it must be auto, cpu or "
                "gpu"
            )
        if config.trainer.accelerator == "gpu" and not torch.cuda.is_available():
            raise UserError("there is no GPU that torch can use here: set trainer=cpu or auto")
        if config.trainer.get("devices", 1) != 1:
            raise UserError(
                f"trainer.devices is {config.trainer.devices!r}: a run is one process on one "
                "device, so that it can be repeated: set it to 1, and start several runs with -m"
            )
        settings = config.determinism
        if settings.threads == "auto":
            settings.threads = cores.free()
        if type(settings.threads) is not int or settings.threads < 1:
            raise UserError(
                f"determinism.threads is {settings.threads!r}: it must be auto or at least 1"
            )
        if type(settings.deterministic) is not bool:
            raise UserError(
                f"determinism.deterministic is {settings.deterministic!r}: it must be true or false"
            )
        precision = settings.get("matmul_precision", "highest")  # older runs have none
        if precision not in determinism.MATMUL_PRECISIONS:
            raise UserError(
                f"determinism.matmul_precision is {precision!r}: it must be one of "
                f"{', '.join(determinism.MATMUL_PRECISIONS)}"
            )
    except OmegaConfBaseException as error:
        raise UserError(f"the config is not whole: {str(error).splitlines()[0]}") from error
    return config


def facts_of_this_process(config: DictConfig) -> dict[str, Any]:
    """What a run stands on besides its data."""
    return {
        "versions": versions(),
        "code": code_state(),
        "device": device_name(config.trainer.accelerator),
        "kernels": kernels.description(),
        "threads": config.determinism.threads,
    }


def set_up_process(config: DictConfig) -> None:
    """Threads, algorithms and memory as the config says; Lightning's chatter off."""
    settings = config.determinism
    precision = settings.get("matmul_precision", "highest")
    determinism.prepare(settings.deterministic, settings.threads, precision)
    for name in ("pytorch_lightning", "lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # Batches are gathered whole in this process: worker processes would have nothing to do.
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    # Lightning's own calls of torch, nothing that a user could change.
    warnings.filterwarnings("ignore", message=".*LeafSpec.*is deprecated.*")
    # Short epochs, and runs without a validation span, are meant as they are.
    warnings.filterwarnings("ignore", message=".*smaller than the logging interval.*")
    warnings.filterwarnings("ignore", message=".*Total length of `list` across ranks is zero.*")


# Building ---------------------------------------------------------------------------------------


def build_data(config: DictConfig) -> DataModule:
    """The data module, read and split."""
    data = cast(DataModule, instantiate(config.data, seed=config.seed))
    data.setup("fit")
    return data


def build_task(config: DictConfig, data: DataModule) -> Task:
    """The network at its initial weights, inside its task.

    Raises:
        UserError: the task is not that of the data, or task and network refuse their settings.
    """
    _check_task(config, data)
    with determinism.global_stream(config.seed, "weights"):
        network = instantiate(config.model, spec=data.spec)
    data.initialize(network)
    return instantiate(
        config.task,
        network=network,
        spec=data.spec,
        optimizer=instantiate(config.optimizer),
        scheduler=instantiate(config.scheduler) if config.scheduler else None,
    )


def _check_task(config: DictConfig, data: DataModule) -> None:
    wanted = data.spec["task"]
    if not issubclass(targets.locate(config.task, "task"), TASKS[wanted]):
        chosen = config.task._target_.rpartition(".")[2]
        raise UserError(
            f"task is {chosen}, and the data {type(data).__name__} are for {wanted}: set "
            f"task={wanted}, or choose other data"
        )


def build_trainer(config: DictConfig, folder: Path, *callbacks: Callback) -> pl.Trainer:
    """Lightning's Trainer, with the configured logger and callbacks, and those given."""
    configured = [instantiate(node) for node in config.callbacks.values() if node]
    logger = instantiate(config.logger)(save_dir=str(folder)) if config.logger else False
    return instantiate(
        config.trainer,
        callbacks=[*configured, *callbacks],
        plugins=[CheckpointFiles()],
        logger=logger,
        default_root_dir=str(folder),
        enable_progress_bar=any(isinstance(callback, ProgressBar) for callback in configured),
        enable_checkpointing=any(isinstance(callback, Checkpoint) for callback in callbacks),
    )


def count_parameters(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)


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


# After the training -----------------------------------------------------------------------------


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


def test_weights(trainer: pl.Trainer, task: Task, data: DataModule) -> dict[str, float]:
    """Metrics of the task's weights. The test set is read here, once, at the end."""
    metrics = {}
    if data.val_dataloader():
        loggers, trainer.loggers = trainer.loggers, []  # the curve of the epochs stays as it is
        trainer.validate(task, datamodule=data, verbose=False)
        trainer.loggers = loggers
        metrics["val/loss"] = float(trainer.callback_metrics["val/loss"])
    trainer.test(task, datamodule=data, verbose=False)
    return dict(sorted({**metrics, **task.results}.items()))


def log_summary(trainer: pl.Trainer, config: DictConfig, metrics: dict[str, float]) -> None:
    """The config as text, and the hyperparameters beside the final metrics, in TensorBoard."""
    if not isinstance(trainer.logger, TensorBoardLogger):
        return
    text = OmegaConf.to_yaml(config).replace("\n", "\n    ")
    trainer.logger.experiment.add_text("config", f"    {text}")
    final = {name: value for name, value in metrics.items() if name.count("/") == 1}
    trainer.logger.log_hyperparams(hyperparameters(config), final)
    trainer.logger.finalize("success")


def hyperparameters(config: DictConfig) -> dict[str, Any]:
    """{"model.hidden_size": 192, "optimizer": "Adam", ...}: what one compares runs by, a class by
    its name alone. Left out is what only watches a run, and what run.json has as its ground."""
    groups = ("name", "mode", "logger", "paths")
    watchers = ("progress_bar", "figures", "learning_rate", "gradient_flow")
    watching = [f"callbacks.{name}" for name in watchers]
    left_out = ("_partial_", "data.root", "determinism.threads", *watching)
    plain = OmegaConf.to_container(config)
    assert isinstance(plain, dict)
    found = {
        name.removesuffix("._target_"): value.rpartition(".")[2] if "_target_" in name else value
        for name, value in _leaves({key: plain[key] for key in plain if key not in groups})
        if not any(part in name for part in left_out)
    }
    if file := found.get("data.vectors.file"):  # by its name; the one that is found needs none
        name = Path(str(file)).name
        by_itself = Path(name).match(str(found.get("data.vectors.pattern")))
        found["data.vectors.file"] = None if by_itself else name
    return found


def _leaves(tree: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if not isinstance(tree, dict):
        yield prefix, tree
        return
    for key, branch in tree.items():
        yield from _leaves(branch, f"{prefix}.{key}" if prefix else str(key))
