"""Shared parts of the argument parsers."""

import argparse
import importlib.util
import os
import re
import sys
from pathlib import Path
from typing import Any, NoReturn

from rnnexp.config.targets import added_packages, search_current_folder
from rnnexp.errors import UserError
from rnnexp.nearest import did_you_mean


class _Parser(argparse.ArgumentParser):
    """A parser whose mistakes are one sentence with the nearest right word."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """A value that begins with a minus, such as -1h, is one, whose command says what is wrong
        with it: argparse takes it for an option."""
        words: list[str] = []
        for word in sys.argv[1:] if args is None else args:
            if re.match(r"-\.?\d", word) and words and re.fullmatch(r"--[\w-]+", words[-1]):
                words[-1] += f"={word}"
            else:
                words.append(word)
        return super().parse_known_args(words, namespace)

    def error(self, message: str) -> NoReturn:
        offer = ""
        if unknown := re.search(r"unrecognized arguments: (.*)", message):
            words = unknown[1].split()
            options = [word for word in words if word.startswith("-")]
            message = f"{self.prog} does not know {(options or words)[0]}"
            if options:
                offer = did_you_mean(options[0].partition("=")[0], self._option_string_actions)
        elif choice := re.search(r"invalid choice: '(.*?)' \(choose from (.*)\)", message):
            known = re.findall(r"[\w-]+", choice[2])
            message = f"{self.prog} does not know {choice[1]}"
            offer = did_you_mean(choice[1], known)
        elif number := re.search(r"argument (\S+): invalid (int|float) value: '(.*)'", message):
            kind = "a whole number" if number[2] == "int" else "a number"
            message = f"{number[1]} {number[3]}: it must be {kind}"
        elif alone := re.search(r"argument (\S+): expected one argument", message):
            message = f"{alone[1]} needs a value"
        raise UserError(f"{message}{offer}; see {self.prog} --help")


def command_parser(module: str, doc: str | None, **settings: Any) -> argparse.ArgumentParser:
    """The parser of a command; `module` and `doc` are the name and the docstring of its module."""
    name = module.rpartition(".")[2]
    summary, _, more = (doc or "").partition("\n")
    return _Parser(
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


def add_config_options(parser: argparse.ArgumentParser) -> None:
    """The options that say which configs there are, beside our own and those in ./conf."""
    parser.add_argument(
        "-cd", "--config-dir", metavar="DIR", type=Path, help="add a folder of configs"
    )
    add_allow(parser)


def add_allow(parser: argparse.ArgumentParser) -> None:
    """The option --allow, for `allow`."""
    parser.add_argument(
        "--allow",
        metavar="PACKAGE",
        action="append",
        default=[],
        help="let configs name classes of this package; its code is executed",
    )


def allow(packages: list[str]) -> None:
    """Allow configs to name classes of these packages, which may be in the current folder. The
    environment variable RNNEXP_ALLOW holds the only list, so that child processes have it too.

    Raises:
        UserError: there is no such package.
    """
    if packages:
        before = [os.environ["RNNEXP_ALLOW"]] if "RNNEXP_ALLOW" in os.environ else []
        os.environ["RNNEXP_ALLOW"] = ",".join(before + packages)
    if added_packages():
        search_current_folder()
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
