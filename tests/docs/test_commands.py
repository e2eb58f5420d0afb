"""Every `rnnexp train` of the README and of docs/ can be composed."""

import re
import shlex

import pytest

from rnnexp.commands.train import _parser
from rnnexp.errors import UserError
from rnnexp.launching.plan import check_jobs, plan
from tests.support import REPOSITORY

PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
COMMAND = re.compile(
    r"^ {4,}(?:python -m pdb -m )?(rnnexp train .*?[^\\])$", re.MULTILINE | re.DOTALL
)
IN_A_CELL = re.compile(r"`(rnnexp train [^`]*)`")


def commands() -> list[str]:
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        found += [one.replace("\\\n", " ") for one in COMMAND.findall(text)]
        found += IN_A_CELL.findall(text)
    found = [" ".join(command.split()) for command in found]
    return sorted({one for one in found if not one.endswith("=") and "[" not in one})


def test_there_are_commands() -> None:
    assert len(commands()) > 20


@pytest.mark.parametrize("command", [one for one in commands() if "--allow" not in one])
def test_a_command_of_the_pages_composes(command: str) -> None:
    words = shlex.split(command, comments=True)[2:]
    options = _parser().parse_intermixed_args(words)
    try:
        planned = plan(options.overrides, options.multirun)
    except UserError as error:
        if "is not installed" not in str(error):
            raise
        pytest.skip(str(error))
    check_jobs(planned.jobs)
