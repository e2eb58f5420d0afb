"""What the files of a run folder may hold.

A kind is a type; `Whole`, `Text` or `Tree`, with bounds; `[kind]`, a list of it; `{str: kind}`, an
object with entries of it; `{"name": kind}`, an object with these entries, if it has them; `Needed`,
one that must have them; or a tuple of kinds, one of them. An entry that is not listed may hold
anything, since a later version may have written it. To record a new entry, add its line.
"""

import reprlib
from dataclasses import dataclass
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

from rnnexp.runs.folder.parsing import MOST_NODES

MIB = 1 << 20
LARGEST = {  # bytes of each file; the next comment is the largest of today's runs on real data
    "config.yaml": MIB,  # 3 kB
    "run.json": 64 * MIB,  # 6 kB, and 0.3 kB for each series
    "sweep.json": 64 * MIB,  # 0.4 kB for each job
    "backtest.json": 64 * MIB,  # 20 kB, of one issue time a day for two years
    "metrics.json": MIB,  # 8 kB
    "digest.json": 512 * MIB,  # 3 MB, after 100,000 steps
    "history.csv": 64 * MIB,  # 10 kB, and 0.1 kB for each epoch
    "by_step.csv": MIB,  # of a back-test, as the next three; 20 kB
    "by_hour.csv": MIB,
    "by_series.csv": 64 * MIB,
    "by_fold.csv": MIB,
    "predictions.csv": 1024 * MIB,  # 4 MB
    "kept": 64 * MIB,  # each JSON file of `DataModule.kept`; a vocabulary of 0.4 MB
    "checkpoint": 64 * 1024 * MIB,  # 0.6 GB, memory-mapped
}


@dataclass(frozen=True)
class Whole:
    """A whole number."""

    least: int = -(2**63)
    most: int = 2**63 - 1

    def __str__(self) -> str:
        bounds = f" from {self.least:,} to {self.most:,}" if self != Whole() else ""
        return f"a whole number{bounds}"


@dataclass(frozen=True)
class Text:
    """A text of one line that is printed. is_path_inside: it may become a part of a path, and stays
    inside."""

    longest: int = 1000  # characters
    is_path_inside: bool = False

    def __str__(self) -> str:
        inside = ", which stays inside the folder" if self.is_path_inside else ""
        return f"a line of at most {self.longest:,} printable characters{inside}"


@dataclass(frozen=True)
class Tree:
    """An object of objects, lists and values, of any names."""

    most: int = MOST_NODES  # keys and values

    def __str__(self) -> str:
        return f"an object of at most {self.most:,} values, its keys printable lines"


class Needed(dict[str, Any]):
    """An object that must have these entries."""


METRIC = Needed(name=Text(), lower_is_better=bool)
RUN = {  # run.json
    # how it began and ended
    "status": Text(),  # running, completed, failed, interrupted, pruned
    "argv": [str],
    "started": Text(),  # ISO 8601
    "finished": Text(),
    "pid": Whole(1, 2**31 - 1),
    "host": Text(),
    "error": str,
    "pruned_after": Whole(1),  # epochs
    # what was asked for
    "overrides": [str],
    "changes": [str],  # by `rnnexp rerun DIR KEY=VALUE`
    "choices": {str: Text()},  # config group -> option
    "label": (Text(is_path_inside=True), None),
    "job": Whole(0),  # its number in a sweep
    "trial": Needed(study=Text(), number=Whole(0)),  # of a search
    "rerun_of": str,
    "changed_from": str,
    "backtest_of": str,  # the run whose back-test this one is a fold of
    "continued_from": str,
    "resumed": [dict],  # when, and from where in the training
    "other_ground": {str: list},  # what differed when it went on -> [then, now]
    "config": (Tree(), None),  # what config.yaml holds; null if JSON has no values for it
    "config_sha256": Text(),  # of config.yaml
    "files": {str: Text()},  # every other file of a completed run -> SHA-256
    # the environment
    "versions": {str: Text()},
    "baseline_versions": {str: Text()},  # of packages that decide the results of baselines alone
    "code": {"sha256": Text(), "allowed": {str: (Text(), None)}},
    "device": Text(),
    "kernels": Text(),
    "threads": Whole(1),
    # the data
    "data": (str, [str]),  # where they were
    "vectors": str,
    "fingerprints": {str: Text()},
    "split": {str: dict},
    "left_out": [str],
    "defects": {str: {str: Whole(0)}},  # series -> kind -> how many
    "kept": {str: Text()},  # file -> SHA-256
    # the network and the result
    "spec": {"title": Text(), "tested": Whole(0), "things": Text()},  # and what the task adds
    "headline": [(METRIC, Text())],  # earlier versions: names alone
    "parameters": Whole(0),
    "path": (Text(), None),
    "peak_memory_bytes": (Whole(0), None),
    "seconds": {str: float},
}
SWEEP = Needed(  # sweep.json
    argv=[str],
    started=Text(),
    config_dir=(str, None),  # after --config-dir
    allowed=[Text()],  # packages after --allow
    hydra=[str],  # overrides of Hydra's own settings
    jobs=[
        Needed(
            overrides=[str],
            label=Text(),
            folder=Text(is_path_inside=True),  # in that of the sweep
            config_sha256=Text(),  # of the composed config
        )
    ],
)
BACKTESTED = Needed(  # backtest.json
    status=Text(),  # running, completed
    run=Needed(digest=Text()),  # the run that was tested
    steps=dict,  # horizon, lead, at, every, refit
)
METRICS = {str: (float, None)}  # metrics.json; null: the metric has no value
DIGEST = {  # digest.json
    "batch_order": Text(),
    "losses": [Text()],  # hexadecimal, one a training step
    "predictions": {str: Text()},  # name -> SHA-256
    "weights/last": {str: Text()},
    "weights/best": {str: Text()},
}


