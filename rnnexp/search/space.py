"""The space of a search: which keys are varied, and over which values. It is an option of the
config group `space`, read and checked here."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig, OmegaConf

from rnnexp.config import check
from rnnexp.config.compose import compose_alone, compose_whole, without_hydra
from rnnexp.config.groups import all_groups, options
from rnnexp.config.typed import override_of
from rnnexp.errors import UserError
from rnnexp.nearest import did_you_mean

Value = str | int | float | bool | None
GROUP = "space"
KINDS = ("low", "high", "log", "step", "choices")
EXAMPLE = "{low: 0.001, high: 0.1, log: true} or {choices: [32, 64]}"
# They decide by which metric and on which data trials are compared, or where they are written.
FIXED = (
    *("monitor", "mode", "name", "task", "data", "experiment", "seed", "paths", "hydra", "sweep"),
    *("data.root", "data.split", "data.split_seed", "data.validation_fraction"),
)


@dataclass(frozen=True)
class Choices:
    """One of these values."""

    values: tuple[Value, ...]

    def suggested(self, trial: Any, key: str) -> Value:
        """The value of this key that Optuna suggests for a trial, or has suggested before."""
        return trial.suggest_categorical(key, list(self.values))


@dataclass(frozen=True)
class Range:
    """A number from low to high, both included; whole if both are."""

    low: int | float
    high: int | float
    log: bool = False
    step: int | float | None = None

    @property
    def is_whole(self) -> bool:
        return type(self.low) is int and type(self.high) is int

    @property
    def values(self) -> tuple[Value, ...]:
        """The first and the last one."""
        return (self.low, self.high)

    def suggested(self, trial: Any, key: str) -> Value:
        """As of `Choices`."""
        if self.is_whole:
            return trial.suggest_int(key, self.low, self.high, log=self.log, step=self.step or 1)
        return trial.suggest_float(key, self.low, self.high, log=self.log, step=self.step)


@dataclass(frozen=True)
class Space:
    """The distributions by key. written: as the YAML file has them."""

    name: str
    distributions: Mapping[str, Choices | Range]
    written: Mapping[str, Any]

    def suggested(self, trial: Any) -> dict[str, Value]:
        """What Optuna suggests for a trial, by key."""
        return {key: one.suggested(trial, key) for key, one in self.distributions.items()}


def override(key: str, value: Value) -> str:
    """A suggested value, as an override."""
    if value is None:
        return f"{key}=null"
    return f"{key}={str(value).lower()}" if isinstance(value, bool) else override_of(key, value)


def read_space(name: str) -> Space:
    """A space by its name, while Hydra is initialised.

    Raises:
        UserError: there is no such option, or something in it is wrong.
    """
    if name not in options(GROUP):
        raise UserError(
            f"{GROUP}={name}: there is no such space{did_you_mean(name, options(GROUP))}; your own "
            f"stands in conf/{GROUP}/{name}.yaml"
        )
    file = f"{GROUP}/{name}.yaml"
    content: Any = OmegaConf.to_container(compose_alone(GROUP, name))
    if not isinstance(content, dict) or not content:
        raise UserError(f"{file} is empty: write a line for each key, KEY: {EXAMPLE}")
    written = {str(key): value for key, value in content.items()}
    for key in written:
        if key.lstrip("+") in FIXED or key.lstrip("+").startswith(("paths.", "hydra.", "hydra/")):
            raise UserError(
                f"{file}: {key} cannot be searched, because trials with different ones cannot be "
                f"compared: remove it, and give {key}=VALUE on the command line"
            )
    found = {key: _distribution(f"{file}: {key}", key, value) for key, value in written.items()}
    return Space(name, found, written)


def _distribution(where: str, key: str, said: Any) -> Choices | Range:
    if isinstance(said, list):
        raise UserError(f"{where} is a list: write {key}: {{choices: [...]}}")
    if not isinstance(said, dict):
        raise UserError(f"{where} is {said!r}, one value: write {EXAMPLE}")
    for unknown in (str(one) for one in said if one not in KINDS):
        if isinstance(said[unknown], dict):
            raise UserError(f"{where} holds keys: write {key}.{unknown}: {EXAMPLE}")
        raise UserError(f"{where} has {unknown}{did_you_mean(unknown, KINDS)}")
    if "choices" in said:
        if len(said) > 1:
            raise UserError(f"{where} has choices and bounds: remove one of them")
        return _choices(where, said["choices"])
    if "low" not in said or "high" not in said:
        raise UserError(f"{where} has no {'low' if 'low' not in said else 'high'}: write {EXAMPLE}")
    return _range(where, Range(**said))


def _choices(where: str, values: Any) -> Choices:
    if not isinstance(values, list) or not values:
        raise UserError(f"{where}: choices must be a list with a value in it, as [32, 64]")
    for value in values:
        if not (value is None or isinstance(value, (str, bool)) or _is_number(value)):
            raise UserError(
                f"{where}: {value!r} cannot be a choice: it must be a finite number, a text, true, "
                "false or null"
            )
    if len({repr(value) for value in values}) < len(values):
        raise UserError(f"{where}: a choice stands there twice: remove one")
    return Choices(tuple(values))


def _range(where: str, found: Range) -> Range:
    for name in ("low", "high", "step"):
        value = getattr(found, name)
        if not _is_number(value) and not (name == "step" and value is None):
            raise UserError(f"{where}: {name} is {value!r}, it must be a finite number")
    if not found.low < found.high:
        raise UserError(f"{where}: low is {found.low} and high is {found.high}: low must be less")
    if type(found.log) is not bool:
        raise UserError(f"{where}: log is {found.log!r}, it must be true or false")
    if found.log and found.low <= 0:
        raise UserError(f"{where}: low is {found.low}, and with log: true it must be above 0")
    if found.log and found.step is not None:
        raise UserError(f"{where} has both log and step: remove one of them")
    if found.step is not None and (found.step <= 0 or found.step > found.high - found.low):
        raise UserError(f"{where}: step is {found.step}, it must be above 0 and at most high - low")
    if found.step is not None and found.is_whole and type(found.step) is not int:
        raise UserError(
            f"{where}: step is {found.step}, and low and high are whole: write low: {found.low}.0"
        )
    return found


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def check_space(space: Space, given: Sequence[str]) -> dict[str, DictConfig]:
    """Compose the given overrides with every choice and every bound, one at a time, while Hydra is
    initialised.

    Returns the configs by the override.

    Raises:
        UserError: the config has no such key, it cannot have the value, or the monitored metric is
            the loss that is varied.
    """
    base = compose_whole(given)
    if "task.loss" in space.distributions and base.monitor == "val/loss":
        raise UserError(
            f"{GROUP}/{space.name}.yaml: task.loss is varied, so trials cannot be compared by "
            "monitor=val/loss: monitor another metric"
        )
    known = {group: options(group) for group in all_groups() if group in space.distributions}
    found = {}
    for key, value in _each(space):
        if key in known and value is not None and value not in known[key]:
            near = did_you_mean(str(value), known[key])
            raise UserError(
                f"{GROUP}/{space.name}.yaml: {key}: the group has no option {value}{near}"
            )
    for line in (override(key, value) for key, value in _each(space)):
        with saying(space, line):
            found[line] = without_hydra(compose_whole([*given, line]))
            check(found[line])
    return found


@contextmanager
def saying(space: Space, line: str) -> Iterator[None]:
    """Begin the sentence of a UserError in the block with the place in the space."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{GROUP}/{space.name}.yaml: {line}: {error}") from error


def _each(space: Space) -> Iterator[tuple[str, Value]]:
    for key, distribution in space.distributions.items():
        for value in distribution.values:
            yield key, value
