"""Compares two runs to the bit: their environments and their results."""

from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

from rnnexp.runs.folder.digest import WEIGHTS, Result
from rnnexp.runs.folder.reading import read_config_hash, read_run

EnvironmentDifferences = dict[str, tuple[Any, Any]]  # name -> (then, now)


def environment_differences(folder: Path, now: dict[str, Any]) -> EnvironmentDifferences:
    """Where the environment of a recorded run differs from another run's: data, versions, device,
    kernels, threads, code, an edited config.

    now: run.json of the other run, or the entries known so far.

    Raises:
        UserError: the run folder is damaged.
    """
    then = read_run(folder)
    before, after = _environment(then), _environment(now)
    differing = {
        name: (before.get(name), after.get(name))
        for name in dict.fromkeys([*before, *after])
        if before.get(name) != after.get(name)
    }
    edited = read_config_hash(folder)
    if then.get("config_sha256") != edited:
        differing["edited config.yaml"] = (then.get("config_sha256"), edited)
    return differing


def baseline_differences(
    folder: Path, now: dict[str, Any], results: Sequence[str]
) -> EnvironmentDifferences:
    """Where the packages of baselines differ, if the results of baselines do: nothing else of a run
    depends on them. results: the sentences of `result_differences`. now: as above."""
    if not any(sentence.startswith("baseline/") for sentence in results):
        return {}
    before, after = (run.get("baseline_versions", {}) for run in (read_run(folder), now))
    return {
        name: (before.get(name), after.get(name))
        for name in dict.fromkeys([*before, *after])
        if before.get(name) != after.get(name)
    }


def recorded_environment(run: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The environment in run.json by group: data (fingerprints), versions, environment (device,
    kernels, threads) and code (hashes)."""
    code = run.get("code", {})
    codes = {"rnnexp": code.get("sha256"), **code.get("allowed", {})}
    return {
        "data": {f"{k} fingerprint": v for k, v in run.get("fingerprints", {}).items()},
        "versions": run.get("versions", {}),
        "environment": {name: run.get(name) for name in ("device", "kernels", "threads")},
        "code": {f"code of {name}": content for name, content in codes.items()},
    }


def _environment(run: dict[str, Any]) -> dict[str, Any]:
    groups = recorded_environment(run).values()
    return {name: value for group in groups for name, value in group.items()}


def result_differences(then: Result, now: Result) -> list[str]:
    """A sentence for each difference, in the order in which a run produces the results."""
    found = []
    if then.batch_order != now.batch_order:
        found.append("the order of the batches differs")
    if (step := first_differing_step(then.losses, now.losses)) is not None:
        found.append(_loss_difference(then, now, step))
    for kind in WEIGHTS:
        a, b = then.weights[kind], now.weights[kind]
        if tensors := differing_names(a, b):
            found.append(
                f"{kind} weights: {len(tensors)} of {len(a)} tensors differ, first {tensors[0]}"
            )
    if then.predictions != now.predictions:
        found.append("the predictions differ")
    elif then.predictions_table != now.predictions_table:
        found.append("predictions.csv differs, but the predictions do not")
    gone = [f"{name}: recorded, but missing now" for name in then.metrics.keys() - now.metrics]
    return found + metric_differences(then.metrics, now.metrics) + sorted(gone)


def verdict(environment: EnvironmentDifferences, results: list[str], edited: list[str]) -> str:
    """The verdict on a repetition, as a clause.

    edited: the files of the recorded run that are not as it wrote them, which leaves nothing to
    confirm.
    """
    names = ", ".join(environment)
    if edited:
        rest = "the results differ" if results else "the results that it recorded are repeated"
        return f"edited since the run ({', '.join(edited)}), {rest}"
    if results:
        where = f"a different environment ({names})" if environment else "the same environment"
        return f"different results in {where}"
    return f"identical{f', also in another environment ({names})' if environment else ''}"


def metric_differences(then: dict[str, float], now: dict[str, float]) -> list[str]:
    """A sentence for each metric of the new run that does not equal the recorded one to the bit.
    Metrics that were not recorded are ignored."""
    found = []
    for name, b in now.items():
        a = then.get(name, b)
        if not is_same_value(a, b):
            found.append(f"{name}: {a!r} then, {b!r} now")
    return found


def is_same_value(a: float, b: float) -> bool:
    """Whether two metrics are equal; NaN equals NaN."""
    return a == b or (a != a and b != b)


def differing_names(a: dict[str, str], b: dict[str, str]) -> list[str]:
    """The names whose hashes differ, or that only one of the two has."""
    return [name for name in dict.fromkeys([*a, *b]) if a.get(name) != b.get(name)]


def first_differing_step(a: Sequence[str], b: Sequence[str]) -> int | None:
    """The first training step whose losses differ, or that only one of the two runs has; None if
    all losses are equal."""
    pairs = enumerate(zip_longest(a, b))
    return next((step for step, (one, other) in pairs if one != other), None)


def epoch_of(step: int, epoch_ends: Sequence[int]) -> int:
    """The epoch of a training step. epoch_ends: the number of steps after each epoch."""
    return sum(end <= step for end in epoch_ends)


def _loss_difference(then: Result, now: Result, step: int) -> str:
    if step == min(len(then.losses), len(now.losses)):
        return f"training steps: {len(then.losses)} then, {len(now.losses)} now"
    epoch = epoch_of(step, then.epoch_ends)
    a, b = (float.fromhex(run.losses[step]) for run in (then, now))
    return f"training losses differ from epoch {epoch}, step {step}: {a!r} then, {b!r} now"
