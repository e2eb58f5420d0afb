"""A cache of baseline metrics, keyed by all that they depend on: data, code and libraries."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from threadpoolctl import threadpool_limits

from rnnexp.config.targets import added_packages
from rnnexp.data.folders import cache_folder
from rnnexp.data.loading.module import DataModule
from rnnexp.files import read_regular, write_json
from rnnexp.process import code

if TYPE_CHECKING:
    from rnnexp.tasks.task import Task

MOST_BYTES = 2**20  # of an entry; one has a few hundred
Baselines = dict[str, dict[str, float]]


def baseline_metrics(
    task: Task, data: DataModule, cache: BaselineCache | None = None
) -> dict[str, float]:
    """The metrics of a task's baselines on the test set, with the flat names of metrics.json:
    `baseline/ridge/smape` -> value. All libraries compute with the threads of the run: another
    number of them would change the last digits.

    Only the baselines of rnnexp's own tasks are cached, and only without metrics of the user's own:
    nobody knows what others depend on.
    """
    cache = cache or BaselineCache()
    with threadpool_limits(torch.get_num_threads()):
        found = _baselines(task, data, cache)
    return {
        f"baseline/{name}/{metric}": value
        for name, metrics in found.items()
        for metric, value in metrics.items()
    }


def _baselines(task: Task, data: DataModule, cache: BaselineCache) -> Baselines:
    if task.added_metrics.metrics or not _is_ours(task) or not _is_ours(data):
        computed = task.baselines(data)
    else:
        names = [metric.name for metric in task.baseline_metrics]
        computed = cache.get(data.identity(), names, lambda: task.baselines(data))
    return computed | task.extra_baselines(data, cache)


def _is_ours(one: object) -> bool:
    return type(one).__module__.partition(".")[0] == __name__.partition(".")[0]


class BaselineCache:
    """Baselines that were computed before, one file each in the folder of cached results.

    say: called with a sentence on each entry that is not used. reads: whether entries are used; if
    not, everything is computed, and the entries are replaced.
    """

    def __init__(
        self, say: Callable[[str], object] = lambda sentence: None, reads: bool = True
    ) -> None:
        self.say, self.reads = say, reads

    def get(
        self, identity: Any, metrics: Sequence[str], compute: Callable[[], Baselines]
    ) -> Baselines:
        """The result of `compute`, from the cache if it has an entry for this identity.

        identity: JSON-able, all that the baselines depend on but for code and libraries. metrics:
        their names; each baseline has at least these.
        """
        identity = {"metrics": list(metrics), **identity, **_environment()}
        text = json.dumps(identity, sort_keys=True)
        key = hashlib.sha256(text.encode()).hexdigest()[:24]
        path = cache_folder() / "baselines" / f"{key}.json"
        if self.reads:
            try:
                return _baselines_of(_read(path), json.loads(text), metrics)
            except FileNotFoundError:
                pass
            except (OSError, ValueError, OverflowError, RecursionError) as error:
                reason = (error.strerror if isinstance(error, OSError) else None) or error
                self.say(f"the baselines are computed again: {path} is not used ({reason})")
        baselines = compute()
        if all(map(_are_finite_or_nan, baselines.values())):  # JSON has no infinity
            self._write(path, {"identity": identity, "baselines": baselines})
        return baselines

    def _write(self, path: Path, entry: dict[str, Any]) -> None:
        entry["sha256"] = _hash(entry["baselines"])
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_json(path, entry)
        except OSError:
            pass  # without a writable cache they are computed again next time


def _environment() -> dict[str, Any]:
    return {
        "code": code.hash_code(code.PACKAGE),
        "allowed": {name: code.hash_package(name) for name in added_packages()},
        "versions": code.versions(),
        "arithmetic": code.arithmetic(),
    }


def _are_finite_or_nan(metrics: dict[str, float]) -> bool:
    return not any(map(math.isinf, metrics.values()))


def _read(path: Path) -> Any:
    """The content of an entry.

    Raises:
        OSError: there is none, or it cannot be read.
        ValueError: it is no JSON.
    """
    try:
        return json.loads(read_regular(path, MOST_BYTES))
    except ValueError as error:
        raise ValueError("it is not valid JSON") from error


def _baselines_of(entry: Any, identity: Any, names: Sequence[str]) -> Baselines:
    """The baselines of an entry; a metric without a value, null, is NaN.

    Raises:
        ValueError: the entry is not one that `BaselineCache.get` wrote for this identity.
    """
    if not isinstance(entry, dict) or entry.get("identity") != identity:
        raise ValueError("it is not about these data and this code")
    found = entry.get("baselines")
    if not isinstance(found, dict):
        raise ValueError("it has no baselines")
    for name, metrics in found.items():
        if not isinstance(metrics, dict) or not set(names) <= set(metrics):
            raise ValueError(f"the baseline {name} lacks metrics")
        for metric, value in metrics.items():
            if value is not None and not (type(value) in (int, float) and math.isfinite(value)):
                raise ValueError(f"{metric} of {name} is not a number")
    if entry.get("sha256") != _hash(found):
        raise ValueError("it has been changed since it was written")
    return {
        name: {metric: math.nan if value is None else value for metric, value in metrics.items()}
        for name, metrics in found.items()
    }


def _hash(baselines: Any) -> str:
    """SHA-256 (hex) of baselines, the same before and after they were written."""
    plain = {
        name: {
            metric: None if value is None or math.isnan(value) else float(value)
            for metric, value in metrics.items()
        }
        for name, metrics in baselines.items()
    }
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()
