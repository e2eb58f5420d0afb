"""Statistics over runs: comparison with expected values, and of two groups of runs.

`KEY=VALUE[,KEY=VALUE]` selects a group of runs by name or hyperparameters, as in the leaderboard.
The runs of a group differ only in the seed. Of several runs with one seed, the last one counts.
"""

import json
import re
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from scipy import stats

from rnnexp.errors import UserError
from rnnexp.nearest import did_you_mean
from rnnexp.runs.comparison.leaderboard import Entry, differing
from rnnexp.tables import counted


def select(entries: list[Entry], wanted: str) -> dict[str, Entry]:
    """The completed runs of a group, by seed.

    Raises:
        UserError: the group names an unknown key, has no completed run, or holds several configs or
            test sets.
    """
    found = matching(entries, wanted)
    if not found:
        raise UserError(f"no completed run matches {wanted}")
    return found


def matching(entries: list[Entry], wanted: str) -> dict[str, Entry]:
    """As `select`, but empty if there is no completed run."""
    outside_brackets = r",(?![^\[]*\])"
    conditions = dict(part.partition("=")[::2] for part in re.split(outside_brackets, wanted))
    known = {key for entry in entries for key in entry.config}
    conditions = {_whole_key(key, known, wanted): value for key, value in conditions.items()}
    found = [
        entry
        for entry in entries
        if entry.status == "completed"
        and all(
            _is(entry.config.get(key), value) or _is(entry.shown.get(key), value)
            for key, value in conditions.items()
        )
    ]
    if len({entry.data for entry in found}) > 1:
        raise UserError(
            f"the runs with {wanted} use different data: add a condition such as name=NAME, or "
            "give the folders of the runs on one of them"
        )
    if len({entry.test for entry in found}) > 1:
        raise UserError(
            f"the runs with {wanted} have different test sets of the same data: add a condition on "
            "the split, such as data.split_seed=0"
        )
    if len({json.dumps(entry.config, sort_keys=True, default=str) for entry in found}) > 1:
        keys = differing(found)
        several = [key for key in keys if len({str(one.shown.get(key)) for one in found}) > 1]
        raise UserError(f"the runs with {wanted} differ in {', '.join(several)}: add a condition")
    return {str(entry.seed): entry for entry in found}


def _whole_key(key: str, known: set[str], wanted: str) -> str:
    """The config key that a key of a condition means: model/recurrence is model.recurrence, and lr
    is optimizer.lr if no other key ends so."""
    key = key.replace("/", ".")
    if key in known:
        return key
    ends = sorted(one for one in known if one.endswith(f".{key}"))
    if len(ends) == 1:
        return ends[0]
    if ends:
        raise UserError(f"{wanted}: {key} may be {' or '.join(ends)}: give the whole key")
    last = {one.rpartition(".")[2] for one in known}  # also offered, for they are shorter to type
    offer = did_you_mean(key, last if get_close_matches(key, last) else known)
    raise UserError(f"{wanted}: no run has the key {key}{offer}")


def _is(value: Any, text: str) -> bool:
    """Whether a config value equals a text in Python or YAML; 0.01 equals 1e-2."""
    if str(value) == text:
        return True
    try:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return float(value) == float(text)
        return bool(value == yaml.safe_load(text))
    except (ValueError, yaml.YAMLError):
        return False


def compare(entries: list[Entry], first: str, second: str) -> list[str]:
    """The paired difference of the ranking metric over common seeds, with its 95 % confidence
    interval (Student's t), as sentences.

    Raises:
        UserError: a group is not found or lacks the metric, the data differ, or the groups share
            fewer than two seeds.
    """
    a, b = select(entries, first), select(entries, second)
    seeds = sorted(a.keys() & b.keys())
    if len(seeds) < 2:
        common = "one seed" if seeds else "no seed"
        raise UserError(
            f"{first} and {second} have {common} in common: an interval needs at least two (train "
            "with sweep=seeds)"
        )
    if next(iter(a.values())).data != next(iter(b.values())).data:
        raise UserError(f"{first} and {second} were not run on the same data")
    if next(iter(a.values())).test != next(iter(b.values())).test:
        raise UserError(f"{first} and {second} have different test sets of the same data")
    metric = a[seeds[0]].headline[0]
    for group, runs in ((first, a), (second, b)):
        if any(np.isnan(runs[seed].metrics.get(f"test/{metric}", np.nan)) for seed in seeds):
            raise UserError(f"the runs that are {group} do not all have the metric {metric}")
    difference = np.array(
        [b[seed].metrics[f"test/{metric}"] - a[seed].metrics[f"test/{metric}"] for seed in seeds]
    )
    mean = difference.mean()
    half = stats.t.ppf(0.975, len(seeds) - 1) * difference.std(ddof=1) / np.sqrt(len(seeds))
    low, high = mean - half, mean + half
    difference_is = (
        f"{metric}, {second} minus {first}: {mean:+.4g}, 95 % interval {low:+.4g} to "
        f"{high:+.4g}, over the seeds {', '.join(seeds)}"
    )
    if low <= 0 <= high:
        return [difference_is, "the interval contains zero: neither is significantly better"]
    better = second if (mean < 0) == a[seeds[0]].lower_is_better else first
    return [difference_is, f"{better} is better"]


def check(entries: list[Entry], path: Path) -> tuple[list[str], int]:
    """Compare means over seeds with expected values. Returns a sentence for each value, and the
    number of missed values.

    The file is a YAML list of `{runs: KEY=VALUE, metric: smape, expected: 0.73, tolerance: 0.02}`.

    Raises:
        UserError: the file cannot be read, is malformed or empty, or `runs` names an unknown key or
            several groups.
    """
    try:
        expectations = yaml.safe_load(path.read_text(encoding="utf-8"))
        wanted = [
            (str(one["runs"]), str(one["metric"]), float(one["expected"]), float(one["tolerance"]))
            for one in expectations
        ]
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, TypeError, KeyError, ValueError) as error:
        raise UserError(
            f"{path} is not a YAML list of runs, metric, expected and tolerance ({error!r})"
        ) from error
    if not wanted:
        raise UserError(f"{path} is an empty list: it must expect at least one value")
    sentences, missed = [], 0
    for runs, metric, expected, tolerance in wanted:
        try:
            group = matching(entries, runs)
        except UserError as error:
            raise UserError(f"{path}: {error}") from error
        name = f"test/{metric}"
        values = [entry.metrics[name] for entry in group.values() if name in entry.metrics]
        if not group or len(values) < len(group):
            missed += 1
            what = f"{runs}: there is no metric {metric}" if group else f"no completed run: {runs}"
            sentences.append(f"missed  {what}")
            continue
        mean = float(np.mean(values))
        hit = abs(mean - expected) <= tolerance
        missed += not hit
        verdict = "met   " if hit else "missed"
        sentences.append(
            f"{verdict}  {runs}: {metric} {mean:.4g} over {counted(len(group), 'seed')}, "
            f"expected {expected:g} within {tolerance:g}"
        )
    return sentences, missed
