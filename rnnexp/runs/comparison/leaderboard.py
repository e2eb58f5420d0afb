"""The leaderboard: tables of all runs.

Runs that differ only in the seed share a row, with mean and standard deviation. Runs on the same
test set share a table, best first by the task's first headline metric. Failed, interrupted,
pruned and damaged runs are counted, not hidden. Only the config keys that differ are columns.
"""

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rnnexp import console
from rnnexp.data.source import fingerprint
from rnnexp.errors import UserError
from rnnexp.nearest import did_you_mean
from rnnexp.runs.folder.reading import (
    check_folder,
    is_as_recorded,
    read_digest,
    read_metrics,
    read_plain_config,
    read_run,
    status_now,
)
from rnnexp.runs.hyperparameters import by_option, hyperparameters, typed_keys

# Columns beside config keys and metrics. METRIC + DEVIATION is the standard deviation of METRIC.
SEEDS, NOT_COMPLETED, SECONDS, DEVIATION = "seeds", "not completed", "training s", " sd"
NAMED_FILES = 3  # most files or folders named in a title


@dataclass(frozen=True)
class Entry:
    """One run: its folder, status, config and results."""

    folder: Path
    status: str
    damage: str  # why a damaged run cannot be read; else empty
    seed: Any
    config: dict[str, Any]  # name and hyperparameters, without the seed
    data: str | None  # fingerprint of the data; None if never read
    title: str
    headline: list[str]  # names of metrics; the first one ranks the runs
    lower_is_better: bool  # for the first headline metric
    metrics: dict[str, float]
    seconds: float  # of training; NaN if unknown
    started: float = 0.0  # Unix time in seconds
    files: str = ""  # names of the files or folders that were read, for a title
    test: str = ""  # fingerprint of what was tested of the data; empty if not recorded
    choices: dict[str, str] = field(default_factory=dict)  # config group -> option
    overrides: tuple[str, ...] = ()  # those of rerun included
    units: dict[str, str] = field(default_factory=dict)  # of the headline; empty without one

    @property
    def shown(self) -> dict[str, Any]:
        """The config with classes by the word that was typed, if that is recorded."""
        return by_option(self.config, self.choices, self.overrides)

    @property
    def tested_on(self) -> tuple[str | None, str]:
        """Equal for comparable runs."""
        return self.data, self.test


def find_runs(folders: Iterable[Path], metric: str | None = None) -> list[Entry]:
    """Every run below the folders, at any depth, once each, sorted by start time.

    metric: the metric that ranks the runs; None for the first one of each task.

    Raises:
        UserError: a folder does not exist, or none of them holds a run with this metric.
    """
    found: dict[str, Entry] = {}
    for folder in folders:
        check_folder(folder, "a folder with runs")
        with console.working(f"reading the runs in {folder}"):
            for path in sorted(_run_folders(folder)):
                place = os.path.realpath(path / "run.json")  # `resolve` raises for a link to itself
                if place not in found:
                    found[place] = _entry(path, metric)
    if not found:
        raise UserError(f"there is no run in {', '.join(map(str, folders))}")
    known = {name for entry in found.values() for name in _measured(entry)}
    if metric is not None and metric not in known:
        raise UserError(f"no run has the metric {metric}{did_you_mean(metric, known)}")
    return sorted(found.values(), key=lambda entry: entry.started)


