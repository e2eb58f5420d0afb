"""Comparing two runs to the bit: what they stood on, and what came out."""

from pathlib import Path
from typing import Any

from rnnexp.runs.folder.digest import Result
from rnnexp.runs.folder.reading import read_config_hash, read_run

Ground = dict[str, tuple[Any, Any]]  # name -> (then, now)


def ground_differences(folder: Path, now: dict[str, Any]) -> Ground:
    """What a recorded run stood on, where it differs from what another one stands on.

    now: the other's run.json, or as much of it as is known.
    """
    then = read_run(folder)
    grounds = [_ground(then), _ground(now)]
    differing = {
        name: (grounds[0].get(name), grounds[1].get(name))
        for name in dict.fromkeys([*grounds[0], *grounds[1]])
        if grounds[0].get(name) != grounds[1].get(name)
    }
    edited = read_config_hash(folder)
    if then.get("config_sha256") != edited:
        differing["config.yaml, edited since"] = (then.get("config_sha256"), edited)
    return differing


def _ground(run: dict[str, Any]) -> dict[str, Any]:
    fingerprints = {f"{k} fingerprint": v for k, v in run.get("fingerprints", {}).items()}
    single = {name: run.get(name) for name in ("device", "kernels", "threads")}
    code = run.get("code", {})
    codes = {"rnnexp": code.get("sha256"), **code.get("allowed", {})}
    codes = {f"code of {name}": content for name, content in codes.items()}
    return {**fingerprints, **run.get("versions", {}), **single, **codes}


def result_differences(then: Result, now: Result) -> list[str]:
    """A sentence for everything that differs, the earliest in the run first."""
    found = []
    if then.batch_order != now.batch_order:
        found.append("the order of the batches differs")
    if then.losses != now.losses:
        found.append(_first_loss(then, now))
    for kind in ("last", "best"):
        a, b = then.weights[kind], now.weights[kind]
        tensors = [name for name in dict.fromkeys([*a, *b]) if a.get(name) != b.get(name)]
        if tensors:
            found.append(
                f"{kind} weights: {len(tensors)} of {len(a)} tensors differ, first {tensors[0]}"
            )
    if then.predictions != now.predictions:
        found.append("the predictions differ")
    elif then.predictions_table != now.predictions_table:
        found.append("predictions.csv differs, and was edited since: the predictions do not")
    gone = [f"{name}: recorded, and not there now" for name in then.metrics.keys() - now.metrics]
    return found + metric_differences(then.metrics, now.metrics) + sorted(gone)


def metric_differences(then: dict[str, float], now: dict[str, float]) -> list[str]:
    """A sentence for every metric of the new run that is not the recorded one to the bit. One that
    was not recorded then is no difference."""
    found = []
    for name, b in now.items():
        a = then.get(name, b)
        if a != b and not (a != a and b != b):  # not a number both times is the same
            found.append(f"{name}: {a!r} then, {b!r} now")
    return found


def _first_loss(then: Result, now: Result) -> str:
    pairs = zip(then.losses, now.losses, strict=False)
    step = next((i for i, (a, b) in enumerate(pairs) if a != b), None)
    if step is None:
        return f"there were {len(then.losses)} training steps then and are {len(now.losses)} now"
    epoch = sum(end <= step for end in then.epoch_ends)
    a, b = (float.fromhex(run.losses[step]) for run in (then, now))
    return f"training losses differ from epoch {epoch}, step {step}: {a!r} then, {b!r} now"
