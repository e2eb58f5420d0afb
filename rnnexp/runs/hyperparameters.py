"""What one compares runs by."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf


def hyperparameters(config: DictConfig) -> dict[str, Any]:
    """{"model.hidden_size": 192, "optimizer": "Adam", ...}: what one compares runs by, a class by
    its name alone. Left out is what only watches a run, and what run.json has as its ground."""
    groups = ("name", "mode", "logger", "paths")
    watchers = ("progress_bar", "figures", "learning_rate", "gradient_flow")
    watching = [f"callbacks.{name}" for name in watchers]
    left_out = ("_partial_", "data.root", "determinism.threads", "task.metrics", *watching)
    plain = OmegaConf.to_container(config)
    assert isinstance(plain, dict)
    found = {
        name.removesuffix("._target_"): value.rpartition(".")[2] if "_target_" in name else value
        for name, value in _leaves({key: plain[key] for key in plain if key not in groups})
        if not any(part in name for part in left_out)
    }
    if file := found.get("data.vectors.file"):  # by its name; the one that is found needs none
        name = Path(str(file)).name
        by_itself = Path(name).match(str(found.get("data.vectors.pattern")))
        found["data.vectors.file"] = None if by_itself else name
    return found


def _leaves(tree: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if not isinstance(tree, dict):
        yield prefix, tree
        return
    for key, branch in tree.items():
        yield from _leaves(branch, f"{prefix}.{key}" if prefix else str(key))