def _run_folders(folder: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(folder):
        there = "run.json" in files or "run.json" in folders
        if there and os.path.exists(os.path.join(place, "run.json")):  # no link to nothing
            yield Path(place)


def _entry(folder: Path, first: str | None) -> Entry:
    """Read as much of a run as possible: a damaged run must not hide the others."""
    run: dict[str, Any] = {}
    metrics: dict[str, float] = {}
    damage = ""
    config: dict[str, Any] = {"name": folder.parent.name}
    no_config: UserError | None = None
    no_run: UserError | None = None
    try:
        run = read_run(folder)
    except UserError as error:
        no_run = error
    try:
        recorded = read_plain_config(folder, run)
        config = {"name": recorded["name"], **hyperparameters(recorded)}
    except UserError as error:  # the run failed before writing it, or it is damaged
        no_config = error
    try:
        if no_run:
            raise no_run
        status = status_now(folder, run)
        if status == "completed":
            if no_config:
                raise no_config
            metrics = _results(folder, run)
    except UserError as error:
        status, damage = "damaged", str(error)
    headline = sorted(run.get("headline", []), key=lambda metric: metric["name"] != first)
    names = dict.fromkeys([*([first] if first else []), *(str(x["name"]) for x in headline)])
    return Entry(
        folder=folder,
        status=status,
        damage=damage,
        seed=config.pop("seed", None),
        config=config,
        data=run.get("fingerprints", {}).get("data"),
        files=_files(run.get("data")),
        title=run.get("spec", {}).get("title") or str(run.get("data")),
        headline=list(names),
        lower_is_better=bool(headline and headline[0]["lower_is_better"]),
        metrics=metrics,
        seconds=run.get("seconds", {}).get("train", float("nan")),
        started=_timestamp(run.get("started")),
        test=_test_set(run),
        choices={str(group): str(option) for group, option in run.get("choices", {}).items()},
        overrides=tuple(map(str, [*run.get("overrides", []), *run.get("changes", [])])),
        units={str(x["name"]): str(x.get("unit") or "") for x in headline},
    )


def _files(places: Any) -> str:
    """The names of the files or folders that a run read, for a title; empty for generated data."""
    paths = [places] if isinstance(places, str) else places
    if not isinstance(paths, list) or not all(isinstance(x, str) and "/" in x for x in paths):
        return ""
    names = [Path(path).name for path in paths]
    more = f" and {len(names) - NAMED_FILES} more" if len(names) > NAMED_FILES else ""
    return f"{', '.join(names[:NAMED_FILES])}{more}"


def _test_set(run: dict[str, Any]) -> str:
    """A fingerprint of what a run tested of its data; empty if the run did not record its split.

    A split has a part `test` of documents, or for each series what begins with `test_`."""
    split = run.get("split")
    if not isinstance(split, dict) or not split:
        return ""
    if "test" in split:
        return fingerprint(split["test"])
    return fingerprint(
        {
            name: {key: value for key, value in part.items() if str(key).startswith("test_")}
            for name, part in split.items()
            if isinstance(part, dict)
        }
    )


def _measured(entry: Entry) -> list[str]:
    """The metrics of the headline that a run has a value of."""
    return [name for name in entry.headline if f"test/{name}" in entry.metrics]


def _timestamp(text: Any) -> float:
    try:
        return datetime.fromisoformat(text).timestamp()
    except (TypeError, ValueError, OverflowError, OSError):  # the last two: not near 1970
        return 0.0


def _results(folder: Path, run: dict[str, Any]) -> dict[str, float]:
    """The metrics of a completed run.

    Raises:
        UserError: a file of a completed run is missing or damaged.
    """
    # Its content is not shown: if it is as the run wrote it, it need not be parsed.
    if not is_as_recorded(folder, "digest.json", run):
        read_digest(folder)
    metrics = read_metrics(folder)
    for metric in run.get("headline", []):
        if f"test/{metric['name']}" not in metrics:
            raise UserError(
                f"{folder / 'metrics.json'} is damaged: it has no test/{metric['name']}"
            )
    return metrics


# Tables -----------------------------------------------------------------------------------------


def tables(entries: list[Entry]) -> dict[str, pd.DataFrame]:
    """One table per test set, by title.

    Columns: the name and the config keys that differ; `seeds` of the completed runs; `not
    completed`; mean and standard deviation of each headline metric over the seeds (NaN for one
    seed); mean training time in seconds.
    """
    return {title: table for title, (table, _) in ranked(entries).items()}


def ranked(entries: list[Entry]) -> dict[str, tuple[pd.DataFrame, list[list[Entry]]]]:
    """As `tables`, each with the runs of its rows."""
    return {title: _table(same, differing(same)) for title, same in by_data(entries).items()}


def whole_table(entries: list[Entry]) -> pd.DataFrame:
    """All tables as one, for other programs. The column `tested on` holds the title of a row's
    table; the config keys are all that differ in any two runs."""
    keys, rows = differing(entries), []
    for title, same in by_data(entries).items():
        found = _table(same, keys)[0].to_dict(orient="records")
        rows += [{"tested on": title, **row} for row in found]
    return pd.DataFrame(rows)


def by_data(entries: list[Entry]) -> dict[str, list[Entry]]:
    """Runs grouped by what they were tested on, by title. A run that ended before it read its data
    joins the runs of its name with the same class of source."""
    found = {}
    sets: dict[tuple[str | None, str], list[Entry]] = {}
    unread: dict[tuple[Any, Any], list[Entry]] = {}
    for entry in entries:
        if entry.data is None:
            unread.setdefault(_kind(entry), []).append(entry)
        elif entry.data:
            sets.setdefault(entry.tested_on, []).append(entry)
    tests = Counter(data for data, _ in sets)
    for (data, test), same in sets.items():
        several = tests[data] > 1
        which = [same[0].files] if same[0].files else []
        which += [f"data {str(data)[:8]}"]
        which += [f"test set {test[:8] or 'unknown'}"] if several else []
        kinds = dict.fromkeys(map(_kind, same))
        likes = [entry for kind in kinds for entry in unread.get(kind, [])]
        title = max(same, key=lambda entry: entry.status == "completed").title
        found[f"{title} ({', '.join(which)})"] = [
            *same,
            *sorted(likes, key=lambda entry: entry.started),
        ]
    placed = {entry.folder for same in found.values() for entry in same}
    alone = [entry for entry in entries if entry.data is None and entry.folder not in placed]
    return found | ({"data never read": alone} if alone else {})


def _kind(entry: Entry) -> tuple[Any, Any]:
    """The name of a run and the class of its source."""
    return entry.config.get("name"), entry.config.get("data")


def differing(entries: list[Entry]) -> list[str]:
    """`name`, and the config keys in which the runs differ; runs without a config are ignored.

    A key whose value follows from the chosen option of its group is left out."""
    known = [entry for entry in entries if len(entry.config) > 1]
    configs = [entry.shown for entry in known]
    keys = dict.fromkeys(key for config in configs for key in config if key != "name")
    values = {key: {str(config.get(key, "absent")) for config in configs} for key in keys}
    found = [key for key in keys if len(values[key]) > 1]
    return ["name", *(key for key in found if not _follows(key, known))]


def _follows(key: str, entries: list[Entry]) -> bool:
    """Whether the option of a config group around this key decides its value in all these runs,
    and nobody has given it."""
    if any(not entry.choices or key in typed_keys(entry.overrides) for entry in entries):
        return False
    if len({entry.choices.get("experiment") for entry in entries}) > 1:  # it may set any key
        return False
    parts = key.split(".")
    for group in ("/".join(parts[:length]) for length in range(1, len(parts))):
        pairs = {(one.choices.get(group), str(one.shown.get(key, "absent"))) for one in entries}
        if len(pairs) == len({one.choices.get(group) for one in entries}):
            return True
    return False


def _table(entries: list[Entry], keys: list[str]) -> tuple[pd.DataFrame, list[list[Entry]]]:
    """The table of runs on the same test set, and the runs of each row."""
    # The task may have gained metrics since the oldest run.
    measured = {name for entry in entries for name in _measured(entry)}
    headline = [x for x in dict.fromkeys(y for e in entries for y in e.headline) if x in measured]
    alike: dict[str, list[Entry]] = {}
    for entry in entries:
        alike.setdefault(json.dumps(entry.config, sort_keys=True, default=str), []).append(entry)
    groups = list(alike.values())
    rows = [
        {key: group[0].shown.get(key, np.nan) for key in keys} | _row(group, headline)
        for group in groups
    ]
    table = pd.DataFrame(rows)
    if headline:
        like = next(entry for entry in entries if headline[0] in _measured(entry))
        table = table.sort_values(headline[0], ascending=like.lower_is_better, kind="stable")
    return table.reset_index(drop=True), [groups[row] for row in table.index]


def _row(group: list[Entry], headline: list[str]) -> dict[str, Any]:
    # Of several runs with the same seed, only the last one counts.
    done = {entry.seed: entry for entry in group if entry.status == "completed"}
    ends = [entry.status for entry in group if entry.status != "completed"]
    row: dict[str, Any] = {
        SEEDS: " ".join(map(str, sorted(done))),
        NOT_COMPLETED: ", ".join(f"{ends.count(end)} {end}" for end in dict.fromkeys(ends)),
    }
    for name in headline:
        values = np.array([entry.metrics.get(f"test/{name}", np.nan) for entry in done.values()])
        row[name] = values.mean() if len(values) else np.nan
        row[f"{name}{DEVIATION}"] = values.std(ddof=1) if len(values) > 1 else np.nan
    row[SECONDS] = np.mean([e.seconds for e in done.values()]) if done else np.nan
    return row
