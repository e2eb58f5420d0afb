"""Formats tables of the leaderboard for the console and for Markdown."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from rnnexp.printing import printable
from rnnexp.runs.comparison.leaderboard import DEVIATION, NOT_COMPLETED, SECONDS, SEEDS
from rnnexp.tables import LARGE, Column, Table


def fitted(title: str, table: pd.DataFrame, width: int) -> Table:
    """A table of at most `width` characters, without wrapped cells. Config keys are shortened to
    their last part. Columns are dropped in the reverse of this order: name, first metric, seeds,
    not completed, the keys that distinguish most rows, training time, other metrics, other keys."""
    texts, keys = as_texts(table), key_columns(table)
    heads = short_names(keys)
    metric = next((name for name in texts if f"{name}{DEVIATION}" in table), SECONDS)
    others, keys = texts.columns.drop(keys), _telling(texts[keys])
    first = [keys[0], metric, SEEDS, NOT_COMPLETED, *keys[1:], SECONDS]
    order = dict.fromkeys([*first, *others, *texts])
    shown = [name for name in order if name in texts]
    while len(shown) > 1 and _width(texts[shown].rename(columns=heads)) > width:
        shown.pop()
    left_out = [str(name) for name in texts if name not in shown]
    kept = texts.drop(columns=left_out)
    columns = [
        Column(heads.get(name, name), numbers=pd.api.types.is_numeric_dtype(table[name]))
        for name in map(str, kept)
    ]
    caption = f"no room for {', '.join(left_out)}: see --csv" if left_out else ""
    return Table(title, columns, list(kept.itertuples(index=False)), caption)


def _telling(texts: pd.DataFrame) -> list[str]:
    """The first column, then greedily the column that distinguishes most rows. If no column
    distinguishes more rows, those without empty cells follow, and the others are left out."""
    found, *rest = map(str, texts)
    order = [found]
    while rest:
        apart = {key: len(texts[[*order, key]].drop_duplicates()) for key in rest}
        best = max(rest, key=apart.__getitem__)
        if apart[best] == len(texts[order].drop_duplicates()):
            return [*order, *(key for key in rest if texts[key].all())]
        order.append(best)
        rest.remove(best)
    return order


def _width(texts: pd.DataFrame) -> int:
    """Width of a table in characters; each cell has a border and a space on both sides."""
    names = [(len(printable(str(name))), texts[name].map(printable)) for name in texts]
    return 1 + sum(3 + max(heading, cells.map(len).max()) for heading, cells in names)


def to_markdown(title: str, table: pd.DataFrame) -> str:
    """The whole table in Markdown, below its title."""
    texts = as_texts(table)
    lines = [_row(map(str, texts)), "|" + "---|" * len(texts.columns)]
    lines += map(_row, texts.itertuples(index=False))
    return "\n".join([f"**{title}**", "", *lines, ""])


def _row(cells: Iterable[str]) -> str:
    """A line of a table in Markdown, whatever stands in its cells."""
    texts = (" ".join(cell.split()).replace("|", r"\|") for cell in cells)
    return f"| {' | '.join(texts)} |"


def key_columns(table: pd.DataFrame) -> list[str]:
    """The columns of config keys, which precede `seeds`."""
    names = list(table.columns)
    return names[: names.index(SEEDS)]


def short_names(keys: Sequence[str]) -> dict[str, str]:
    """Each config key by its last part, where that is its own."""
    last = [key.rpartition(".")[2] for key in keys]
    return {key: end if last.count(end) == 1 else key for key, end in zip(keys, last, strict=True)}


def as_texts(table: pd.DataFrame) -> pd.DataFrame:
    """The table as texts: mean and deviation in one cell, and an empty cell for NaN."""
    texts = table[key_columns(table)].map(_exact)
    for name in table.columns[len(texts.columns) :]:
        values = table[name]
        if name == SECONDS:
            texts[name] = values.map(lambda x: "" if np.isnan(x) else f"{x:,.1f}")
        elif f"{name}{DEVIATION}" in table:
            deviations = table[f"{name}{DEVIATION}"].map(lambda x: _rounded(x, digits=2))
            texts[name] = values.map(lambda x: _rounded(x, digits=4))
            texts[name] += deviations.map(lambda text: f" ± {text}" if text else "")
        elif not name.endswith(DEVIATION) and not (name == NOT_COMPLETED and not values.any()):
            texts[name] = values.map(_exact)
    return texts


def _exact(value: Any) -> str:
    if isinstance(value, float):
        return "" if np.isnan(value) else f"{value:.10g}"
    return str(value)


def _rounded(value: float, digits: int) -> str:
    """Rounded to `digits` significant digits; digits before the decimal point are kept, if the
    number is not very large."""
    if np.isnan(value):
        return ""
    if abs(value) >= LARGE:
        return f"{value:.{digits}g}"
    if abs(value) >= 10 ** (digits - 1):
        return f"{value:,.0f}"
    return f"{value:#.{digits}g}".rstrip(".")
