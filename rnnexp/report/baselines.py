"""Baselines beside the results of runs: how good they are, and whether one is better."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import nan
from typing import Any

from rnnexp.config.targets import locate
from rnnexp.errors import UserError
from rnnexp.report.page import value
from rnnexp.report.units import bare, headline, units_of
from rnnexp.runs.comparison.leaderboard import Entry
from rnnexp.runs.folder.reading import read_plain_config, read_run
from rnnexp.runs.results import better_baselines
from rnnexp.tasks.metric import Metric

PREFIX = "baseline/"


@dataclass(frozen=True)
class Baseline:
    """A baseline beside several runs. texts: its values by metric; `from to` if the runs differ in
    them, as where a baseline was fitted to other training data."""

    name: str
    texts: dict[str, str]


@dataclass(frozen=True)
class Against:
    """The baselines on a test set. better: a sentence on each that is better than every run. best:
    the best one and its value, by metric. ceilings: those that know the test set."""

    baselines: list[Baseline]
    better: list[str]
    best: dict[str, str]
    ceilings: list[str]


def ceilings(config: dict[str, Any]) -> tuple[str, ...]:
    """The baselines that know the test set, which no run can be asked to beat."""
    try:
        return getattr(locate(config["task"], "task"), "ceilings", ())
    except (UserError, KeyError, TypeError):  # a class that is not here, or no class at all
        return ()


def is_limited(limit_test_batches: Any) -> bool:
    """Whether a run may have been tested on a part of the test set, while baselines use all."""
    all_of_it = isinstance(limit_test_batches, float) and limit_test_batches == 1.0
    return limit_test_batches is not None and not all_of_it


def better(
    what: str,
    run: dict[str, Any],
    known: Sequence[str],
    metrics: Mapping[str, float],
    baselines: Mapping[str, float],
) -> list[str]:
    """A sentence on each baseline that is better.

    what: than which. run: run.json. known: baselines that know the test set. metrics: by their bare
    names. baselines: as in metrics.json.
    """
    units = units_of(run)
    found = better_baselines(_measured(run), known, metrics, baselines)
    return [
        f"A baseline is better than {what}: {one.baseline}, {bare(one.metric, units)} "
        f"{with_unit(one.value, units[one.metric])} against "
        f"{with_unit(one.own, units[one.metric])}."
        for one in found
    ]


def with_unit(number: float, unit: str) -> str:
    return f"{value(number) or 'no value'}{f' {unit}' if unit and number == number else ''}"


def _measured(run: dict[str, Any]) -> list[Metric]:
    """The headline metrics of a run."""
    units = units_of(run)
    return [
        Metric(str(one["name"]), units[str(one["name"])], bool(one["lower_is_better"]))
        for one in headline(run)
    ]


def baselines_of(metrics: Mapping[str, float]) -> dict[str, float]:
    return {key: found for key, found in metrics.items() if key.startswith(PREFIX)}


def against_baselines(runs: Sequence[Entry]) -> Against:
    """The baselines of the completed ones of runs on the same test set."""
    done = [entry for entry in runs if entry.status == "completed"]
    if not done:
        return Against([], [], {}, [])
    run = read_run(done[-1].folder)  # a task may have gained metrics since the first one
    known = ceilings(read_plain_config(done[-1].folder, run))
    measured = _measured(run)
    baselines, worst = _together([entry.metrics for entry in done], measured)
    best, shown = {}, {}
    for metric in measured:
        choose = min if metric.lower_is_better else max
        values = [entry.metrics.get(f"test/{metric.name}", nan) for entry in done]
        best[metric.name] = choose([one for one in values if one == one], default=nan)
        others = {
            name: found
            for (name, its_metric), found in worst.items()
            if its_metric == metric.name and name not in known
        }
        if others:
            name = choose(others, key=others.__getitem__)
            shown[metric.name] = f"{_plain(name)}: {value(others[name])}"
    is_part = any(is_limited(entry.config.get("trainer.limit_test_batches")) for entry in done)
    than = "every run here" if len(done) > 1 else "the run here"
    named = {f"{PREFIX}{name}/{metric}": found for (name, metric), found in worst.items()}
    return Against(
        baselines,
        [] if is_part else better(than, run, known, best, named),
        shown,
        [_plain(one) for one in known],
    )


def _together(
    several: Sequence[Mapping[str, float]], measured: Sequence[Metric]
) -> tuple[list[Baseline], dict[tuple[str, str], float]]:
    """The baselines of several runs, and the worst value of each by baseline and metric. several:
    metrics.json of each run."""
    values: dict[tuple[str, str], list[float]] = {}
    for metrics in several:
        for key, found in baselines_of(metrics).items():
            _, name, metric = key.split("/", 2)
            if found == found:
                values.setdefault((name, metric), []).append(found)
    lower = {metric.name: metric.lower_is_better for metric in measured}
    values = {key: numbers for key, numbers in values.items() if key[1] in lower}
    texts: dict[str, dict[str, str]] = {}
    for (name, metric), numbers in values.items():
        ends = dict.fromkeys([value(min(numbers)), value(max(numbers))])
        texts.setdefault(_plain(name), {})[metric] = " to ".join(ends)
    worst = {key: max(all_) if lower[key[1]] else min(all_) for key, all_ in values.items()}
    return [Baseline(name, one) for name, one in texts.items()], worst


def _plain(name: str) -> str:
    return name.replace("_", " ")
