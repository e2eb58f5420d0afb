"""The page of one run."""

import os
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rnnexp.config.targets import locate
from rnnexp.errors import UserError
from rnnexp.report import settings
from rnnexp.report.charts import Chart, Curve, chart
from rnnexp.report.figures import Drawn, drawn_again
from rnnexp.report.page import link, rendered, value
from rnnexp.report.repeated import repetition
from rnnexp.runs.folder.reading import (
    read_end_of_log,
    read_history,
    read_metrics,
    read_plain_config,
    read_run,
    status_now,
)
from rnnexp.runs.folder.schema import RUN
from rnnexp.tasks.metric import unit_beside

MOST_ROWS = 60  # of a table of series or classes
LOG_LINES = 40
MOST_CHARTS, MOST_TILES = 6, 4


@dataclass(frozen=True)
class Row:
    """A row of a table of metrics. values: None where there is none."""

    name: str
    values: list[float | None]
    is_own: bool = False


@dataclass(frozen=True)
class Tile:
    """A result, and that of the best baseline."""

    name: str
    value: float | None
    unit: str
    baseline: str = ""
    baseline_value: float | None = None


@dataclass(frozen=True)
class Metrics:
    """A table of metrics. heads: name and unit. best: the row with the best value, by column."""

    heads: list[tuple[str, str]]
    rows: list[Row]
    best: list[int | None]
    more: int = 0  # rows that are left out


def run_page(folder: Path, output: Path) -> str:
    """The HTML of the page about a run. output: the file that it will be, for its links.

    Raises:
        UserError: the folder is not a run folder, or a file in it is damaged.
    """
    run = read_run(folder)
    status = status_now(folder, run)
    config = _config(folder, run)
    metrics = read_metrics(folder) if os.path.exists(folder / "metrics.json") else {}
    history = read_history(folder) if os.path.exists(folder / "history.csv") else None
    table = results(run, metrics)
    ceilings = _ceilings(config)
    done = status == "completed"
    figures = drawn_again(folder) if done else Drawn()
    again = repetition(folder, run) if done else None
    log = "" if done else "\n".join(read_end_of_log(folder).splitlines()[-LOG_LINES:])
    return rendered(
        "run.html",
        title=str(config.get("name", folder.parent.name)),
        label=run.get("label") or "",
        folder="/".join(folder.resolve().parts[-2:]),
        run=dict.fromkeys(RUN) | run,
        tested_on=run.get("spec", {}).get("title"),
        checkpoint="best" if config.get("monitor") else "last",
        commit=run.get("code", {}).get("commit"),
        status=status,
        commands=commands(run),
        table=table,
        tiles=tiles(run, table, ceilings),
        ceilings=[one.replace("_", " ") for one in ceilings],
        parts=parts(run, metrics),
        others=other_metrics(run, metrics),
        charts=curves(history, config, run) if history is not None else [],
        drawn=figures,
        changed=settings.changed(config, run) if config else None,
        cleaning=config.get("data", {}).get("cleaning", {}) if config else {},
        config=settings.whole(config) if config else "",
        series=_series(run),
        repetition=again,
        again=link(again.folder, output) if again else "",
        log=log,
    )


def _config(folder: Path, run: dict[str, Any]) -> dict[str, Any]:
    """The config; empty if the run ended before it was written."""
    if not run.get("config") and not os.path.exists(folder / "config.yaml"):
        return {}
    return read_plain_config(folder, run)


def commands(run: dict[str, Any]) -> dict[str, str]:
    """What was typed and, of a job among others, what it is alone."""
    argv = run.get("argv", [])
    found = {}
    if argv:
        is_ours = Path(argv[0]).name in ("rnnexp", "__main__.py")
        found["typed"] = shlex.join(["rnnexp", *argv[1:]] if is_ours else argv)
    if run.get("overrides") and ("job" in run or "trial" in run):
        found["this run alone"] = shlex.join(["rnnexp", "train", *run["overrides"]])
    return found


# Results ------------------------------------------------------------------------------------------


def headline(run: dict[str, Any]) -> list[dict[str, Any]]:
    return [one for one in run.get("headline", []) if isinstance(one, dict)]


def results(run: dict[str, Any], metrics: dict[str, float]) -> Metrics | None:
    """The headline metrics of the run and of its baselines; None without a test."""
    shown = [one for one in headline(run) if f"test/{one['name']}" in metrics]
    if not shown:
        return None
    names = [str(one["name"]) for one in shown]
    rows = [Row("this run", [metrics[f"test/{name}"] for name in names], is_own=True)]
    rows += baseline_rows(metrics, names)
    best = [
        _best([row.values[column] for row in rows], bool(one["lower_is_better"]))
        for column, one in enumerate(shown)
    ]
    units = units_of(run)
    return Metrics([(name, unit_of(name, units)) for name in names], rows, best)


def _ceilings(config: dict[str, Any]) -> tuple[str, ...]:
    """The baselines that know the test set, which no run can be asked to beat."""
    try:
        return getattr(locate(config["task"], "task"), "ceilings", ())
    except (UserError, KeyError, TypeError):  # a class that is not here, or no class at all
        return ()


def tiles(run: dict[str, Any], table: Metrics | None, ceilings: Sequence[str] = ()) -> list[Tile]:
    """The first results, each with the best baseline that does not know the test set."""
    found: list[Tile] = []
    if table is None:
        return found
    directions = {str(one["name"]): bool(one["lower_is_better"]) for one in headline(run)}
    units = units_of(run)
    own, *others = table.rows
    others = [row for row in others if row.name.replace(" ", "_") not in ceilings]
    for column, (name, _) in list(enumerate(table.heads))[:MOST_TILES]:
        known = [row for row in others if row.values[column] == row.values[column] is not None]
        sign = 1 if directions[name] else -1
        best = min(known, key=lambda row: sign * (row.values[column] or 0.0), default=None)
        tile = Tile(name, own.values[column], units[name])
        if best:
            tile = replace(tile, baseline=best.name, baseline_value=best.values[column])
        found.append(tile)
    return found


