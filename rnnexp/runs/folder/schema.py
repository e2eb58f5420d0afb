"""What the files of a run folder may hold.

A kind is a type; `Whole` or `Text`, with bounds; `[kind]`, a list of it; `{str: kind}`, an object
with entries of it; `{"name": kind}`, an object with these entries, if it has them; `Needed`, one
that must have them; or a tuple of kinds, one of them. An entry that is not listed may hold
anything, since a later version may have written it. To record a new entry, add its line.
"""

import reprlib
from dataclasses import dataclass
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

MIB = 1 << 20
LARGEST = {  # bytes of each file; the next comment is the largest of today's runs on real data
    "config.yaml": MIB,  # 3 kB
    "run.json": 64 * MIB,  # 6 kB, and 0.3 kB for each series
    "sweep.json": 64 * MIB,  # 0.4 kB for each job
    "metrics.json": MIB,  # 8 kB
    "digest.json": 512 * MIB,  # 3 MB, after 100,000 steps
    "history.csv": 64 * MIB,  # 10 kB, and 0.1 kB for each epoch
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
    "continued_from": str,
    "resumed": [dict],  # when, and from where in the training
    "other_ground": {str: list},  # what differed when it went on -> [then, now]
    "config_sha256": Text(),
    "files": {str: Text()},  # every other file of a completed run -> SHA-256
    # the environment
    "versions": {str: Text()},
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
METRICS = {str: (float, None)}  # metrics.json; null: the metric has no value
DIGEST = {  # digest.json
    "batch_order": Text(),
    "losses": [Text()],  # hexadecimal, one a training step
    "predictions": {str: Text()},  # name -> SHA-256
    "weights/last": {str: Text()},
    "weights/best": {str: Text()},
}


def fault(value: Any, kind: Any, where: str = "") -> str | None:
    """What of a value is not of its kind, as a clause; None if all of it is."""
    match kind:
        case dict() if isinstance(value, dict) and str in kind:
            if other := [key for key in value if not isinstance(key, str)]:
                return f"{where or 'it'} has the key {reprlib.repr(other[0])}, which is no text"
            odd = [key for key in value if not key.isprintable()]
            if odd and isinstance(kind[str], Text):  # other keys may be names of series
                return f"{where or 'it'} has the key {odd[0]!r}, which is no printable line"
            inner = [(key, value[key], kind[str]) for key in value]
        case dict() if isinstance(value, dict):
            for key in kind if isinstance(kind, Needed) else ():
                if key not in value:
                    return f"{where or 'it'} has no {key}"
            inner = [(key, value[key], kind[key]) for key in kind if key in value]
        case [one] if isinstance(value, list) and isinstance(kind, list):
            inner = [(str(index), each, one) for index, each in enumerate(value)]
        case _:
            return (
                None if _is(value, kind) else f"{where} is {reprlib.repr(value)}, not {_said(kind)}"
            )
    found = (fault(each, one, f"{where}.{key}".lstrip(".")) for key, each, one in inner)
    return next(filter(None, found), None)


def _is(value: Any, kind: Any) -> bool:
    """Whether a value is of a kind; of an object or a list, the outside is of another."""
    match kind:
        case tuple():
            return any(fault(value, one) is None for one in kind)
        case Whole(least, most):
            return type(value) is int and least <= value <= most
        case Text(longest, is_path_inside):
            if not isinstance(value, str) or len(value) > longest or not value.isprintable():
                return False
            return not (is_path_inside and _leaves_its_folder(value))
        case type():
            return type(value) in ((int, float) if kind is float else (kind,))
    return value is kind  # None


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
        case Whole() | Text():
            return str(kind)
    said = {str: "a text", float: "a number", bool: "true or false", dict: "an object"}
    return "null" if kind is None else said.get(kind, f"a {kind.__name__.lower()}")
