"""The keys that every config has at its top level, and what they may hold."""

from dataclasses import dataclass, field, fields
from pathlib import PurePath
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from rnnexp.config.messages import first_line
from rnnexp.errors import UserError
from rnnexp.files import LONGEST_NAME, can_name_a_file
from rnnexp.nearest import did_you_mean


@dataclass
class Checkpoints:
    """every_minutes: of training; null: only at the end of each epoch. every_steps: in addition."""

    every_minutes: float | None = 10.0
    every_steps: int | None = None


@dataclass
class Schema:
    """The top level of every config. Keys that do not stand here are an error.

    name: of the experiment; run folders lie in a folder of this name.
    seed: of everything random; 0 is a seed.
    monitor: the metric that chooses the best checkpoint; null: the last one is the best; auto: the
        task chooses it by the data, and config.yaml holds what it became.
    mode: of the monitored metric, min or max.
    task: what is learnt: the loss, the metrics, the figures.
    model: the network: representation, recurrence, readout and sizes.
    data: the source: what is read, how it is repaired and divided, and its batches.
    optimizer: the optimiser and its rate.
    scheduler: how the rate changes over the run; null: it does not.
    trainer: the trainer of Lightning: device, epochs, precision.
    callbacks: what watches a run, each under a name of its own; null: not this one.
    logger: where curves go while a run trains; null: nowhere.
    determinism: whether a run can be repeated to the bit, and its threads.
    paths: where run folders go.
    checkpoint: when last.ckpt is written within an epoch, beside the end of each.
    """

    name: str = MISSING
    seed: int = 0
    monitor: str | None = MISSING
    mode: str = MISSING
    task: Any = MISSING
    model: Any = MISSING
    data: Any = MISSING
    optimizer: Any = MISSING
    scheduler: Any = MISSING
    trainer: Any = MISSING
    callbacks: Any = MISSING
    logger: Any = MISSING
    determinism: Any = MISSING
    paths: Any = MISSING
    checkpoint: Checkpoints = field(default_factory=Checkpoints)


TOP_LEVEL = tuple(field.name for field in fields(Schema))
MODES = ("min", "max")
_DEFAULTS = OmegaConf.to_container(OmegaConf.structured(Schema))  # with MISSING
ConfigStore.instance().store(name="rnnexp_schema", node=Schema)


def check_top_level(config: DictConfig) -> None:
    """Compare the top level of a composed config with the schema.

    Raises:
        UserError: a key is unknown or missing, or `mode` or `name` cannot be what it is.
    """
    for key in map(str, config):
        if key not in (*TOP_LEVEL, "hydra"):
            raise UserError(f"the config has no key {key}{did_you_mean(key, TOP_LEVEL)}")
    try:
        own = OmegaConf.masked_copy(config, list(TOP_LEVEL))
        missing = sorted(OmegaConf.missing_keys(own))
    except OmegaConfBaseException as error:
        raise UserError(first_line(error)) from error
    if missing:
        added = " ".join(f"{key}=VALUE" for key in missing)
        raise UserError(f"{', '.join(missing)} must be given: add {added}")
    if own.mode not in MODES:
        raise UserError(f"mode is {own.mode!r}, it must be 'min' or 'max'")
    if own.name in (None, "", ".", "..") or PurePath(own.name).name != own.name:
        raise UserError(f"name is {own.name!r}, it must be the name of a folder")
    if not can_name_a_file(own.name):
        raise UserError(
            f"name is {own.name[:40]!r}{'...' * (len(own.name) > 40)}: it must be the name of a "
            f"folder, of at most {LONGEST_NAME} bytes and without control characters"
        )
    plain(own)


def with_defaults(config: dict[str, Any]) -> dict[str, Any]:
    """A plain config with the keys that an earlier version did not have, in the order of the
    schema."""
    return _merged(_DEFAULTS, config)


def _merged(defaults: Any, config: dict[str, Any]) -> dict[str, Any]:
    whole = {key: value for key, value in defaults.items() if key in config or value != MISSING}
    for key, value in config.items():
        inner = isinstance(value, dict) and isinstance(defaults.get(key), dict)
        whole[key] = _merged(defaults[key], value) if inner else value
    return whole


def plain(node: Any) -> Any:
    """Dicts, lists and values, with interpolations resolved.

    Raises:
        UserError: an interpolation cannot be resolved, or a value is missing.
    """
    if not OmegaConf.is_config(node):
        return node
    try:
        return OmegaConf.to_container(node, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise UserError(first_line(error)) from error
