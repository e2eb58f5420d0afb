"""Show only what differs between two runs: config, data, code, environment, results.

Nothing is trained or tested. Runs that failed or are not finished are compared as far as they were
recorded. Exit code 0: there is no difference, and everything was compared; 1: something differs,
or cannot be compared; 2: a folder is damaged or is not a run folder. With --json, an empty object
stands for no difference and null for what cannot be compared; a run without a value has no entry.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnexp import console
from rnnexp.commands.shared.options import add_allow, allow, command_parser
from rnnexp.files import json_text
from rnnexp.printing import say
from rnnexp.tables import Column, Table, number

if TYPE_CHECKING:
    from rnnexp.runs.comparison.difference import Difference, Pair

SAME, DIFFERENT = 0, 1  # exit codes, as of diff(1)
GROUPS = ("config", "data", "versions", "code", "environment")
HASH, SHORT = re.compile(r"[0-9a-f]{40,}"), 8  # characters of a hash that are shown


def main(argv: list[str]) -> int:
    parser = command_parser(__name__, __doc__)
    parser.add_argument("a", metavar="A", type=Path, help="a run folder")
    parser.add_argument("b", metavar="B", type=Path, help="another one")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    add_allow(parser)
    arguments = parser.parse_args(argv)
    allow(arguments.allow)

    # Late: it imports torch, and --help does without.
    from rnnexp.runs.comparison.difference import difference

    found = difference(arguments.a, arguments.b)
    if arguments.json:
        say(json_text(asdict(found)), end="")
    else:
        console.show(*story(found))
    return DIFFERENT if found else SAME


def story(found: Difference) -> Iterator[Table | str]:
    """The differences as lines and a table, in the order in which a run comes to them."""
    for side, folder in found.runs.items():
        yield f"{side.upper():<14}{folder}"
    if found.status:
        yield f"status        {_sides(found.status)}"
    for group in GROUPS:
        for name, pair in (getattr(found, group) or {}).items():
            yield f"{group:<14}{_plain(name)}: {_sides(pair)}"
    if found.metrics:
        yield _metrics(found.metrics)
    if step := found.first_differing_step:
        epoch = "" if step["epoch"] is None else f"epoch {step['epoch']}, "
        losses = {side: step[side] for side in "ab" if side in step}
        yield f"training      differs from {epoch}step {step['step']} on: loss {_sides(losses)}"
    for kind, one in (found.weights or {}).items():
        count = f"{one['differing']} of {one['of']} tensors differ"
        yield f"weights       {kind}: {count}, first {_plain(one['first'])}"
    for name, pair in (found.predictions or {}).items():
        yield f"predictions   {_plain(name)}: {_sides(pair)}"
    if found.batch_order:
        yield f"batch order   {_sides(found.batch_order)}"
    for side, names in found.edited.items():
        for name in names:
            yield f"edited        {side.upper()}: {_plain(name)} is not as the run wrote it"
    for sentence in found.not_compared:
        yield f"not compared  {sentence}"
    if not found:
        yield "no difference"


def _metrics(pairs: dict[str, Pair]) -> Table:
    rows = []
    for name, pair in pairs.items():
        texts = _texts({side: pair[side] for side in "ab" if side in pair}, _number)
        change = f"{pair['difference']:+.4g}" if "difference" in pair else ""
        rows.append([_plain(name), *(texts.get(side, "absent") for side in "ab"), change])
    columns = [Column("metrics"), *(Column(one, numbers=True) for one in ("A", "B", "B - A"))]
    return Table("", columns, rows)


def _number(value: float) -> str:
    return "no value" if math.isnan(value) else number(value)


def _short(value: Any) -> str:
    is_hash = isinstance(value, str) and HASH.fullmatch(value)
    return value[:SHORT] if is_hash else _plain(value)


def _plain(value: Any) -> str:
    """A text as it is if it stands on one line; anything else as JSON."""
    is_line = isinstance(value, str) and value != "" and value == " ".join(value.split())
    return value if is_line else _exact(value)


def _exact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _sides(pair: Pair) -> str:
    texts = _texts(pair)
    return ", ".join(
        f"{texts[side]} in {side.upper()}" if side in texts else f"absent in {side.upper()}"
        for side in "ab"
    )


def _texts(pair: Pair, shortest: Callable[[Any], str] = _short) -> dict[str, str]:
    """The values of both runs in the first of several forms in which they differ."""
    for form in (shortest, _plain, _exact):
        texts = {side: form(value) for side, value in pair.items()}
        if len(set(texts.values())) == len(pair):
            break
    return texts
