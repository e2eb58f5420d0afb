"""The rooms of the package: who may import whom, and that none of them is crowded."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.support import REPOSITORY

PACKAGE = REPOSITORY / "rnnexp"
# Each room may import those above it. docs/architecture.md has the same list.
ROOMS = (
    *("nn", "optim", "process", "config", "data"),
    *("callbacks", "tasks", "runs", "launching", "search"),
    *("trace", "export", "report", "commands"),
)
# Beside the rooms: what every room may import, and what the console and the command need.
SHOWING = (
    "callbacks",
    "runs",
    "launching",
    "search",
    "trace",
    "export",
    "report",
    "commands",
)  # rooms that print
LEAVES = ("errors", "nearest", "files", "hashes", "tables", "streams", "printing")
MOST_LINES, MOST_FILES = 400, 15
FILES = sorted(PACKAGE.rglob("*.py"))


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """Line and name of everything that a file imports, inside its functions too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def allowed(room: str) -> set[str]:
    """What the files of a room, or a file beside the rooms, may import of rnnexp."""
    below = set(ROOMS[: ROOMS.index(room)]) if room in ROOMS else set()
    match room:
        case "nn" | "optim":
            return {room, *below}
        case _ if room in LEAVES:
            return set()
        case "__init__" | "__main__":
            return {"runs", "launching", "cli"}
        case _:
            shown = {"console"} if room in SHOWING or room not in ROOMS else set()
            return {room, *below, *shown, *LEAVES, "__version__"}


def test_imports_point_one_way() -> None:
    wrong = [
        f"{path.relative_to(PACKAGE)}, line {line}: {name}"
        for path in FILES
        for line, name in imported(path)
        if name.startswith("rnnexp.") and name.split(".")[1] not in allowed(room_of(path))
    ]
    assert wrong == []


def test_networks_need_torch_alone() -> None:
    standard = {"collections", "dataclasses", "functools", "itertools", "json", "math", "os"}
    standard |= {"__future__", "contextlib", "gc", "pathlib", "shutil", "sys", "typing"}
    standard |= {"warnings", "weakref", "ctypes", "hashlib", "platform", "subprocess", "tempfile"}
    for path in [path for path in FILES if room_of(path) in ("nn", "optim")]:
        for line, name in imported(path):
            first = name.partition(".")[0]
            assert first in {"rnnexp", "torch", *standard}, f"{path}, line {line}: {name}"


def test_tables_are_drawn_in_one_place() -> None:
    for path in FILES:
        if path.relative_to(PACKAGE).as_posix() != "console.py":
            drawn = [name for _, name in imported(path) if name.partition(".")[0] == "rich"]
            assert not drawn, f"{path} imports {drawn}: give rnnexp.tables.Table to the console"


def test_text_is_printed_in_two_places() -> None:
    """So that all of it is printable. Exported programs have no rnnexp beside them."""
    allowed = ("console.py", "printing.py")
    streams = ("sys.stdout.write", "sys.stderr.write", "console.console.print", "console.print")
    wrong = [
        f"{path.relative_to(PACKAGE)}, line {node.lineno}"
        for path in FILES
        if path.name not in allowed and path.parent.name != "programs"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("print", *streams)
    ]
    assert wrong == [], "give it to rnnexp.console or rnnexp.printing"


def test_one_private_module_of_hydra_is_imported_in_one_place() -> None:
    private = [
        (path.name, name)
        for path in FILES
        for _, name in imported(path)
        if "hydra._internal" in name
    ]
    assert private == [("engine.py", "hydra._internal.callbacks.Callbacks")]


def test_no_file_is_long() -> None:
    long = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}
    assert {path: lines for path, lines in long.items() if lines > MOST_LINES} == {}


def test_no_folder_is_crowded() -> None:
    folders = {path.parent for path in FILES}
    counts = {folder: len(list(folder.glob("*.py"))) for folder in folders}
    del counts[PACKAGE / "commands"]  # a file for each subcommand is what one expects there
    assert {folder: count for folder, count in counts.items() if count > MOST_FILES} == {}


def test_every_room_says_what_it_is() -> None:
    for path in FILES:
        doc = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
        assert doc and "TODO" not in doc, path


def test_the_page_has_the_same_rooms_in_the_same_order() -> None:
    page = (REPOSITORY / "docs" / "architecture.md").read_text(encoding="utf-8")
    listed = re.findall(r"^    (\w+)/ ", page, re.MULTILINE)
    assert listed == list(reversed(ROOMS))


def test_the_page_has_two_screens_at_most() -> None:
    page = (REPOSITORY / "docs" / "architecture.md").read_text(encoding="utf-8")
    assert len(page.splitlines()) <= 110
