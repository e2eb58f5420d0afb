"""The arguments of Lightning's Trainer that a run takes, and the values that each may have.

A run is one process on one device, or with trainer=ddp a process on each of several devices of this
machine. It decides by itself where it writes and what it shows, and it can be repeated. What does
not go with that is refused before anything is built.
"""

import math
from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl
import torch
from omegaconf import DictConfig

from rnnexp.config import targets
from rnnexp.config.schema import plain
from rnnexp.errors import UserError
from rnnexp.tables import counted

Rule = tuple[Callable[[Any], bool], str]  # whether a value may be, and what it must be
MOST = 10**12  # of what is counted: more steps, batches or epochs than any run has


def one_of(*values: Any, instead: str = "") -> Rule:
    named = ["null" if value is None else str(value).lower() for value in values]
    what = " or ".join([", ".join(named[:-1]), named[-1]] if len(named) > 1 else named)
    return lambda value: any(value == x and type(value) is type(x) for x in values), what + instead


def whole(least: int, *others: int | None) -> Rule:
    also = "".join(f", or {'null' if one is None else one}" for one in others)

    def may_be(value: Any) -> bool:
        return value in others or (type(value) is int and least <= value <= MOST)

    return may_be, f"at least {least}, a whole number up to 10^12{also}"


def part(*others: None, least: int = 1) -> Rule:
    """A number of batches, or a fraction of all."""

    def may_be(value: Any) -> bool:
        if type(value) is float:
            return 0 < value <= 1
        return value in others or (type(value) is int and least <= value <= MOST)

    return may_be, f"null, a number of batches from {least}, or a fraction above 0.0, up to 1.0"


def not_here(instead: str) -> Rule:
    return lambda value: value is None, f"left out: {instead}"


def _is_positive(value: Any) -> bool:
    return value is None or (type(value) in (int, float) and math.isfinite(value) and value >= 0)


def _is_profiler(value: Any) -> bool:
    return value in (None, "simple", "advanced", "pytorch") or isinstance(value, dict)


BY_DDP = "; trainer=ddp trains on several devices"
ONE_MACHINE = ", because a run stays on one machine; start several runs with -m"
MOST_DEVICES = 1024
BY_DETERMINISM = ": the group determinism decides it, e.g. determinism=fast"
EITHER = one_of(True, False)
RULES: dict[str, Rule] = {
    # One process on one device, unless `DDP_RULES` say otherwise.
    "devices": one_of(1, instead=BY_DDP),
    "num_nodes": one_of(1, instead=ONE_MACHINE),
    "strategy": one_of("auto", "ddp"),
    "use_distributed_sampler": EITHER,  # a run's own samplers do that
    "sync_batchnorm": EITHER,
    # How long.
    "max_epochs": whole(1, -1, None),
    "min_epochs": whole(0, None),
    "max_steps": whole(1, -1),
    "min_steps": whole(0, None),
    "limit_train_batches": part(None),
    "limit_val_batches": part(None),
    "limit_test_batches": part(None),
    "limit_predict_batches": part(None),
    "accumulate_grad_batches": whole(1),
    "fast_dev_run": one_of(False, instead="; trainer/debug=one_batch tries all parts together"),
    "overfit_batches": (
        lambda value: type(value) in (int, float) and value == 0,
        "0, because it validates on training data; trainer/debug=overfit trains on one batch",
    ),
    # When there is a validation. By the clock it would come elsewhere in each repetition.
    "check_val_every_n_epoch": whole(1, None),
    "val_check_interval": part(None),
    "num_sanity_val_steps": whole(0, -1, None),
    "reload_dataloaders_every_n_epochs": whole(0),
    # Gradients.
    "gradient_clip_val": (_is_positive, "null or a number from 0"),
    "gradient_clip_algorithm": one_of("norm", "value", None),
    "detect_anomaly": EITHER,
    "inference_mode": EITHER,
    # What is shown.
    "log_every_n_steps": whole(0, None),
    "enable_model_summary": one_of(True, False, None),
    "profiler": (_is_profiler, "simple, advanced, pytorch, null, or a class ({_target_: ...})"),
    "enable_autolog_hparams": EITHER,
    # What other groups decide, or the run.
    "deterministic": one_of(False, None, instead=BY_DETERMINISM),
    "benchmark": one_of(False, None, instead=BY_DETERMINISM),
    "callbacks": not_here("the group callbacks has them"),
    "logger": not_here("the group logger has it"),
    "plugins": not_here("a run has its own"),
    "default_root_dir": not_here("a run writes into its own folder"),
    "enable_checkpointing": not_here("a run always keeps its checkpoints"),
    "enable_progress_bar": not_here("callbacks.progress_bar=null turns it off"),
    "barebones": one_of(False),
    "model_registry": not_here("a run is kept in its folder"),
}
DDP_RULES: dict[str, Rule] = {  # with trainer.strategy=ddp
    "devices": (
        lambda value: type(value) is int and 1 <= value <= MOST_DEVICES,
        f"a number from 1 to {MOST_DEVICES:,}",
    ),
    "sync_batchnorm": one_of(False),  # statistics over a batch differ from those over its parts
    "precision": (
        lambda value: value not in (16, "16", "16-mixed"),
        "another with several devices, each of which would scale its loss by itself: bf16-mixed",
    ),
}
ELSEWHERE = ("accelerator", "precision", "max_time")  # below, and in `settings.resolve`

