"""The page of a back-test."""

import os
from pathlib import Path
from typing import Any

import pandas as pd

from rnnexp.errors import UserError
from rnnexp.report.charts import Chart, Curve, chart
from rnnexp.report.page import rendered, value
from rnnexp.report.run import (
    MOST_ROWS,
    Metrics,
    Row,
    baseline_rows,
    column_of,
)
from rnnexp.report.units import in_unit, unit_of, units_of
from rnnexp.runs.folder.reading import read_backtest, read_backtest_table, read_metrics, read_run
from rnnexp.tables import Column, Table

CURVES = {"by_step": "step", "by_hour": "hour"}  # table -> its column of whole numbers
TABLES = {"by_series": "By series", "by_fold": "By fold"}
MOST_CHARTS = 4


def backtest_page(folder: Path) -> str:
    """The HTML of the page about a back-test.

    Raises:
        UserError: a file of it is damaged.
    """
    content = read_backtest(folder)
    metrics = read_metrics(folder) if os.path.exists(folder / "metrics.json") else {}
    charts, tables = [], []
    units = _units(content)
    for name, column in CURVES.items():
        found = read_backtest_table(folder, name)
        charts += [] if found is None else _charts(found, column, units)
    for name, title in TABLES.items():
        found = read_backtest_table(folder, name)
        tables += [] if found is None else [_table(found, title, units)]
    return rendered(
        "backtest.html",
        title=str(content["run"].get("name", folder.parent.name)),
        folder="/".join(folder.resolve().parts[-2:]),
        status=content["status"],
        facts=_facts(content),
        table=_results(metrics, units),
        units=units,
        charts=charts,
        tables=tables,
    )


def _facts(content: dict[str, Any]) -> dict[str, str]:
    """What is said of the back-test, as far as it is recorded."""
    steps, times, folds = (content.get(name) for name in ("steps", "issue_times", "folds"))
    facts = {
        "run": content["run"].get("folder"),
        "data": content.get("data"),
        "forecasts": content.get("forecasts"),
        **{name: found for name, found in (steps or {}).items() if found is not None},
        "first issue time": times[0] if isinstance(times, list) and times else None,
        "last issue time": times[-1] if isinstance(times, list) and times else None,
        "networks": len(folds) if isinstance(folds, list) else None,
        "started": content.get("started"),
        "machine": content.get("device"),
        "seconds": content.get("seconds"),
    }
    return {name: str(found) for name, found in facts.items() if found is not None}


def _units(content: dict[str, Any]) -> dict[str, str]:
    """The units of the metrics, from the run that was tested, if it is still there."""
    try:
        return units_of(read_run(Path(str(content["run"].get("folder", "")))))
    except UserError:
        return {}


def _results(metrics: dict[str, float], units: dict[str, str]) -> Metrics | None:
    """The metrics of all forecasts, and of the baselines on the same ones."""
    prefix = "backtest/"
    names = [
        key.removeprefix(prefix)
        for key in metrics
        if key.startswith(prefix) and key.count("/") == 1
    ]
    if not names:
        return None
    own = Row("back-test", [metrics[f"{prefix}{name}"] for name in names], is_own=True)
    rows = [own, *baseline_rows(metrics, names)]
    return Metrics([(name, unit_of(name, units)) for name in names], rows, [None] * len(names))


def _charts(table: pd.DataFrame, column: str, units: dict[str, str]) -> list[Chart]:
    names = [str(name) for name in table if name != column][:MOST_CHARTS]
    x = column_of(table, column)
    found = [
        chart(f"{in_unit(name, units)} by {column}", [Curve(name, x, y)], x_label=column)
        for name in names
        if x and (y := column_of(table, name))
    ]
    return [one for one in found if one]


def _table(table: pd.DataFrame, title: str, units: dict[str, str]) -> Table:
    numbers = [pd.api.types.is_numeric_dtype(table[name]) for name in table]
    columns = [
        Column(in_unit(str(name), units) if unit_of(str(name), units) else str(name), is_n)
        for name, is_n in zip(table, numbers, strict=True)
    ]
    rows = [
        [
            value(float(x)) if is_n and column != "fold" else str(x)
            for column, x, is_n in zip(table, row, numbers, strict=True)
        ]
        for row in table.head(MOST_ROWS).itertuples(index=False)
    ]
    more = len(table) - MOST_ROWS
    return Table(title, columns, rows, f"{more} more are left out here" if more > 0 else "")
