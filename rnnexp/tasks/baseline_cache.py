"""A cache of baseline metrics, keyed by the data, the split and the settings they depend on."""

import hashlib
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rnnexp.data.folders import cache_folder
from rnnexp.data.loading.module import DataModule
from rnnexp.files import write_json
from rnnexp.tasks.task import Task

Baselines = dict[str, dict[str, float]]


def baseline_metrics(task: Task, data: DataModule) -> dict[str, float]:
    """The metrics of a task's baselines on the test set, with the flat names of metrics.json:
    `baseline/ridge/smape` -> value. With metrics of the user's own, whose code may change, nothing
    is cached."""
    identity = {
        "version": task.baselines_version,
        "metrics": [metric.name for metric in task.metrics],
        **data.identity(),
    }
    added = task.added_metrics.metrics
    computed = task.baselines(data) if added else cached(identity, lambda: task.baselines(data))
    return {
        f"baseline/{name}/{metric}": value
        for name, metrics in (computed | task.extra_baselines(data)).items()
        for metric, value in metrics.items()
    }


def cached(identity: Any, compute: Callable[[], Baselines]) -> Baselines:
    """The result of `compute`, from the cache if it has an entry for this identity (JSON-able:
    fingerprints, settings, version). An unreadable entry is replaced."""
    key = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:24]
    path: Path = cache_folder() / "baselines" / f"{key}.json"
    try:
        return _with_nan(json.loads(path.read_text())["baselines"])
    except (OSError, ValueError, KeyError, AttributeError):
        pass
    baselines = compute()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, {"identity": identity, "baselines": baselines})
    except OSError:
        pass  # without a writable cache they are computed again next time
    return baselines


def _with_nan(baselines: Any) -> Baselines:
    """JSON has no NaN: a metric without a value is null there."""
    return {
        name: {metric: math.nan if value is None else value for metric, value in metrics.items()}
        for name, metrics in baselines.items()
    }
