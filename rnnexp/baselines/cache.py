"""Baselines are computed once for the same data, split and windows, and kept."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rnnexp.data.folders import cache_folder
from rnnexp.files import write_json

Baselines = dict[str, dict[str, float]]


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