def _best(values: list[float | None], lower_is_better: bool) -> int | None:
    known = {index: x for index, x in enumerate(values) if x is not None and x == x}
    if len(known) < 2:
        return None
    return (min if lower_is_better else max)(known, key=known.__getitem__)


def baseline_rows(metrics: dict[str, float], names: Sequence[str]) -> list[Row]:
    """A row for each baseline, with its metrics of these names."""
    keys = [key.split("/") for key in metrics if key.startswith("baseline/")]
    return [
        Row(one.replace("_", " "), [metrics.get(f"baseline/{one}/{name}") for name in names])
        for one in dict.fromkeys(key[1] for key in keys)
    ]


def unit_of(name: str, units: Mapping[str, str]) -> str:
    """The unit of a metric, where its name does not say it, as mae_MW does."""
    return unit_beside(name, units.get(name, ""))


def units_of(run: dict[str, Any]) -> dict[str, str]:
    """The units of the headline metrics."""
    return {str(one["name"]): str(one.get("unit") or "") for one in headline(run)}


def parts(run: dict[str, Any], metrics: dict[str, float]) -> Metrics | None:
    """The test metrics of single series, classes or groups; None if there are none."""
    names = [key.split("/", 2) for key in metrics if key.startswith("test/")]
    split = [(name[1], name[2]) for name in names if len(name) == 3]
    if not split:
        return None
    units = units_of(run)
    columns = list(dict.fromkeys(name for name, _ in split))
    labels = list(dict.fromkeys(part for _, part in split))
    rows = [
        Row(part, [metrics.get(f"test/{name}/{part}") for name in columns])
        for part in labels[:MOST_ROWS]
    ]
    heads = [(name, unit_of(name, units)) for name in columns]
    return Metrics(heads, rows, [None] * len(columns), max(0, len(labels) - MOST_ROWS))


def other_metrics(run: dict[str, Any], metrics: dict[str, float]) -> list[tuple[str, str]]:
    """The metrics of the test and of the validation that no other table shows."""
    shown = {f"test/{one['name']}" for one in headline(run)}
    return [
        (name, value(found) or "no value")
        for name, found in metrics.items()
        if name.count("/") == 1 and name not in shown
    ]


# Learning curves ----------------------------------------------------------------------------------


def curves(history: pd.DataFrame, config: dict[str, Any], run: dict[str, Any]) -> list[Chart]:
    """The loss over the epochs, and the metrics of the headline on the validation data."""
    epochs = epochs_of(history)
    loss = [
        Curve(label, epochs, values, key=name, colour=colour)
        for name, label, colour in (("train/loss", "training", 1), ("val/loss", "validation", 0))
        if (values := column_of(history, name))
    ]
    monitor, mode = config.get("monitor"), config.get("mode")
    names = dict.fromkeys(
        [str(monitor)] * bool(monitor) + [f"val/{one['name']}" for one in headline(run)]
    )
    units = units_of(run)
    found = [chart("loss", loss, mark=_mark(history, "val/loss", monitor, mode))]
    for name in [name for name in names if name != "val/loss"][: MOST_CHARTS - 1]:
        if values := column_of(history, name):
            metric = name.removeprefix("val/")
            unit = unit_of(metric, units)
            title = f"{metric}{f' in {unit}' if unit else ''}, validation"
            one = Curve("validation", epochs, values, key=name)
            found.append(chart(title, [one], mark=_mark(history, name, monitor, mode)))
    return [one for one in found if one]


def epochs_of(history: pd.DataFrame) -> list[float]:
    """The number of each epoch, from 1."""
    return [x + 1 for x in column_of(history, "epoch") or range(len(history))]


def column_of(history: pd.DataFrame, name: str) -> list[float]:
    if name not in history or not pd.api.types.is_numeric_dtype(history[name]):
        return []
    return [float(x) for x in history[name]]


def _mark(
    history: pd.DataFrame, name: str, monitor: Any, mode: Any
) -> tuple[float, float, str] | None:
    """The best epoch, on the curve that decides it."""
    values = column_of(history, name)
    if name != monitor or not any(x == x for x in values):
        return None
    best = int(np.nanargmin(values) if mode == "min" else np.nanargmax(values))
    return epochs_of(history)[best], values[best], f"best: {value(values[best])}"


# Data ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Data:
    """A table of the series, or of the parts of documents."""

    heads: list[str]
    rows: list[list[str]]
    more: int


def _series(run: dict[str, Any]) -> Data | None:
    split, defects = run.get("split", {}), run.get("defects", {})
    names = [name for name, part in split.items() if isinstance(part, dict)]
    if not names:
        return None
    keys = _keys(split[name] for name in names)
    found = [key for key in _keys(defects.values()) if key]
    rows = [
        [
            name,
            *(_cell(split[name].get(key, "")) for key in keys),
            *(_cell(defects.get(name, {}).get(key, 0)) for key in found),
        ]
        for name in names[:MOST_ROWS]
    ]
    heads = [key.replace("_", " ") for key in [*keys, *found]]
    return Data(["", *heads], rows, max(0, len(names) - MOST_ROWS))


def _keys(objects: Iterable[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(key for one in objects for key in one if key != "sha256"))


def _cell(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return str(value).replace("T", " ") if isinstance(value, str) else settings.text(value)
