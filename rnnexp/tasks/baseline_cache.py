"""Baselines are computed once for the same data, split and windows, and kept."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rnnexp.data.folders import cache_folder
from rnnexp.data.loading.module import DataModule
from rnnexp.files import write_json
from rnnexp.tasks.task import Task

Baselines = dict[str, dict[str, float]]


def baseline_metrics(task: Task, data: DataModule) -> dict[str, float]:
    """The baselines of a task on the test set of these data, flat as metrics.json has them:
    `baseline/ridge/smape` -> value. With metrics of the user's, whose code may change, they are
    computed anew."""
    identity = {
        "version": task.baselines_version,
        "metrics": [metric.name for metric in task.metrics],
        **data.identity(),
    }
    added = task.added_metrics.metrics
    computed = task.baselines(data) if added else cached(identity, lambda: task.baselines(data))
    return {
        f"baseline/{name}/{metric}": value
        for name, metrics in computed.items()
        for metric, value in metrics.items()
    }


def cached(identity: Any, compute: Callable[[], Baselines]) -> Baselines:
    """What `compute` gave for this identity (JSON-able: fingerprints, split, version) before, or
    what it gives now. An unreadable cache file is computed anew."""
    key = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:24]
    path: Path = cache_folder() / "baselines" / f"{key}.json"
    try:
        return json.loads(path.read_text())["baselines"]
    except (OSError, ValueError, KeyError):
        pass
    baselines = compute()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, {"identity": identity, "baselines": baselines})
    except OSError:
        pass  # a read-only home only costs the time to compute them again
    return baselines
