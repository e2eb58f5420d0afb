"""Compares two runs to the bit: their environments and their results."""

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


def _environment(run: dict[str, Any]) -> dict[str, Any]:
    fingerprints = {f"{k} fingerprint": v for k, v in run.get("fingerprints", {}).items()}
    single = {name: run.get(name) for name in ("device", "kernels", "threads")}
    code = run.get("code", {})
    codes = {"rnnexp": code.get("sha256"), **code.get("allowed", {})}
    codes = {f"code of {name}": content for name, content in codes.items()}
    return {**fingerprints, **run.get("versions", {}), **single, **codes}


def result_differences(then: Result, now: Result) -> list[str]:
    """A sentence for each difference, in the order in which a run produces the results."""
    found = []
    if then.batch_order != now.batch_order:
        found.append("the order of the batches differs")
    if then.losses != now.losses:
        found.append(_first_loss(then, now))
    for kind in WEIGHTS:
        a, b = then.weights[kind], now.weights[kind]
        tensors = [name for name in dict.fromkeys([*a, *b]) if a.get(name) != b.get(name)]
        if tensors:
            found.append(
                f"{kind} weights: {len(tensors)} of {len(a)} tensors differ, first {tensors[0]}"
            )
    if then.predictions != now.predictions:
        found.append("the predictions differ")
    elif then.predictions_table != now.predictions_table:
        found.append("predictions.csv differs, but the predictions do not")
    gone = [f"{name}: recorded, but missing now" for name in then.metrics.keys() - now.metrics]
    return found + metric_differences(then.metrics, now.metrics) + sorted(gone)


def metric_differences(then: dict[str, float], now: dict[str, float]) -> list[str]:
    """A sentence for each metric of the new run that does not equal the recorded one to the bit.
    Metrics that were not recorded are ignored."""
    found = []
    for name, b in now.items():
        a = then.get(name, b)
        if a != b and not (a != a and b != b):  # NaN equals NaN
            found.append(f"{name}: {a!r} then, {b!r} now")
    return found


def _first_loss(then: Result, now: Result) -> str:
    pairs = zip(then.losses, now.losses, strict=False)
    step = next((i for i, (a, b) in enumerate(pairs) if a != b), None)
    if step is None:
        return f"training steps: {len(then.losses)} then, {len(now.losses)} now"
    epoch = sum(end <= step for end in then.epoch_ends)
    a, b = (float.fromhex(run.losses[step]) for run in (then, now))
    return f"training losses differ from epoch {epoch}, step {step}: {a!r} then, {b!r} now"
