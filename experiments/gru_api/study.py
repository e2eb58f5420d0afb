"""What does torch.nn.GRU do, to the number? Checks every statement, and writes the page of them."""

import argparse
import ast
import inspect
import sys
import textwrap
import traceback
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from experiments import study
from experiments.gru_api import statements
from experiments.gru_api.statements import Statement
from rnnexp.errors import UserError

HERE = Path(__file__).parent
SEED = 0


def main(argv: Sequence[str] | None = None) -> int:
    argparse.ArgumentParser(description=__doc__).parse_args(argv)
    return study.exit_code(answer)


def answer() -> int:
    """Check every statement, and write the page. Returns the exit code: 1 where one is wrong."""
    if sys.flags.optimize:
        raise UserError("python -O leaves the assertions out: run the study without it")
    parts, wrong = [prelude()], []
    for section, its_statements in statements.SECTIONS.items():
        print(f"\n{section}")
        parts.append(f"### {section}")
        for statement in its_statements:
            try:
                parts.append(paragraph(statement, check(statement)))
                print(f"  true   {title(statement)}")
            except Exception:  # torch may answer with any, where it does not do what is stated
                wrong.append(title(statement))
                print(f"  WRONG  {title(statement)}", flush=True)
                traceback.print_exc()
    if wrong:
        print(f"\nstudy: README.md stays as it is; wrong: {'; '.join(wrong)}", file=sys.stderr)
        return 1
    study.write_between_markers(HERE / "README.md", "\n\n".join(parts))
    print(f"\nAll true with {version()}; README.md is written.")
    return 0


def check(statement: Statement) -> dict[str, Any]:
    """The statement's variables. Raises whatever it raises where it is not true.

    Every statement has the same random numbers, whichever come before it.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        return statement()


def version() -> str:
    return f"torch {torch.__version__.partition('+')[0]}"


# The page ---------------------------------------------------------------------------------------


def prelude() -> str:
    """What all statements need: what stands before the first of them in their file."""
    source = inspect.getsource(statements)
    first = next(iter(statements.SECTIONS.values()))[0].__name__
    nodes = ast.parse(source).body[1:]  # without the docstring
    before = list(takewhile(lambda node: getattr(node, "name", "") != first, nodes))
    code = "\n".join(source.splitlines()[before[0].lineno - 1 : before[-1].end_lineno])
    count = sum(map(len, statements.SECTIONS.values()))
    return (
        f"{count} statements, true with {version()}. Each begins with:\n\n"
        f"```python\n{code}\n\n\ntorch.manual_seed({SEED})\n```"
    )


def paragraph(statement: Statement, variables: dict[str, Any]) -> str:
    """Title, explanation and code, with the shapes beside it."""
    explanation = inspect.cleandoc(statement.__doc__ or "").partition("\n\n")[2]
    code = with_shapes(body(statement), variables)
    return f"#### {title(statement)}\n\n{explanation}\n\n```python\n{code}\n```"


def title(statement: Statement) -> str:
    return inspect.cleandoc(statement.__doc__ or "").partition("\n")[0]


def body(statement: Statement) -> str:
    """The statement's code: no docstring, and not the last line, which returns the variables."""
    source = inspect.getsource(statement)
    function = cast(ast.FunctionDef, ast.parse(source).body[0])
    first, last = function.body[0], function.body[-1]
    return textwrap.dedent("\n".join(source.splitlines()[first.end_lineno : last.lineno - 1]))


def with_shapes(code: str, variables: dict[str, Any]) -> str:
    """Beside every line that makes tensors, their shapes: `# output (5, 3, 20), h_n (2, 3, 20)`."""
    lines = code.splitlines()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Assign | ast.For):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            end = node.end_lineno if isinstance(node, ast.Assign) else node.lineno
            parts = [part for target in targets for part in ast.walk(target)]
            names = [part.id for part in parts if isinstance(part, ast.Name) and part.id != "_"]
            if shapes := shapes_of({name: variables[name] for name in names}):
                lines[cast(int, end) - 1] += f"  # {shapes}"
    return "\n".join(lines)


def shapes_of(variables: dict[str, Any]) -> str:
    """Of the tensors, those of one shape together."""
    names: dict[str, list[str]] = {}
    for name, value in variables.items():
        if isinstance(value, PackedSequence):
            names.setdefault(str(tuple(value.data.shape)), []).append(f"{name}.data")
        elif isinstance(value, Tensor):
            names.setdefault(str(tuple(value.shape)), []).append(name)
    return ", ".join(f"{', '.join(same)} {shape}" for shape, same in names.items())


if __name__ == "__main__":
    sys.exit(main())
