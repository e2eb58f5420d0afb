"""The settings of a run that are decided when it starts: those of its process before the data are
read; the monitored metric, and whether a GPU holds the data, after."""

import logging
import math
import warnings
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import torch
from omegaconf import DictConfig, ListConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from rnnexp import console
from rnnexp.errors import UserError
from rnnexp.nn.fast import choices
from rnnexp.nn.fast.cards import auto_path
from rnnexp.nn.fast.kernels import KERNELS
from rnnexp.nn.fast.native.build import compiler_version, why_not
from rnnexp.process import cores, determinism
from rnnexp.process.code import versions
from rnnexp.process.machine import device_name
from rnnexp.runs.folder.provenance import code_state
from rnnexp.runs.parallel import devices
from rnnexp.runs.trainer import check_trainer

AUTO = "auto"


def resolve(config: DictConfig) -> DictConfig:
    """The config with its interpolations resolved and every `auto` replaced by a value, except two
    that depend on the data: `with_monitor` replaces `monitor`, and on a GPU
    `DataModule.decide_on_device` replaces `data.on_device`.

    Raises:
        UserError: an interpolation, or a setting of the trainer or of determinism, is wrong.
    """
    config = config.copy()
    try:
        OmegaConf.resolve(config)
        if config.trainer.accelerator == AUTO:
            config.trainer.accelerator = "gpu" if torch.cuda.is_available() else "cpu"
        if config.trainer.accelerator not in ("cpu", "gpu"):
            raise UserError(
                f"trainer.accelerator is {config.trainer.accelerator!r}: it must be auto, cpu or "
                "gpu"
            )
        if config.trainer.accelerator == "gpu" and not torch.cuda.is_available():
            raise UserError("torch finds no GPU here: set trainer=cpu or trainer=auto")
        check_trainer(config)
        check_checkpoint(config.checkpoint)
        settings = config.determinism
        if settings.threads == AUTO:
            settings.threads = max(1, cores.free() // devices(config))
        if type(settings.threads) is not int or not 1 <= settings.threads <= cores.MOST_THREADS:
            raise UserError(
                f"determinism.threads is {settings.threads!r}: it must be auto or a number from 1 "
                f"to {cores.MOST_THREADS}"
            )
        if type(settings.deterministic) is not bool:
            raise UserError(
                f"determinism.deterministic is {settings.deterministic!r}: it must be true or false"
            )
        is_cpu = config.trainer.accelerator == "cpu"
        _choose_paths(config.model, "by_size" if is_cpu else auto_path(device_name("gpu")))
        if is_cpu and config.data.get("on_device") == AUTO:
            config.data.on_device = False
        if config.monitor != AUTO:
            _follow(config, config.monitor)
        precision = settings.get("matmul_precision", "highest")  # absent from older configs
        if precision not in determinism.MATMUL_PRECISIONS:
            raise UserError(
                f"determinism.matmul_precision is {precision!r}: it must be one of "
                f"{', '.join(determinism.MATMUL_PRECISIONS)}"
            )
    except OmegaConfBaseException as error:
        raise UserError(f"the config cannot be resolved: {str(error).splitlines()[0]}") from error
    return config


def _choose_paths(model: Any, path: str) -> None:
    """Replace `path: auto` and `tuning: auto` of every recurrence of a model.

    path: what auto becomes.
    """
    for node in _recurrences(model):
        with open_dict(node):  # a config from outside may leave them out
            if node.get("path", AUTO) == AUTO:
                node.path = path
            if node.get("tuning", AUTO) == AUTO:
                node.tuning = asdict(choices.tuning_of(_cell_of(node)))


def _recurrences(node: Any) -> Iterator[DictConfig]:
    """The nodes of the recurrences of our own cells, at and below a node of the config."""
    if isinstance(node, ListConfig):
        for one in node:
            yield from _recurrences(one)
    elif isinstance(node, DictConfig):
        if str(node.get("_target_")).endswith(".CellRecurrence"):
            yield node
        for name in node:
            yield from _recurrences(node[name])


def _cell_of(recurrence: DictConfig) -> str:
    """The name of the class of its cells."""
    return str(OmegaConf.select(recurrence, "cell._target_")).rpartition(".")[2]


def without_missing_gpu(config: DictConfig) -> DictConfig:
    """A recorded config for a test: on the CPU if the run used a GPU and torch finds none here."""
    if config.trainer.get("accelerator") != "gpu" or torch.cuda.is_available():
        return config
    console.show("torch finds no GPU here: testing on the CPU")
    config = config.copy()
    config.trainer.accelerator = "cpu"
    return config


def check_checkpoint(settings: DictConfig) -> None:
    """Check when checkpoints are written.

    Raises:
        UserError: an interval is not positive.
    """
    for name, value in settings.items():
        if value is not None and not 0 < value < math.inf:
            raise UserError(f"checkpoint.{name!s} is {value!r}: it must be more than 0, or null")


def with_monitor(asked: DictConfig, config: DictConfig, monitor: str) -> DictConfig:
    """The resolved `config` with this metric in place of monitor=auto, also where the config that
    was asked for refers to it, as early stopping does. Any other monitor stays."""
    if config.monitor != AUTO:
        return config
    decided = asked.copy()
    decided.monitor = monitor
    decided.trainer.accelerator = config.trainer.accelerator
    decided.determinism.threads = config.determinism.threads
    decided.model, decided.data = config.model, config.data
    OmegaConf.resolve(decided)
    _follow(decided, monitor)  # in the record of a run that never read its data
    return decided


def _follow(config: DictConfig, monitor: str | None) -> None:
    """Let the callbacks with monitor=auto watch the metric of the run, in place."""
    for callback in config.callbacks.values():
        if isinstance(callback, DictConfig) and callback.get("monitor") == AUTO:
            callback.monitor = monitor


def facts_of_this_process(config: DictConfig) -> dict[str, Any]:
    """The environment of a run, except for its data."""
    return {
        "versions": versions(*_deciding_packages(config)),
        "code": code_state(),
        "device": device_name(config.trainer.accelerator),
        "kernels": _kernels(config),
        "threads": config.determinism.threads,
    }


def _kernels(config: DictConfig) -> str:
    """What computes products and steps; the compiler too, if the steps are compiled."""
    found, in_cpp = choices.description(), _asking_for_cpp(config) & _WITH_KERNEL
    if config.trainer.accelerator != "cpu" or not in_cpp or why_not():
        return found
    return f"{found}, steps by {compiler_version()}"


_WITH_KERNEL = {kind.__name__ for kind in KERNELS}


def _asking_for_cpp(config: DictConfig) -> set[str]:
    """The names of the cells of the recurrences with path=native."""
    nodes = _recurrences(config.model)
    return {_cell_of(node) for node in nodes if node.get("path") == "native"}


def _say_what_takes_another_path(config: DictConfig) -> None:
    """path=native asks for steps in C++, which need a compiler, a processor, and a cell that has
    them."""
    asking = _asking_for_cpp(config)
    for cell in sorted(asking - _WITH_KERNEL):
        console.show(f"path=native: {cell} has no steps in C++; the plain path is used")
    if asking & _WITH_KERNEL:
        if config.trainer.accelerator != "cpu":
            console.show("path=native: a GPU runs no steps in C++; the fused path is used")
        elif why := why_not():
            console.show(f"path=native: {why}; the fused path is used")


def _deciding_packages(config: DictConfig) -> list[str]:
    """Further packages whose version decides the data of a run."""
    holidays = OmegaConf.select(config, "data.conditioning.holidays")
    return ["holidays"] if holidays else []


def set_up_process(config: DictConfig) -> None:
    """Apply the config's threads, algorithms and precision; silence Lightning's messages. Say where
    the path that was asked for is not taken."""
    settings = config.determinism
    precision = settings.get("matmul_precision", "highest")
    determinism.prepare(settings.deterministic, settings.threads, precision)
    _say_what_takes_another_path(config)
    warnings.filterwarnings("ignore", message="path=native: .*")  # it has been said
    for name in ("pytorch_lightning", "lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # A batch is gathered by one indexing operation: worker processes would not help.
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    # Lightning itself calls a deprecated function of torch.
    warnings.filterwarnings("ignore", message=".*LeafSpec.*is deprecated.*")
    # Short epochs and runs without validation data are intended.
    warnings.filterwarnings("ignore", message=".*smaller than the logging interval.*")
    warnings.filterwarnings("ignore", message=".*Total length of `list` across ranks is zero.*")
    # Every process of a run validates on all data, so nothing is left to average over processes.
    warnings.filterwarnings("ignore", message=".*It is recommended to use.*sync_dist=True.*")
    # A run goes on in its own folder, and its samplers repeat the order of the batches.
    warnings.filterwarnings("ignore", message=".*exists and is not empty.*")
    warnings.filterwarnings("ignore", message=".*your dataloader is not resumable.*")