def fault(value: Any, kind: Any, where: tuple[object, ...] = ()) -> str | None:
    """What of a value is not of its kind, as a clause; None if all of it is. where: keys and
    indices that lead to the value."""
    inner: list[tuple[object, Any, Any]]  # key or index, value, kind
    match kind if isinstance(value, (dict, list)) else None:
        case dict() if isinstance(value, dict) and str in kind:
            if other := [key for key in value if not isinstance(key, str)]:
                return f"{_named(where)} has the key {reprlib.repr(other[0])}, which is no text"
            odd = [key for key in value if not key.isprintable()]
            if odd and isinstance(kind[str], Text):  # other keys may be names of series
                return f"{_named(where)} has the key {odd[0]!r}, which is no printable line"
            inner = [(key, value[key], kind[str]) for key in value]
        case dict() if isinstance(value, dict):
            for key in kind if isinstance(kind, Needed) else ():
                if key not in value:
                    return f"{_named(where)} has no {key}"
            inner = [(key, value[key], kind[key]) for key in kind if key in value]
        case [one] if isinstance(value, list) and isinstance(kind, list):
            inner = [(index, each, one) for index, each in enumerate(value)]
        case _:
            if _is(value, kind):
                return None
            return f"{_named(where, '')} is {reprlib.repr(value)}, not {_said(kind)}"
    for step, each, one in inner:
        is_inner = isinstance(each, (dict, list))
        if (is_inner or not _is(each, one)) and (wrong := fault(each, one, (*where, step))):
            return wrong
    return None


def _named(where: tuple[object, ...], whole: str = "it") -> str:
    return ".".join(map(str, where)).lstrip(".") or whole


def _is(value: Any, kind: Any) -> bool:
    """Whether a value is of a kind; of an object or a list, the outside is of another."""
    match kind:
        case Text(longest, is_path_inside):
            if not isinstance(value, str) or len(value) > longest or not value.isprintable():
                return False
            return not (is_path_inside and _leaves_its_folder(value))
        case type():
            return type(value) is kind or (kind is float and type(value) is int)
        case tuple():
            return type(value) in kind or any(fault(value, one) is None for one in kind)
        case Whole(least, most):
            return type(value) is int and least <= value <= most
        case Tree(most):
            return isinstance(value, dict) and _is_tree(value, most)
    return value is kind  # None


def _is_tree(tree: dict[Any, Any], most: int) -> bool:
    waiting: list[Any] = [tree]
    for _ in range(most):
        if not waiting:
            return True
        one = waiting.pop()
        if isinstance(one, dict):
            if not all(map(str.isprintable, one)):  # JSON has no other keys than texts
                return False
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one
    return not waiting


def _leaves_its_folder(text: str) -> bool:
    paths = PurePosixPath(text), PureWindowsPath(text)
    return any(path.is_absolute() or path.drive or ".." in path.parts for path in paths)


def _said(kind: Any) -> str:
    """A kind in words."""
    match kind:
        case tuple():
            return " or ".join(map(_said, kind))
        case list():
            return "a list"
        case Needed():
            return f"an object with {' and '.join(kind)}"
        case dict():
            return "an object"
        case Whole() | Text() | Tree():
            return str(kind)
    said = {str: "a text", float: "a number", bool: "true or false", dict: "an object"}
    return "null" if kind is None else said.get(kind, f"a {kind.__name__.lower()}")
