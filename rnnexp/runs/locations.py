"""Where the data of a recorded run are now, and whether they are the same.

A run records where it read its data. They may lie elsewhere now: an override of a location is no
change of the experiment, and the fingerprints decide whether the data are the same.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from rnnexp.errors import UserError

LOCATIONS = {"data": "data.root", "vectors": "data.vectors.file"}  # in run.json -> in the config


def is_location(override: str) -> bool:
    """Whether an override key=value says where data are."""
    return override.partition("=")[0].strip() in LOCATIONS.values()


def check_only_locations(overrides: Sequence[str], command: str) -> None:
    """Check the overrides of a command that evaluates a run as it is.

    Raises:
        UserError: an override changes the experiment.
    """
    for line in overrides:
        if not is_location(line):
            raise UserError(
                f"{line}: {command} can only be told where the data are now "
                f"({', '.join(LOCATIONS.values())}); `rnnexp rerun DIR {line}` is a new experiment"
            )


def find_data(config: DictConfig, run: dict[str, Any]) -> None:
    """Set the paths of a recorded config to where the run found its data, by run.json, if they
    still exist."""
    place = run.get("data")
    paths = place if isinstance(place, list) else [place]
    if "root" in config.data and all(isinstance(p, str) and Path(p).exists() for p in paths):
        config.data.root = place
    vectors = run.get("vectors")
    if config.data.get("vectors") and isinstance(vectors, str) and Path(vectors).exists():
        config.data.vectors.file = vectors


def if_moved(config: DictConfig) -> str:
    """What to do about paths that do not exist, as the end of a sentence; empty if all exist."""
    keys = []
    for key in LOCATIONS.values():
        value = OmegaConf.select(config, key)
        paths = list(value) if OmegaConf.is_list(value) else [value]
        if any(isinstance(path, str) and not Path(path).expanduser().exists() for path in paths):
            keys.append(f"{key}=PATH")
    if not keys:
        return ""
    return f"; if the data of this run have moved, say where they are: {' '.join(keys)}"


def other_data(run: dict[str, Any], facts: dict[str, Any], config: DictConfig) -> str | None:
    """A sentence if the data just read are not those of the run, else None.

    facts: those of the data module. config: the config that they were read with.
    """
    for kind, key in LOCATIONS.items():  # read from files; everything else follows from them
        now = facts["fingerprints"].get(kind)
        if now is not None and run.get("fingerprints", {}).get(kind) != now:
            elsewhere = f"; if the same files are elsewhere, say where: {key}=PATH"
            return (
                f"the {kind} of this run have changed: {facts[kind]} is not what the run read from "
                f"{run.get(kind)}{elsewhere if _has(config, key) else ''}"
            )
    return None


def _has(config: DictConfig, key: str) -> bool:
    """Whether a config has a key; generated data have no location."""
    group, _, name = key.rpartition(".")
    return name in (OmegaConf.select(config, group) or {})


def check_same_data(run: dict[str, Any], facts: dict[str, Any], config: DictConfig) -> None:
    """Check that the data just read have the fingerprints that the run recorded.

    Raises:
        UserError: a fingerprint differs.
    """
    if sentence := other_data(run, facts, config):
        raise UserError(sentence)
    recorded = run.get("fingerprints", {})
    for kind, now in facts["fingerprints"].items():
        if recorded.get(kind) != now:
            raise UserError(
                f"the {kind} of this run cannot be reproduced from the same data: config.yaml was "
                "edited, or the code has changed"
            )
