"""One leaderboard of a page: its table, parallel coordinates and learning curves."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rnnexp.errors import UserError
from rnnexp.report.baselines import Against, against_baselines, with_unit
from rnnexp.report.charts import WIDE, Chart, Curve, Parallel, chart, parallel
from rnnexp.report.page import link, value
from rnnexp.report.run import MOST_TILES, column_of, epochs_of
from rnnexp.report.settings import text
from rnnexp.report.units import in_unit, unit_of
from rnnexp.runs.comparison.leaderboard import DEVIATION, SEEDS, Entry
from rnnexp.runs.comparison.leaderboard_texts import as_texts, key_columns, short_names
from rnnexp.runs.folder.reading import read_history
from rnnexp.runs.hyperparameters import typed_keys
from rnnexp.tables import number

COLOURS = 8  # of page.css
MOST_CURVES = 60  # in one chart
MOST_LINES = 300  # of parallel coordinates


@dataclass(frozen=True)
class Head:
    """A column: its name, shortened, and the whole one. sorted: by which the table comes, in
    `ascending` or `descending` order; else empty."""

    name: str
    whole: str
    unit: str
    is_number: bool
    sorted: str


@dataclass(frozen=True)
class Cell:
    """value: what sorts the column; a number, or a text if it is none. Empty for no value."""

    text: str
    value: str
    is_number: bool = False


@dataclass(frozen=True)
class Single:
    """A run of a row. url: its folder from the page."""

    name: str
    url: str
    seed: str
    status: str
    values: list[str]
    seconds: str


@dataclass(frozen=True)
class Row:
    """A row of a ranking: runs that differ in the seed alone.

    key: of the row and of its curves. words: what the filter looks at. colour: None for grey.
    """

    key: str
    label: str
    cells: list[Cell]
    runs: list[Single]
    words: str
    colour: int | None


@dataclass(frozen=True)
class BestTile:
    """A metric of the first row; mean and deviation apart. baseline: the best one."""

    name: str
    mean: str
    deviation: str
    unit: str
    baseline: str


@dataclass(frozen=True)
class Ranking:
    """The runs on one test set, best first."""

    title: str
    heads: list[Head]
    metrics: list[tuple[str, str]]  # name and unit
    rows: list[Row]
    parallel: Parallel | None
    curves: Chart | None
    legend: list[Row]
    curves_left_out: int
    best: list[BestTile]
    against: Against
    settings: int  # columns of them, the first of heads
    example: str  # of what one types into the filter


def ranking(
    name: str, title: str, table: pd.DataFrame, groups: list[list[Entry]], output: Path
) -> Ranking:
    """The leaderboard of the runs on one test set.

    name: begins the keys of its rows. table, groups: from `ranked`. output: the page, for links.
    """
    cells = as_texts(table)
    runs = [entry for group in groups for entry in group]
    typed = {key for entry in runs for key in typed_keys(entry.overrides)}
    keys = [key for key in key_columns(table) if _differs(table[key], key in typed)]
    shown = [*keys, *cells.columns[len(key_columns(table)) :]]
    short = short_names(keys)
    metrics = [str(one) for one in shown if f"{one}{DEVIATION}" in table]
    rows = [
        Row(
            key=f"{name}r{place}",
            label=_label(group[0], keys, short),
            cells=[_cell(table[one], cells[one], place) for one in shown],
            runs=[_single(entry, metrics, output) for entry in group],
            words=_words(group, keys, short),
            colour=place if place < COLOURS else None,
        )
        for place, group in enumerate(groups)
    ]
    first = metrics[0] if metrics else None
    pairs = [(row, entry) for row, group in zip(rows, groups, strict=True) for entry in group]
    units = {name: unit for entry in runs for name, unit in entry.units.items() if unit}
    curves, left_out = _curves(pairs, units)
    against = against_baselines(runs)
    lower = any(entry.lower_is_better for entry in runs if entry.headline[:1] == metrics[:1])
    heads = [
        Head(
            name=short.get(one, str(one)),
            whole=str(one),
            unit=unit_of(str(one), units),
            is_number=rows[0].cells[place].is_number,
            sorted=("ascending" if lower else "descending") if one == first else "",
        )
        for place, one in enumerate(shown)
    ]
    return Ranking(
        title=title,
        heads=heads,
        metrics=[(one, unit_of(one, units)) for one in metrics],
        rows=rows,
        parallel=_parallel(pairs, keys, short, first, units) if first else None,
        curves=curves,
        legend=_legend(rows, curves),
        curves_left_out=left_out,
        best=[
            _tile(name, cells[name].iloc[0], units, against)
            for name in metrics[:MOST_TILES]
            if cells[name].iloc[0]
        ],
        against=against,
        settings=len(keys),
        example=f"{short[keys[0]]}={_setting(groups[0][0], keys[0])}" if keys else "",
    )


def _tile(name: str, found: str, units: dict[str, str], against: Against) -> BestTile:
    mean, _, deviation = found.partition(" ± ")
    return BestTile(name, mean, deviation, units.get(name, ""), against.best.get(name, ""))


def _differs(values: pd.Series, is_typed: bool) -> bool:
    """Whether a setting differs. A run that failed early still has `auto`, and others what became
    of it, which is no difference."""
    return len({str(one) for one in values if is_typed or one != "auto"}) > 1


def _short(value: Any) -> str:
    """A setting in few characters; a search draws numbers with all their digits."""
    return number(value) if isinstance(value, float) else text(value)


def _label(entry: Entry, keys: Sequence[str], short: dict[str, str]) -> str:
    parts = [f"{short[key]} {_setting(entry, key)}" for key in keys]
    return ", ".join(parts) or str(entry.config.get("name", ""))


def _setting(entry: Entry, key: str) -> str:
    return _short(entry.shown[key]) if key in entry.shown else "absent"


def _cell(values: pd.Series, texts: pd.Series, place: int) -> Cell:
    found = values.iloc[place]
    if isinstance(found, (int, float, np.number)) and not isinstance(found, bool):
        if np.isnan(found):
            return Cell("", "", True)
        is_setting = f"{found:.10g}" == texts.iloc[place]
        return Cell(_short(found) if is_setting else texts.iloc[place], repr(float(found)), True)
    shown = text(found)
    is_seeds = values.name == SEEDS
    return Cell(texts.iloc[place] if is_seeds else shown, shown, is_number=is_seeds)


def _single(entry: Entry, metrics: Sequence[str], output: Path) -> Single:
    known = [entry.metrics.get(f"test/{name}", np.nan) for name in metrics]
    return Single(
        name=entry.folder.name,
        url=link(entry.folder, output),
        seed="" if entry.seed is None else str(entry.seed),
        status=entry.status,
        values=list(map(value, known)),
        seconds="" if np.isnan(entry.seconds) else f"{entry.seconds:,.1f}",
    )


def _words(group: Sequence[Entry], keys: Sequence[str], short: dict[str, str]) -> str:
    """key=value by the short and the whole key, then statuses, folders and overrides. Not the seed:
    a row is the mean over its seeds, and cannot be that of one of them."""
    words = [f"{key}={_setting(group[0], key)}" for key in keys]
    words += [f"{short[key]}={_setting(group[0], key)}" for key in keys]
    for entry in group:
        overrides = [one for one in entry.overrides if typed_keys([one]) != ["seed"]]
        words += [entry.status, entry.folder.name, *overrides]
    return " ".join(dict.fromkeys(words)).lower()


def _parallel(
    pairs: Sequence[tuple[Row, Entry]],
    keys: Sequence[str],
    short: dict[str, str],
    metric: str,
    units: dict[str, str],
) -> Parallel | None:
    """The settings that differ and the metric of every completed run."""
    done = [
        (row, entry)
        for row, entry in pairs
        if np.isfinite(entry.metrics.get(f"test/{metric}", np.nan))
    ][:MOST_LINES]
    keys = [key for key in keys if len({_setting(entry, key) for _, entry in done}) > 1]
    if len(done) < 2:
        return None
    axis = in_unit(metric, units)
    rows = [
        {short[key]: entry.shown.get(key, "absent") for key in keys}
        | {axis: entry.metrics[f"test/{metric}"]}
        for _, entry in done
    ]
    labels = [
        (row.key, f"{_named(row, entry)}: {with_unit(one[axis], units.get(metric, ''))}")
        for (row, entry), one in zip(done, rows, strict=True)
    ]
    like = next(entry for _, entry in done if entry.headline[:1] == [metric])
    return parallel(rows, [short[key] for key in keys], axis, labels, like.lower_is_better)


def _named(row: Row, entry: Entry) -> str:
    return row.label if entry.seed is None else f"{row.label}, seed {entry.seed}"


def _legend(rows: Sequence[Row], curves: Chart | None) -> list[Row]:
    drawn = {line.curve.key for line in curves.lines} if curves else set()
    return [row for row in rows if row.key in drawn and row.colour is not None]


def _curves(pairs: Sequence[tuple[Row, Entry]], units: dict[str, str]) -> tuple[Chart | None, int]:
    """The monitored metric of every run over the epochs, and how many runs there was no room for.
    Of several metrics, the one that most runs have."""
    named = (str(entry.config.get("monitor") or "val/loss") for _, entry in pairs)
    counts = Counter(name for name in named if name != "auto")  # of runs that failed early
    monitored = counts.most_common(1)[0][0] if counts else "val/loss"
    curves = []
    for row, entry in pairs[:MOST_CURVES]:
        try:
            history = read_history(entry.folder)
        except UserError:  # the run ended before its first epoch
            continue
        if not (values := column_of(history, monitored)):
            continue
        label = _named(row, entry)
        curves.append(
            Curve(
                label,
                epochs_of(history),
                values,
                row.key,
                row.colour,
                note=entry.status * (entry.status != "completed"),
            )
        )
    curves.reverse()  # the best above the others
    title = f"{in_unit(monitored.removeprefix('val/'), units)}, validation"
    return chart(title, curves, size=WIDE), max(0, len(pairs) - MOST_CURVES)
