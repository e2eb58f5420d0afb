"""Small variations of a run folder, as a stranger or an accident would make them.

A variation is a place and what stands there instead. Its name says both, so that
`pytest -k NAME` repeats one alone.
"""

import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml

HERE = "PLACE_OF_A_VALUE"  # in the text of a file, until the value is put in
PORT = "PORT_OF_A_SERVER"  # in a value, until a server listens
OUTSIDE = "FOLDER_OUTSIDE"  # in a value, until there is a sandbox: its folder `home`
DEPTH, LENGTH = 5000, 200_000

Change = Callable[[Path, int, Path], None]  # of a run folder; the port, the folder outside


@dataclass(frozen=True)
class Variation:
    name: str
    change: Change

    def __str__(self) -> str:
        return self.name


# Values -------------------------------------------------------------------------------------------


def text(value: str) -> str:
    """A string in JSON, which is one in YAML too."""
    return json.dumps(value)


VALUES = {  # name -> JSON text
    "null": "null",
    "true": "true",
    "zero": "0",
    "negative": "-1",
    "fraction": "0.37",
    "huge_float": "1e300",
    "int_of_64_bits": str(2**63),
    "int_of_30_digits": "1" + "0" * 30,
    "int_of_9000_digits": "9" * 9000,
    "nan": "NaN",
    "infinity": "-Infinity",
    "no_text": text(""),
    "a_word": text("anything"),
    "a_number_in_text": text("12"),
    "empty_list": "[]",
    "empty_dict": "{}",
    "a_list": text("x").join(["[1, ", ", null]"]),
    "a_dict": '{"a": 1, "b": [2]}',
    "deep_list": "[" * DEPTH + "]" * DEPTH,
    "deep_dict": '{"a": ' * DEPTH + "1" + "}" * DEPTH,
    "long_text": text("long " * (LENGTH // 5)),
    "long_list": "[" + "0, " * 20_000 + "0]",
    "escapes": text("\x1b]0;title\x07\x1b[2J\x1b[31mred\x9b1m\r"),
    "bidi": text("abc\u202etxt.exe\u2066\u2069"),
    "nul": text("a\x00b"),
    "surrogate": text("a\ud800b"),
    "markup": text("[/b] [red]red[/red] [link=file:///x]x[/link] :smile: [/]"),
    "percent": text("%s %(name)s {} {0.__class__} %n"),
    "forged_sentence": text("first\nrnnexp: forged"),
    "home": text("~/planted"),
    "parent": text("../../../planted"),
    "absolute": text(f"{OUTSIDE}/planted"),
    "etc": text("/etc/planted"),
    "file_url": text(f"file://{OUTSIDE}/planted"),
    "http": text(f"http://127.0.0.1:{PORT}/planted"),
    "memory_file": text("memory://planted/x"),
    "share": text("\\\\127.0.0.1\\planted"),
    "variable": text("${oc.env:TOKEN}"),
    "variable_in_text": text("a ${oc.env:TOKEN,none} b"),
    "itself": text("${data}"),
    "other_key": text("${seed}"),
    "resolver": text("${oc.decode:'${oc.env:TOKEN}'}"),
    "open_brace": text("${"),
    "os_system": '{"_target_": "os.system", "command": "touch ' + OUTSIDE + '/planted"}',
    "evaluation": '{"_target_": "builtins.eval", "_args_": ["1/0"]}',
    "popen": '{"_target_": "subprocess.Popen", "args": ["touch", "' + OUTSIDE + '/planted"]}',
    "torch_load": '{"_target_": "torch.load", "f": "checkpoints/best.ckpt"}',
    "import": '{"_target_": "rnnexp.data.sources.names.Path.home"}',
    "method": '{"_target_": "hydra.utils.get_object", "path": "os.system"}',
    "partial": '{"_target_": "functools.partial", "_partial_": true}',
    "checkpointer": '{"_target_": "pytorch_lightning.callbacks.ModelCheckpoint", "dirpath": "'
    + OUTSIDE
    + '/planted"}',
    "csv_logger": '{"_target_": "pytorch_lightning.loggers.CSVLogger", "save_dir": "'
    + OUTSIDE
    + '/planted"}',
}
# In the order in which places meet them: neighbours get values of different kinds.
NAMES_OF_VALUES = sorted(VALUES, key=lambda name: list(VALUES).index(name) * 17 % len(VALUES))


def yaml_of(value: str) -> str:
    """A value of `VALUES` in YAML."""
    return {"NaN": ".nan", "-Infinity": "-.inf"}.get(value, value)


# Places in a tree ---------------------------------------------------------------------------------

Steps = tuple[str | int, ...]


def places(tree: Any, steps: Steps = ()) -> Iterator[Steps]:
    """Every node and leaf below the root. Of a list, the first item stands for the others."""
    branches: Iterable[tuple[str | int, Any]] = ()
    if isinstance(tree, dict):
        branches = tree.items()
    elif isinstance(tree, list):
        branches = list(enumerate(tree))[:1]
    for step, branch in branches:
        yield (*steps, step)
        yield from places(branch, (*steps, step))


def replaced(tree: Any, steps: Steps, value: Any) -> Any:
    """The tree with another value at a place, which may be a new one."""
    if not steps:
        return value
    first, *rest = steps
    if isinstance(tree, list):
        return [replaced(x, tuple(rest), value) if i == first else x for i, x in enumerate(tree)]
    branch = replaced(tree.get(first, {}), tuple(rest), value)
    return {**tree, first: branch}


def removed(tree: Any, steps: Steps) -> Any:
    """The tree without what stands at a place."""
    first, *rest = steps
    if rest:
        return replaced(tree, (first,), removed(tree[first], tuple(rest)))
    if isinstance(tree, list):
        return [branch for number, branch in enumerate(tree) if number != first]
    return {key: branch for key, branch in tree.items() if key != first}


def read_tree(path: Path) -> Any:
    content = path.read_text(encoding="utf-8")
    return yaml.safe_load(content) if path.suffix == ".yaml" else json.loads(content)


def write_tree(path: Path, tree: Any, value: str = "") -> None:
    """Write a tree, with the JSON text of a value in the place of `HERE`."""
    if path.suffix == ".yaml":
        content = yaml.safe_dump(tree, sort_keys=False).replace(HERE, yaml_of(value))
    else:
        content = json.dumps(tree, indent=1).replace(f'"{HERE}"', value)
    path.write_text(content, encoding="utf-8")


def filled(value: str, port: int, outside: Path) -> str:
    return value.replace(PORT, str(port)).replace(OUTSIDE, str(outside))


def dotted(steps: Steps) -> str:
    return ".".join(re.sub(r"\W+", "_", str(step), flags=re.ASCII) for step in steps)


def with_value(file: str, steps: Steps, name: str) -> Variation:
    def change(folder: Path, port: int, outside: Path) -> None:
        tree = replaced(read_tree(folder / file), steps, HERE)
        write_tree(folder / file, tree, filled(VALUES[name], port, outside))

    return Variation(f"{file}-{dotted(steps)}-{name}", change)


def without(file: str, steps: Steps) -> Variation:
    def change(folder: Path, port: int, outside: Path) -> None:
        write_tree(folder / file, removed(read_tree(folder / file), steps))

    return Variation(f"{file}-{dotted(steps)}-removed", change)


def with_key(file: str, steps: Steps, name: str) -> Variation:
    """A new key beside the others, whose name is the odd one."""

    def change(folder: Path, port: int, outside: Path) -> None:
        key = "KEY_OF_A_VALUE"
        write_tree(folder / file, replaced(read_tree(folder / file), (*steps, key), 1))
        content = (folder / file).read_text(encoding="utf-8")
        odd = filled(VALUES[name], port, outside)
        content = re.sub(f'"?{key}"?', lambda _: odd, content)
        (folder / file).write_text(content, encoding="utf-8")

    return Variation(f"{file}-{dotted(steps)}-key_{name}", change)


def spread(file: str, steps: Iterable[Steps], each: int = 1) -> Iterator[Variation]:
    """`each` values at every place, and every sixth place without any. All values occur, equally
    often, and the choice is the same every time."""
    turn = 0
    for number, place in enumerate(steps):
        for _ in range(each):
            yield with_value(file, place, NAMES_OF_VALUES[turn % len(NAMES_OF_VALUES)])
            turn += 1
        if number % 6 == 0:
            yield without(file, place)


# Files --------------------------------------------------------------------------------------------


def _remove(path: Path) -> None:
    path.unlink()


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x40
    path.write_bytes(bytes(content))


def _zero(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def _other_encoding(path: Path) -> None:
    path.write_bytes("\ufeffa: ü\n".encode("utf-16"))


def _grow(path: Path) -> None:
    os.truncate(path, 5 * 2**30)  # sparse: it takes no space


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _link(path: Path, target: Path | str) -> None:
    path.unlink()
    path.symlink_to(target)


def _link_nowhere(path: Path) -> None:
    _link(path, "/nowhere/at/all")


def _link_to_itself(path: Path) -> None:
    _link(path, path.name)


def _endless(path: Path) -> None:
    _link(path, "/dev/zero")


def _link_to_a_terminal(path: Path) -> None:
    _link(path, "/dev/tty")


DAMAGE = {
    "removed": _remove,
    "empty": _empty,
    "truncated": _truncate,
    "flipped": _flip,
    "zeros": _zero,
    "utf_16": _other_encoding,
    "of_5_GiB": _grow,
    "a_folder": _folder,
    "a_pipe": _pipe,
    "a_link_nowhere": _link_nowhere,
    "a_link_to_itself": _link_to_itself,
    "a_link_to_zeros": _endless,
    "a_link_to_a_terminal": _link_to_a_terminal,
}


def damaged(file: str, name: str) -> Variation:
    return Variation(f"{file}-{name}", lambda folder, port, outside: DAMAGE[name](folder / file))


def written(file: str, name: str, content: str | bytes | Callable[[str], str]) -> Variation:
    """A file with another text; a function changes the text that it has."""

    def change(folder: Path, port: int, outside: Path) -> None:
        path = folder / file
        new = content(path.read_text(encoding="utf-8")) if callable(content) else content
        if isinstance(new, str):
            new = filled(new, port, outside).encode("utf-8", "surrogatepass")
        path.write_bytes(new)

    return Variation(f"{file}-{name}", change)


def linked_out(file: str) -> Variation:
    """A link to a file of the user's."""

    def change(folder: Path, port: int, outside: Path) -> None:
        shutil.copy(folder / file, outside / "theirs")
        _link(folder / file, outside / "theirs")

    return Variation(f"{file}-a_link_out", change)


# YAML of its own kind -----------------------------------------------------------------------------

LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
)
YAML_TEXTS: dict[str, Callable[[str], str]] = {
    "laughs_at_the_top": lambda old: LAUGHS + old,
    "laughs_in_data": lambda old: old.replace(
        "data:\n", "data:\n" + "".join(f"  {line}\n" for line in LAUGHS.splitlines()), 1
    ),
    "an_alias_of_itself": lambda old: old.replace("data:\n", "data: &d\n  again: *d\n", 1),
    "a_list_of_itself": lambda old: old.replace("seed: 0", "seed: &s [*s]", 1),
    "a_merge_of_itself": lambda old: old.replace("data:\n", "data: &d\n  <<: *d\n", 1),
    "python_object": lambda old: old.replace(
        "seed: 0", f"seed: !!python/object/apply:os.system ['touch {OUTSIDE}/planted']", 1
    ),
    "python_name": lambda old: old.replace("seed: 0", "seed: !!python/name:os.system", 1),
    "a_tag": lambda old: old.replace("seed: 0", "seed: !unknown 0", 1),
    "a_date": lambda old: old.replace("seed: 0", "seed: 2020-01-01", 1),
    "bytes": lambda old: old.replace("seed: 0", "seed: !!binary aGVsbG8=", 1),
    "a_set": lambda old: old.replace("seed: 0", "seed: !!set {a, b}", 1),
    "a_key_twice": lambda old: old + "seed: 1\n",
    "a_list_as_key": lambda old: old + "? [a, b]\n: 1\n",
    "a_dict_as_key": lambda old: old + "? {a: b}\n: 1\n",
    "two_documents": lambda old: old + "---\nseed: 1\n",
    "a_list_alone": lambda old: "- 1\n- 2\n",
    "a_text_alone": lambda old: "only a text\n",
    "deep_blocks": lambda old: "".join(" " * n + f"k{n}:\n" for n in range(800)),
    "many_brackets": lambda old: old + "x: " + "[" * 20_000,
    "many_keys": lambda old: old + "".join(f"key{n}: {n}\n" for n in range(20_000)),
    "a_long_number": lambda old: old.replace("seed: 0", f"seed: {'9' * 200_000}", 1),
    "base_60": lambda old: old.replace("seed: 0", "seed: 1:2:3", 1),
    "hexadecimal": lambda old: old.replace("seed: 0", "seed: 0x" + "f" * 100_000, 1),
    "a_directive": lambda old: "%YAML 9.9\n---\n" + old,
    "raw_escapes": lambda old: old.replace("seed: 0", "seed: 0 \x1b[2J", 1),
    "a_reference_in_a_key": lambda old: old + '"${oc.env:TOKEN}": 1\n',
}

JSON_TEXTS: dict[str, Callable[[str], str]] = {
    "a_list_alone": lambda old: "[1, 2]",
    "a_number_alone": lambda old: "12",
    "null_alone": lambda old: "null",
    "a_key_twice": lambda old: old.rstrip().removesuffix("}") + ', "status": "failed"}',
    "many_brackets": lambda old: "[" * 200_000,
    "text_behind": lambda old: old + "more",
    "blanks": lambda old: old + " " * LENGTH,
    "no_object": lambda old: "{}",
}

CSV_TEXTS: dict[str, Callable[[str], str]] = {
    "a_column_less": lambda old: re.sub(r"^[^,\n]*,", "", old, flags=re.MULTILINE),
    "words": lambda old: re.sub(r"\d+", "word", old),
    "one_long_line": lambda old: old.partition("\n")[0] + "\n" + "1," * LENGTH,
    "raw_escapes": lambda old: old.replace("epoch", "epoch\x1b[2J", 1) + "\x1b]0;x\x07,1\n",
    "huge_numbers": lambda old: re.sub(r"\d+", "9" * 400, old),
    "an_open_quote": lambda old: old + '"open,1,2\n' * 3,
    "a_nul": lambda old: old.replace(",", ",\x00", 1),
    "only_a_head": lambda old: old.partition("\n")[0] + "\n",
}

# Checkpoints --------------------------------------------------------------------------------------


class Planted:
    """What an unpickler that trusts its file would call."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return os.system, (self.command,)


def with_state(name: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Variation:
    """best.ckpt with another content."""

    def changed(folder: Path, port: int, outside: Path) -> None:
        path = folder / "checkpoints" / "best.ckpt"
        content = change(torch.load(path, weights_only=True))
        for planted in [one for one in content.values() if isinstance(one, Planted)]:
            planted.command = filled(planted.command, port, outside)
        torch.save(content, path)

    return Variation(f"checkpoints/best.ckpt-{name}", changed)


def _each(change: Callable[[torch.Tensor], Any]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def changed(content: dict[str, Any]) -> dict[str, Any]:
        state = {name: change(one) for name, one in content["state_dict"].items()}
        return {**content, "state_dict": state}

    return changed


def _deep(content: dict[str, Any]) -> dict[str, Any]:
    deep: list[Any] = []
    for _ in range(300):
        deep = [deep]
    return {**content, "deep": deep}


def _renamed(content: dict[str, Any]) -> dict[str, Any]:
    state = {f"{name}\x1b[2J\nrnnexp: forged": x for name, x in content["state_dict"].items()}
    return {**content, "state_dict": state}


CHECKPOINTS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "code": lambda content: {**content, "planted": Planted(f"touch {OUTSIDE}/planted")},
    "no_format": lambda content: {"state_dict": content["state_dict"]},
    "format_of_the_future": lambda content: {**content, "rnnexp_format": 99},
    "format_list": lambda content: {**content, "rnnexp_format": [1]},
    "no_state": lambda content: {**content, "state_dict": None},
    "a_list_of_weights": lambda content: {
        **content,
        "state_dict": list(content["state_dict"].values()),
    },
    "number_as_name": lambda content: {
        **content,
        "state_dict": dict(enumerate(content["state_dict"].values())),
    },
    "renamed": _renamed,
    "deep": _deep,
    "nan": _each(lambda one: torch.full_like(one, float("nan"))),
    "infinity": _each(lambda one: torch.full_like(one, float("inf"))),
    "half": _each(torch.Tensor.half),
    "bytes": _each(torch.Tensor.byte),
    "complex": _each(lambda one: one.to(torch.complex64)),
    "sparse": _each(lambda one: one.to_sparse()),
    "meta": _each(lambda one: one.to("meta")),
    "empty": _each(lambda one: one[:0]),
    "flat": _each(torch.Tensor.flatten),
    # One number that pretends to be a matrix of 40 GB.
    "expanded": _each(lambda one: one.flatten()[:1].expand(100_000, 100_000)),
    "expanded_shape": _each(lambda one: one.flatten()[:1].expand(one.shape)),
    "large": _each(lambda one: torch.zeros(3000, 3000)),
    "parameters": _each(lambda one: torch.nn.Parameter(one)),
    "texts": _each(lambda one: "text"),
}
