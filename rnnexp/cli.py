"""The command `rnnexp`: every file of rnnexp/commands itself is a subcommand.

Exit codes: 0 success; 1 a run or a check failed, or two runs differ; 2 a mistake of the user;
3 cannot rerun: names what is missing; 4 repeated in a different environment, with different
results; 130 interrupted; 141 the reader of the output is gone.
"""

import ast
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from rnnexp import __version__
from rnnexp.errors import CannotRerun, RunFailed, UserError
from rnnexp.nearest import did_you_mean
from rnnexp.printing import complain, say
from rnnexp.streams import guarded

# Their exit code is not about what was printed.
RESULT_IS_A_FOLDER = ("train", "test", "rerun", "resume", "search", "backtest")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a subcommand and return its exit code. A mistake of the user is one line on stderr."""
    name, *arguments = list(sys.argv[1:] if argv is None else argv) or ["--help"]
    with guarded() as output:
        code = _answer(name, *arguments)
        output.flush()
        if output.lost is None:
            return code
        if isinstance(output.lost, BrokenPipeError):  # the reader is gone, as with `| head`
            return code if name in RESULT_IS_A_FOLDER else code or 141
        _end(f"the output could not be written: {output.lost.strerror}", code=1)
        return code if name in RESULT_IS_A_FOLDER else code or 1


def _answer(name: str, *arguments: str) -> int:
    try:
        if name in ("-h", "--help"):
            say(_help())
            return 0
        if name == "--version":
            say(f"rnnexp {__version__}")
            return 0
        if name not in commands():
            raise UserError(f"there is no command {name!r}{did_you_mean(name, commands())}")
        return import_module(f"rnnexp.commands.{name}").main(list(arguments))
    except UserError as error:
        return _end(error, code=2)
    except RunFailed as error:
        return _end(error, code=1)
    except CannotRerun as error:
        return _end(error, code=3)
    except KeyboardInterrupt:
        return _end("interrupted", code=130)


def _end(sentence: object, code: int) -> int:
    complain(sentence)
    return code


def commands() -> dict[str, str]:
    """Every subcommand with the first line of its docstring. Nothing is imported, so that
    `rnnexp --help` is instant."""
    files = sorted((Path(__file__).parent / "commands").glob("[!_]*.py"))
    docs = {file.stem: ast.get_docstring(ast.parse(file.read_text("utf-8"))) for file in files}
    return {name: (doc or "").partition("\n")[0].rstrip(".") for name, doc in docs.items()}


def _help() -> str:
    found = commands()
    width = max(map(len, found))
    lines = [f"  {name:<{width}}  {summary}" for name, summary in found.items()]
    return "\n".join(
        [
            "Run, compare and exactly repeat experiments with recurrent neural networks.",
            "",
            "usage: rnnexp COMMAND ...",
            "",
            *lines,
            "",
            "Details: rnnexp COMMAND --help. To begin: rnnexp train",
        ]
    )
