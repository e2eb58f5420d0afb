"""The story of one run, from a composed config to a recorded result."""

import logging
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from omegaconf import DictConfig, OmegaConf, open_dict
from pytorch_lightning.callbacks import ProgressBar
from pytorch_lightning.loggers import TensorBoardLogger

from rnnexp import console, determinism
from rnnexp.baselines import baseline_metrics
from rnnexp.callbacks.history import History
from rnnexp.config import check, instantiate
from rnnexp.record import (
    best_checkpoint,
    device_name,
    hash_tensors,
    now,
    read_checkpoint,
    recording,
)


def run(config: DictConfig, folder: Path) -> float | None:
    """Run one experiment and record it in `folder`, which must not hold a run yet.

    Returns the monitored metric of the best checkpoint, for sweepers; None where nothing is
    monitored.

    Raises:
        UserError: a mistake in the config or the data.
        RunFailed: the training cannot go on.
    """
    with recording(folder, sys.argv) as record:
        config = resolve(config)
        check(config)
        record.config(config)
        set_up_process(config)
        console.begin(config, folder)

        data = build_data(config)
        record.save(device=device_name(config.trainer.accelerator), **data.facts())
        console.show(data.report())

        task = build_task(config, data)
        history, trainer = History(), build_trainer(config, folder)
        trainer.callbacks.append(history)
        record.save(spec=data.spec, parameters=count_parameters(task.network))
        console.show_network(task.network)

        with determinism.global_stream(config.seed, "training"):
            trainer.fit(task, datamodule=data)
        record.history(history.rows)
        digest = {
            "weights/last": hash_tensors(task.state_dict()),
            "batch_order": data.batch_order,
            "losses": [loss.hex() for loss in history.losses],
        }

        started = time.perf_counter()
        metrics = test_best(trainer, task, data, folder)
        test_seconds = time.perf_counter() - started
        digest["weights/best"] = hash_tensors(task.state_dict())
        digest["predictions"] = hash_tensors(task.predictions)
        with console.working("computing the baselines on the same windows"):
            baselines = baseline_metrics(data)

        record.digest(digest)
        record.predictions(task.predictions_table(data))
        record.metrics(metrics | baselines)
        log_summary(trainer, config, metrics)
        record.save(
            status="completed",
            finished=now(),
            seconds={
                "train": round(history.train_seconds, 3),
                "validation": round(history.validation_seconds, 3),
                "test": round(test_seconds, 3),
            },
        )
        console.show_metrics(task, metrics, baselines)
        console.show_end(record.run, folder)
        return metrics.get(config.monitor) if config.monitor else None


# Before the data are read -----------------------------------------------------------------------


def resolve(config: DictConfig) -> DictConfig:
    """The config with its interpolations resolved and every `auto` decided."""
    config = config.copy()
    OmegaConf.resolve(config)
    with open_dict(config):
        if config.trainer.accelerator == "auto":
            config.trainer.accelerator = "gpu" if torch.cuda.is_available() else "cpu"
        if config.determinism.threads == "auto":
            config.determinism.threads = determinism.available_cores()
    return config


def set_up_process(config: DictConfig) -> None:
    """Threads, algorithms and memory as the config says; Lightning's chatter off."""
    determinism.prepare(config.determinism.deterministic, config.determinism.threads)
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


def build_data(config: DictConfig) -> pl.LightningDataModule:
    """The data module, read and split."""
    data = instantiate(config.data)
    data.setup()
    return data


def build_task(config: DictConfig, data: pl.LightningDataModule) -> pl.LightningModule:
    """The network at its initial weights, inside its task."""
    with determinism.global_stream(config.seed, "weights"):
        network = instantiate(config.model, spec=data.spec)
    return instantiate(
        config.task,
        network=network,
        spec=data.spec,
        optimizer=instantiate(config.optimizer),
        scheduler=instantiate(config.scheduler) if config.scheduler else None,
    )


def build_trainer(config: DictConfig, folder: Path) -> pl.Trainer:
    """Lightning's Trainer, with the configured callbacks and logger."""
    callbacks = [instantiate(node) for node in config.callbacks.values() if node]
    logger = instantiate(config.logger)(save_dir=str(folder)) if config.logger else False
    return instantiate(
        config.trainer,
        callbacks=callbacks,
        logger=logger,
        default_root_dir=str(folder),
        enable_progress_bar=any(isinstance(callback, ProgressBar) for callback in callbacks),
    )


def count_parameters(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)


# After the training -----------------------------------------------------------------------------


def load_best(task: pl.LightningModule, folder: Path) -> None:
    """Give the task the weights of the run's best checkpoint."""
    task.load_state_dict(read_checkpoint(best_checkpoint(folder))["state_dict"])


def test_best(
    trainer: pl.Trainer, task: pl.LightningModule, data: pl.LightningDataModule, folder: Path
) -> dict[str, float]:
    """Metrics of the best checkpoint. The test set is read here, once, at the end."""
    load_best(task, folder)
    if data.val_dataloader():
        trainer.validate(task, datamodule=data, verbose=False)
    trainer.test(task, datamodule=data, verbose=False)
    return dict(sorted(task.results.items()))


def log_summary(trainer: pl.Trainer, config: DictConfig, metrics: dict[str, float]) -> None:
    """The config as text, and the hyperparameters beside the final metrics, in TensorBoard."""
    if not isinstance(trainer.logger, TensorBoardLogger):
        return
    text = OmegaConf.to_yaml(config).replace("\n", "\n    ")
    trainer.logger.experiment.add_text("config", f"    {text}")
    final = {name: value for name, value in metrics.items() if name.count("/") == 1}
    trainer.logger.log_hyperparams(_flat(config), final)
    trainer.logger.finalize("success")


def _flat(config: Any, prefix: str = "") -> dict[str, Any]:
    """{"model.hidden_size": 192, ...}: the leaves of a config by their full names."""
    leaves: dict[str, Any] = {}
    for key, value in OmegaConf.to_container(config).items() if not prefix else config.items():
        name = f"{prefix}{key}"
        leaves |= _flat(value, f"{name}.") if isinstance(value, dict) else {name: value}
    return leaves
