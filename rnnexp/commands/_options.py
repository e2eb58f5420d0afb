"""Shared parts of the argument parsers."""

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from rnnexp.config.targets import added_packages


def command_parser(module: str, doc: str | None, **settings: Any) -> argparse.ArgumentParser:
    """The parser of a command; `module` and `doc` are the name and the docstring of its module."""
    name = module.rpartition(".")[2]
    summary, _, more = (doc or "").partition("\n")
    return argparse.ArgumentParser(
        f"rnnexp {name}",
        description=summary.rstrip("."),
        epilog=" ".join(more.split()),
        **settings,
    )


def folder_parser(module: str, doc: str | None, **settings: Any) -> argparse.ArgumentParser:
    """The parser of a command that loads a run folder."""
    found = command_parser(module, doc, **settings)
    found.add_argument("folder", metavar="DIR", type=Path, help="a run folder")
    add_allow(found)
    return found


def add_allow(parser: argparse.ArgumentParser) -> None:
    """The option --allow, for `allow`."""
    parser.add_argument(
        "--allow",
        metavar="PACKAGE",
        action="append",
        default=[],
        help="allow configs to name classes of this package; its code is executed",
    )


def add_config_options(parser: argparse.ArgumentParser) -> None:
    """The options that say which configs there are, beside our own and those in ./conf."""
    parser.add_argument(
        "-cd", "--config-dir", metavar="DIR", type=Path, help="add a folder of configs"
    )
    add_allow(parser)


def allow(packages: list[str]) -> None:
    """Allow configs to name classes of these packages, which may be in the current folder. The
    environment variable RNNEXP_ALLOW holds the only list, so that child processes have it too."""
    if packages:
        before = [os.environ["RNNEXP_ALLOW"]] if "RNNEXP_ALLOW" in os.environ else []
        os.environ["RNNEXP_ALLOW"] = ",".join(before + packages)
    if added_packages() and os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
