"""From a config to objects: every class and argument is checked, then built."""

import functools
import re
from typing import Any

import hydra
from hydra.errors import InstantiationException
from omegaconf import DictConfig, OmegaConf

from rnnexp.config import targets
from rnnexp.config.schema import plain
from rnnexp.config.signatures import check_node
from rnnexp.errors import UserError

INNER_KEY = re.compile(r"full_key: (\S+)")  # in what Hydra says when a node within fails


def check(config: DictConfig, key: str = "") -> None:
    """Compare every `_target_` in a config, or in what stands at `key`, with the allow-list and its
    class; builds nothing.

    Raises:
        UserError: a class that may not be named or does not exist, a key that its constructor does
            not have, a value of the wrong type or choice, or a path out of the run folder.
    """
    tree = plain(_at(config, key))
    _check_targets(tree, key)
    targets.refuse_other_places(tree, key)
    for place, node in targets.nodes(tree, key):
        check_node(node, place)


def instantiate(config: DictConfig, key: str, /, **arguments: Any) -> Any:
    """Build what stands at a key of a config; the one place where a config becomes objects.

    Args:
        config: has a node with a `_target_` of the allow-list at `key`. With `_partial_: true` the
            result is a callable that takes the remaining arguments.
        key: for example "model" or "callbacks.figures"; what is said of a mistake begins with it.
        arguments: what the config cannot know; handed over as they are, they win over the node.

    Raises:
        UserError: a class that may not be named, or whose constructor refuses its arguments.
    """
    from lightning_fabric.utilities.exceptions import MisconfigurationException  # it is slow

    tree = plain(_at(config, key))
    if not isinstance(tree, dict) or "_target_" not in tree:
        raise UserError(f"{key} names no class (_target_): choose another option")
    _check_targets(tree, key)
    is_partial = tree.pop("_partial_", False)
    try:
        # As a partial first: Hydra would copy and convert the arguments otherwise.
        build = hydra.utils.instantiate(tree, _partial_=True, _convert_="all")
        return functools.partial(build, **arguments) if is_partial else build(**arguments)
    except InstantiationException as error:
        inner = INNER_KEY.search(str(error))
        place, cause = f"{key}.{inner[1]}" if inner else key, error.__cause__ or error
        if isinstance(cause, UserError):
            raise cause from error
        if isinstance(cause, (TypeError, ValueError, MisconfigurationException)):
            # A class within another one may be built by that, once it knows the sizes.
            later = isinstance(cause, TypeError) and "missing" in str(cause)
            offer = "; give them, or _partial_: true where they are given later" if later else ""
            raise UserError(f"{place}: {_one_line(cause)}{offer}") from cause
        raise
    except (TypeError, ValueError, MisconfigurationException) as error:
        raise UserError(f"{key}: {_one_line(error)}") from error


def _at(config: DictConfig, key: str) -> Any:
    return OmegaConf.select(config, key) if key else config


def _check_targets(tree: Any, key: str) -> None:
    targets.refuse_references(tree, key)
    for place, node in targets.nodes(tree, key):
        targets.locate(node, place)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())
