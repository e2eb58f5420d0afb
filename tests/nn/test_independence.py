"""The networks depend on no other part of the package and on no key of a config."""

import ast
import re
import sys
from pathlib import Path

import pytest

from tests.support import REPOSITORY

ROOT = REPOSITORY / "rnnexp/nn"
FILES = [str(file.relative_to(ROOT)) for file in sorted(ROOT.rglob("*.py"))]
CONFIG_KEY = re.compile(r"(?<![\w.])(model|data|optimizer|trainer)[./]\w|(?<![\w.])model=\w")


def parsed(file: str) -> ast.Module:
    return ast.parse(Path(ROOT, file).read_text(encoding="utf-8"))


def imported(tree: ast.Module) -> set[str]:
    """The modules that a file imports, anywhere in it."""
    names = set[str]()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "a relative import"
            names.add(node.module or "")
    return names


def is_allowed(module: str) -> bool:
    if module == "rnnexp.nn" or module.startswith("rnnexp.nn."):
        return True
    return module.split(".")[0] in {"torch", *sys.stdlib_module_names}


def strings(tree: ast.Module) -> list[str]:
    """All strings, including docstrings and the constant parts of f-strings."""
    constants = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return [value for value in constants if isinstance(value, str)]


def test_there_are_files() -> None:
    assert {"cells.py", "fast/kernels/gated.py"} <= set(FILES)


@pytest.mark.parametrize("file", FILES)
def test_imports(file: str) -> None:
    """Only the standard library, torch and rnnexp.nn."""
    assert {module for module in imported(parsed(file)) if not is_allowed(module)} == set()


@pytest.mark.parametrize("file", FILES)
def test_no_string_names_a_config_key(file: str) -> None:
    assert [text for text in strings(parsed(file)) if CONFIG_KEY.search(text)] == []


@pytest.mark.parametrize(
    "text", ["set model.num_layers=1", "(model/readout=last)", "data.vectors", "model=grunet"]
)
def test_config_keys_are_recognised(text: str) -> None:
    assert CONFIG_KEY.search(text)


@pytest.mark.parametrize("text", ["rnnexp.data.text", "the model. Data are", "bi-model"])
def test_other_strings_are_not_config_keys(text: str) -> None:
    assert not CONFIG_KEY.search(text)
