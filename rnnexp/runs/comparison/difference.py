"""The differences between two runs, finished or not: what was asked for, what it was run on, and
what came of it."""

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from rnnexp.callbacks.checkpoint_names import BEST, LAST
from rnnexp.errors import UserError
from rnnexp.runs.comparison.repetition import (
    differing_names,
    epoch_of,
    first_differing_step,
    is_same_value,
    recorded_environment,
)
from rnnexp.runs.folder.digest import WEIGHTS, changed_files
from rnnexp.runs.folder.reading import (
    hash_file,
    read_checkpoint,
    read_config,
    read_config_hash,
    read_digest,
    read_history,
    read_metrics,
    read_run,
    status_now,
)
from rnnexp.runs.folder.schema import DIGEST
from rnnexp.runs.hyperparameters import flat

Pair = dict[str, Any]  # "a" and "b": the value of each run; a run without a value has no entry
Pairs = dict[str, Pair]  # by name


@dataclass(frozen=True)
class Difference:
    """What differs between two runs. A field is empty if nothing differs, and None if it cannot be
    compared, which a sentence of `not_compared` explains.

    metrics: with "difference", b - a, where both are numbers. first_differing_step: "epoch" (None
    if unknown), "step", and the losses as a pair. weights: last, best -> the number of "differing"
    tensors "of" all, and the name of the "first". edited: the files of each record that are not as
    the run wrote them.
    """

    runs: Pair
    status: Pair
    config: Pairs | None
    data: Pairs | None
    versions: Pairs | None
    code: Pairs | None
    environment: Pairs | None
    metrics: Pairs | None
    first_differing_step: dict[str, Any] | None
    weights: dict[str, dict[str, Any]] | None
    predictions: Pairs | None
    batch_order: Pair | None
    edited: dict[str, list[str]]
    not_compared: list[str]

    def __bool__(self) -> bool:
        """Whether anything differs or could not be compared."""
        return any(value for name, value in vars(self).items() if name != "runs")


@dataclass(frozen=True)
class _Run:
    """What a run folder holds; None or empty where it holds nothing."""

    folder: Path
    run: dict[str, Any]
    config: dict[str, Any] | None
    metrics: dict[str, float] | None
    digest: dict[str, Any] | None
    epoch_ends: list[int]
    table: str | None  # SHA-256 of predictions.csv
    edited: list[str]
    groups: dict[str, dict[str, Any]]  # the environment


def difference(a: Path, b: Path) -> Difference:
    """Compare two run folders. Names of earlier versions are compared by today's.

    Raises:
        UserError: a folder is not a run folder, or a file in it is damaged.
    """
    first, second = _read(a), _read(b)
    digests = _both(first.digest, second.digest)
    groups = {
        name: _both(first.groups[name] or None, second.groups[name] or None)
        for name in first.groups
    }
    configs, metrics = _both(first.config, second.config), _both(first.metrics, second.metrics)
    return Difference(
        runs={"a": str(a), "b": str(b)},
        status=_pair(status_now(first.folder, first.run), status_now(second.folder, second.run)),
        config=configs and _pairs(*configs),
        **{name: group and _pairs(*group) for name, group in groups.items()},
        metrics=metrics and _metrics(*metrics),
        first_differing_step=digests and _step(first, second),
        weights=digests and _weights(*digests),
        predictions=digests and _predictions(first, second),
        batch_order=digests and _pair(*(one["batch_order"] for one in digests)),
        edited={name: one.edited for name, one in (("a", first), ("b", second)) if one.edited},
        not_compared=[
            sentence
            for name, one in (("A", first), ("B", second))
            for sentence in _not_compared(name, one)
        ],
    )


def _both(a: Any, b: Any) -> tuple[Any, Any] | None:
    return None if a is None or b is None else (a, b)


# Reading ------------------------------------------------------------------------------------------


def _read(folder: Path) -> _Run:
    run = read_run(folder)

    def has(name: str) -> bool:
        return (folder / name).exists()

    with _readable(folder):
        config = read_config(folder) if has("config.yaml") else None
        plain: Any = None if config is None else OmegaConf.to_container(config)
        history = read_history(folder)["step"].tolist() if has("history.csv") else []
        return _Run(
            folder=folder,
            run=run,
            config=None if plain is None else flat(plain | {"paths": {}}),
            metrics=read_metrics(folder) if has("metrics.json") else None,
            digest=_digest(folder) if has("digest.json") else None,
            epoch_ends=history,
            table=hash_file(folder / "predictions.csv") if has("predictions.csv") else None,
            edited=_edited(folder, run),
            groups=_groups(run),
        )


