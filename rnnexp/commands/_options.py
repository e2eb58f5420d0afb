"""What the parsers of several commands share."""

import argparse
import importlib.util
import os
import sys
from pathlib import Path
from typing import Any

from rnnexp.config.targets import added_packages
from rnnexp.errors import UserError


def command_parser(module: str, doc: str | None, **settings: Any) -> argparse.ArgumentParser:
    """The parser of a command, from the name and the docstring of its module."""
    name = module.rpartition(".")[2]
    summary, _, more = (doc or "").partition("\n")
    return argparse.ArgumentParser(
        f"rnnexp {name}",
        description=summary.rstrip("."),
        epilog=" ".join(more.split()),
        **settings,
    )


def folder_parser(module: str, doc: str | None, **settings: Any) -> argparse.ArgumentParser:
    """The parser of a command that builds what a run folder names."""
    found = command_parser(module, doc, **settings)
    found.add_argument("folder", metavar="DIR", type=Path, help="a run folder")
    found.add_argument(
        "--allow",
        metavar="PACKAGE",
        action="append",
        default=[],
        help="let classes of this package of yours be built; its code is run",
    )
    return found


def allow(packages: list[str]) -> None:
    """Let configs name classes of these packages. The list is in the environment, so that there is
    one; a package of it may lie in the current folder.

    Raises:
        UserError: there is no such package.
    """
    if packages:
        before = [os.environ["RNNEXP_ALLOW"]] if "RNNEXP_ALLOW" in os.environ else []
        os.environ["RNNEXP_ALLOW"] = ",".join(before + packages)
    if added_packages() and os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    for name in [name.strip() for one in packages for name in one.split(",")]:
        if not _is_there(name):
            raise UserError(
                f"--allow {name}: there is no package or module of this name, in the current "
                f"folder ({os.getcwd()}) or where Python looks for packages (PYTHONPATH, and those "
                "that are installed)"
            )


def _is_there(name: str) -> bool:
    try:
        return importlib.util.find_spec(name.partition(".")[0]) is not None
    except (ImportError, ValueError):  # ValueError: it is empty
        return False