PRECISIONS: dict[str | int | None, tuple[str, ...]] = {  # of the weights, and of products
    **dict.fromkeys((None, 32, "32", "32-true", 64, "64", "64-true"), ("cpu", "gpu")),
    **dict.fromkeys(("bf16", "bf16-mixed"), ("cpu", "gpu")),
    **dict.fromkeys((16, "16", "16-mixed"), ("gpu",)),
}


def check_trainer(config: DictConfig) -> None:
    """Check the trainer of a config whose accelerator is resolved.

    Raises:
        UserError: it is no trainer, or an argument has a value that a run cannot have.
    """
    if not issubclass(targets.locate(config.trainer, "trainer"), pl.Trainer):
        raise UserError(f"trainer._target_: {config.trainer._target_} is not a trainer")
    trainer: dict[str, Any] = plain(config.trainer)
    rules = RULES | (DDP_RULES if trainer.get("strategy") == "ddp" else {})
    for name, (may_be, what) in rules.items():
        if name in trainer and not may_be(trainer[name]):
            raise UserError(f"trainer.{name} is {_shown(trainer[name])}: it must be {what}")
    _check_gpus(trainer.get("devices", 1), config.trainer.accelerator)
    _check_precision(trainer.get("precision"), config.trainer.accelerator)
    _check_time(trainer.get("max_time"))
    _check_validations(trainer, validates=config.monitor is not None)


def _shown(value: Any) -> str:
    return "null" if value is None else repr(value)


def _check_gpus(devices: int, accelerator: str) -> None:
    found = torch.cuda.device_count()
    if accelerator == "gpu" and devices > found:
        raise UserError(f"trainer.devices is {devices}: torch finds {counted(found, 'GPU')} here")


def _check_precision(precision: Any, accelerator: str) -> None:
    known = isinstance(precision, str | int | None) and precision in PRECISIONS
    if not known or accelerator not in PRECISIONS[precision]:
        names = [str(p) for p, where in PRECISIONS.items() if accelerator in where and p]
        shown = ", ".join(dict.fromkeys(names))
        raise UserError(
            f"trainer.precision is {precision!r}: on the {accelerator} it must be null or one of "
            f"{shown}"
        )
    if accelerator == "gpu" and "bf16" in str(precision) and not torch.cuda.is_bf16_supported():
        raise UserError(f"trainer.precision is {precision!r}, which this GPU does not support")


def _check_time(longest: Any) -> None:
    """Lightning's own reading of max_time, and that it is more than nothing."""
    if longest is None:
        return
    from lightning_fabric.utilities.exceptions import MisconfigurationException
    from pytorch_lightning.callbacks import Timer

    try:
        seconds = Timer(duration=longest)._duration or 0.0
    except (MisconfigurationException, TypeError, ValueError, OverflowError):
        seconds = 0.0
    if seconds <= 0:
        raise UserError(
            f"trainer.max_time is {longest!r}: it must be a time above zero, days:hours:minutes:"
            "seconds, e.g. 00:01:30:00"
        )


def _check_validations(trainer: dict[str, Any], validates: bool) -> None:
    most, every = trainer.get("max_epochs"), trainer.get("check_val_every_n_epoch", 1)
    interval = trainer.get("val_check_interval")
    if every is None and type(interval) is not int:
        raise UserError(
            f"trainer.val_check_interval is {_shown(interval)}: without "
            "trainer.check_val_every_n_epoch it must be a number of batches"
        )
    if most in (None, -1):
        return
    if (trainer.get("min_epochs") or 0) > most:
        raise UserError(
            f"trainer.min_epochs is {trainer['min_epochs']}: it must be at most "
            f"trainer.max_epochs, {most}"
        )
    if validates and every is not None and every > most:
        raise UserError(
            f"trainer.check_val_every_n_epoch is {every}: in trainer.max_epochs={most} epochs "
            "there would be no validation to choose a checkpoint: lower it, or set monitor=null"
        )