@contextmanager
def _readable(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(f"{error.filename or folder} cannot be read: {error.strerror}") from error


def _digest(folder: Path) -> dict[str, Any]:
    digest = read_digest(folder)
    for name in DIGEST:
        if name not in digest:
            raise UserError(f"{folder / 'digest.json'} is damaged: it has no {name}")
    return digest


def _edited(folder: Path, run: dict[str, Any]) -> list[str]:
    for name in (BEST, LAST):  # hashing takes long for what is too large to be a checkpoint
        path = folder / "checkpoints" / name
        if path.exists() and f"checkpoints/{name}" in run.get("files", {}):
            read_checkpoint(path)
    recorded = run.get("config_sha256")
    is_there = (folder / "config.yaml").exists()
    changed = recorded and is_there and read_config_hash(folder) != recorded
    return [*(["config.yaml"] if changed else []), *changed_files(folder, run)]


def _groups(run: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The environment by group, with the places of the data and the commit of the code."""
    groups = recorded_environment(run)
    groups["data"] |= {"data read from": run.get("data"), "vectors read from": run.get("vectors")}
    groups["versions"] = groups["versions"] | run.get("baseline_versions", {})
    groups["code"] |= {"commit": run.get("code", {}).get("commit")}
    return {
        name: {key: value for key, value in group.items() if value is not None}
        for name, group in groups.items()
    }


def _not_compared(name: str, run: _Run) -> Iterator[str]:
    found = {
        "config.yaml": run.config is not None,
        "metrics.json": run.metrics is not None,
        "digest.json": run.digest is not None,
        "predictions.csv": run.table is not None,
    }
    if missing := [file for file, is_there in found.items() if not is_there]:
        status = status_now(run.folder, run.run)
        yield f"{name} has no {_listed(missing, 'or')}: its status is {status!r}"
    if missing := [group for group, content in run.groups.items() if not content]:
        yield f"{name} did not record its {_listed(missing, 'and')}"


def _listed(names: list[str], joint: str) -> str:
    *others, last = names
    return f"{', '.join(others)} {joint} {last}" if others else last


# Comparing ----------------------------------------------------------------------------------------


def _pair(a: Any, b: Any) -> Pair:
    return {} if _exact(a) == _exact(b) else {"a": a, "b": b}


def _pairs(a: dict[str, Any], b: dict[str, Any]) -> Pairs:
    return {
        name: {side: one[name] for side, one in (("a", a), ("b", b)) if name in one}
        for name in dict.fromkeys([*a, *b])
        if name not in a or name not in b or _exact(a[name]) != _exact(b[name])
    }


def _exact(value: Any) -> str:
    """A text that tells true from 1, and 1 from 1.0, and for which NaN equals NaN."""
    return json.dumps(value, sort_keys=True, default=str)


def _metrics(a: dict[str, float], b: dict[str, float]) -> Pairs:
    pairs = {
        name: pair
        for name, pair in _pairs(a, b).items()
        if len(pair) < 2 or not is_same_value(pair["a"], pair["b"])
    }
    for pair in pairs.values():
        if all(math.isfinite(pair.get(side, math.nan)) for side in "ab"):
            pair["difference"] = pair["b"] - pair["a"]
    return pairs


def _step(a: _Run, b: _Run) -> dict[str, Any]:
    assert a.digest is not None and b.digest is not None
    step = first_differing_step(a.digest["losses"], b.digest["losses"])
    if step is None:
        return {}
    ends = (a if step < len(a.digest["losses"]) else b).epoch_ends
    losses = {
        side: _loss(one.folder, one.digest["losses"][step])
        for side, one in (("a", a), ("b", b))
        if one.digest and step < len(one.digest["losses"])
    }
    return {"epoch": epoch_of(step, ends) if ends else None, "step": step, **losses}


def _loss(folder: Path, digits: str) -> float:
    try:
        return float.fromhex(digits)
    except (ValueError, OverflowError) as error:
        path = folder / "digest.json"
        raise UserError(f"{path} is damaged: the loss {digits!r} is no number") from error


def _weights(a: dict[str, Any], b: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found = {}
    for kind in WEIGHTS:
        one, other = a[f"weights/{kind}"], b[f"weights/{kind}"]
        if names := differing_names(one, other):
            of = len(one.keys() | other.keys())
            found[kind] = {"differing": len(names), "of": of, "first": names[0]}
    return found


def _predictions(a: _Run, b: _Run) -> Pairs:
    """The differing predictions; predictions.csv if it alone differs, as when another version has
    written it."""
    assert a.digest is not None and b.digest is not None
    found = _pairs(a.digest["predictions"], b.digest["predictions"])
    if not found and (tables := _both(a.table, b.table)) and (pair := _pair(*tables)):
        return {"predictions.csv": pair}
    return found
