"""`rnnexp leaderboard [DIR ...]`: all runs as one table.

Runs that differ in their seed alone are one row, with mean and standard deviation; runs on the
same data stand in one table, best first by the task's own metric; failed and interrupted runs are
counted, not hidden; only the config keys that differ are columns.
"""

import json
import os
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.table import Table

from rnnexp.errors import UserError
from rnnexp.experiment import hyperparameters
from rnnexp.record import read_config, read_metrics, read_run

DEVIATION = " sd"  # the end of the name of a deviation's column
MOST_KEYS = 5  # config keys in a table on the console
LOWER_IS_BETTER = ("smape", "mape", "mae", "rmse", "loss")  # how the names of errors begin


@dataclass(frozen=True)
class Entry:
    """One run: where it is, how it ended, what it was, and what came out (if it did)."""

    folder: Path
    status: str
    seed: Any
    config: dict[str, Any]  # name and hyperparameters, without the seed
    data: str  # what was tested on: runs are comparable where this is the same
    title: str
    headline: list[str]
    metrics: dict[str, float]
    seconds: float


def find_runs(folders: Iterable[Path]) -> list[Entry]:
    """Every run below the folders, at any depth, in the order of their paths.

    Raises:
        UserError: a folder does not exist, or there is no run at all.
    """
    entries = []
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"there is no folder {folder}")
        entries += [_entry(path.parent) for path in sorted(folder.rglob("run.json"))]
    if not entries:
        raise UserError(f"there is no run in {', '.join(map(str, folders))}")
    return entries


def _entry(folder: Path) -> Entry:
    run = read_run(folder)
    try:
        recorded = read_config(folder)
        config = {"name": recorded.name, **hyperparameters(recorded)}
    except UserError:  # it failed before there was one
        config = {"name": folder.parent.name}
    status = _status(run)
    return Entry(
        folder=folder,
        status=status,
        seed=config.pop("seed", None),
        config=config,
        data=run.get("fingerprints", {}).get("data", "unknown"),
        title=run.get("spec", {}).get("title", "data never read"),
        headline=run.get("headline", []),
        metrics=read_metrics(folder) if status == "completed" else {},
        seconds=run.get("seconds", {}).get("train", float("nan")),
    )


def _status(run: dict[str, Any]) -> str:
    """A run that says `running` and whose process is gone was interrupted."""
    status = str(run.get("status"))
    if status != "running" or run.get("host") != socket.gethostname():
        return status
    try:
        os.kill(int(run["pid"]), 0)
    except PermissionError:
        return status
    except (OSError, KeyError, ValueError):
        return "interrupted"
    return status


# Tables -----------------------------------------------------------------------------------------


def tables(entries: list[Entry]) -> dict[str, pd.DataFrame]:
    """One table for all runs on the same data, by its title.

    Columns: the name and the config keys that differ, `seeds` (those of completed runs), `not
    completed`, for each headline metric its mean and its standard deviation over the seeds (NaN
    for one), and the mean training time in seconds.
    """
    found = {}
    completed = [entry for entry in entries if entry.status == "completed"]
    for data in dict.fromkeys(entry.data for entry in completed):
        same = [entry for entry in entries if entry.data in (data, "unknown")]
        title = next(entry.title for entry in completed if entry.data == data)
        found[f"{title} (data {data[:8]})"] = _table(same)
    return found or {"no run was completed": _table(entries)}


def _table(entries: list[Entry]) -> pd.DataFrame:
    headline = next((entry.headline for entry in entries if entry.metrics and entry.headline), [])
    groups: dict[str, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(json.dumps(entry.config, sort_keys=True, default=str), []).append(entry)
    configs = pd.DataFrame([group[0].config for group in groups.values()])
    keys = [key for key in configs if key == "name" or configs[key].map(str).nunique() > 1]
    results = pd.DataFrame([_row(group, headline) for group in groups.values()])
    table = pd.concat([configs[keys], results], axis=1)
    if headline:
        ascending = headline[0].startswith(LOWER_IS_BETTER)
        table = table.sort_values(headline[0], ascending=ascending, kind="stable")
    return table.reset_index(drop=True)


def _row(group: list[Entry], headline: list[str]) -> dict[str, Any]:
    # A run that was repeated with the same seed counts once: the last one.
    done = {entry.seed: entry for entry in group if entry.status == "completed"}
    ends = [entry.status for entry in group if entry.status != "completed"]
    row: dict[str, Any] = {
        "seeds": " ".join(map(str, sorted(done, key=str))),
        "not completed": ", ".join(f"{ends.count(end)} {end}" for end in dict.fromkeys(ends)),
    }
    for name in headline:
        values = np.array([entry.metrics[f"test/{name}"] for entry in done.values()])
        row[name] = values.mean() if len(values) else np.nan
        row[f"{name}{DEVIATION}"] = values.std(ddof=1) if len(values) > 1 else np.nan
    row["training s"] = np.mean([e.seconds for e in done.values()]) if done else np.nan
    return row


# What is printed --------------------------------------------------------------------------------


def to_rich(title: str, table: pd.DataFrame) -> Table:
    """For the console: keys by their last word, and no more of them than can be read."""
    keys = [str(key) for key in table.columns[1 : table.columns.get_loc("seeds")]]
    left_out = keys[MOST_KEYS:]
    caption = f"differing too, in --csv: {', '.join(left_out)}" if left_out else None
    shown = Table(title=title, title_justify="left", caption=caption, caption_justify="left")
    texts = _texts(table.drop(columns=left_out))
    short = [key.rpartition(".")[2] for key in keys]
    for name in map(str, texts):
        last = name.rpartition(".")[2]
        number = pd.api.types.is_numeric_dtype(table[name])
        shown.add_column(
            last if name in keys and short.count(last) == 1 else name,
            justify="right" if number else "left",
            overflow="fold",
        )
    for row in texts.itertuples(index=False):
        shown.add_row(*row)
    return shown


def to_markdown(title: str, table: pd.DataFrame) -> str:
    texts = _texts(table)
    lines = ["| " + " | ".join(map(str, texts)) + " |", "|" + "---|" * len(texts.columns)]
    lines += ["| " + " | ".join(row) + " |" for row in texts.itertuples(index=False)]
    return "\n".join([f"**{title}**", "", *lines, ""])


def _texts(table: pd.DataFrame) -> pd.DataFrame:
    """The table as a person reads it: mean and deviation in one cell."""
    texts = pd.DataFrame(index=table.index)
    for name in table:
        if str(name).endswith(DEVIATION):
            continue
        texts[name] = table[name].map(_text)
        if f"{name}{DEVIATION}" in table:
            deviation = table[f"{name}{DEVIATION}"].map(_text)
            texts[name] += deviation.map(lambda text: f" ± {text}" if text else "")
    return texts


def _text(value: Any) -> str:
    if isinstance(value, float):
        return "" if np.isnan(value) else f"{value:.4g}"
    return str(value)
