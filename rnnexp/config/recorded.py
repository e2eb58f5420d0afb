"""A config that comes from a run folder, and so perhaps from a stranger.

It is data: it holds no reference to anything outside, and no address.
"""

import re
from pathlib import Path
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from rnnexp.config import targets
from rnnexp.config.instantiate import check
from rnnexp.config.messages import first_line
from rnnexp.config.schema import Schema, check_top_level, plain
from rnnexp.errors import UserError

GROUPS = ("task", "model", "data", "optimizer", "trainer", "determinism", "paths")
CLASSES = ("task", "model", "data", "optimizer", "trainer")
OPTIONAL_CLASSES = ("scheduler", "logger")
ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def recorded(config: DictConfig) -> DictConfig:
    """A config that was read from a run folder, closed and with everything that a run needs.

    Raises:
        UserError: it is not such a config.
    """
    _check_addresses(OmegaConf.to_container(config), "")
    try:
        closed = cast(DictConfig, OmegaConf.merge(OmegaConf.structured(Schema), config))
    except OmegaConfBaseException as error:
        raise UserError(first_line(error)) from error
    if missing := sorted(OmegaConf.missing_keys(closed)):
        raise UserError(f"it has no {', '.join(missing)}")
    check_top_level(closed)
    tree = plain(closed)
    _check_keys(tree, "")
    for group in GROUPS:
        if not isinstance(tree[group], dict):
            raise UserError(f"{group} is {tree[group]!r}, it must hold a group of values")
    for group in (*CLASSES, *OPTIONAL_CLASSES):
        _check_names_a_class(tree[group], group, optional=group in OPTIONAL_CLASSES)
    if not isinstance(tree["callbacks"], dict):
        raise UserError(f"callbacks is {tree['callbacks']!r}, it must hold a group of values")
    for name, node in tree["callbacks"].items():
        _check_names_a_class(node, f"callbacks.{name}", optional=True)
    return closed


def check_recorded(config: DictConfig, path: Path) -> None:
    """Check that the objects of a recorded config may be built; builds nothing.

    path: of the config, for messages.

    Raises:
        UserError: as for `check`, and for a class of Lightning's that a recorded config may not
            name.
    """
    try:
        targets.refuse_foreign_lightning(plain(config))
        check(config)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def _check_addresses(tree: Any, key: str, with_addresses: bool = False) -> None:
    """Refuse addresses but those for classes of the user's own packages."""
    if isinstance(tree, str):
        if ADDRESS.search(tree) and not with_addresses:
            raise UserError(f"{key} is {tree!r}: a recorded config holds no address")
    elif isinstance(tree, dict):
        if "_target_" in tree:
            with_addresses = targets.is_added(str(tree["_target_"]))
        for name, branch in tree.items():
            inner = f"{key}.{name}" if key else str(name)
            _check_addresses(name, inner)
            _check_addresses(branch, inner, with_addresses)
    elif isinstance(tree, list):
        for index, branch in enumerate(tree):
            _check_addresses(branch, f"{key}[{index}]", with_addresses)


def _check_keys(tree: Any, key: str) -> None:
    for name, branch in tree.items() if isinstance(tree, dict) else ():
        if not isinstance(name, str) or not name.isprintable():
            raise UserError(
                f"{key or 'the config'} has the key {name!r}, which is no printable line"
            )
        _check_keys(branch, f"{key}.{name}" if key else name)


def _check_names_a_class(node: Any, key: str, optional: bool) -> None:
    if optional and (node is None or node == {}):
        return
    if not isinstance(node, dict) or "_target_" not in node:
        raise UserError(f"{key} is {node!r}, it must name a class (_target_)")
