"""`rnnexp test DIR`: evaluate a finished run again, from its folder alone."""

from pathlib import Path
from typing import Any

from rnnexp import console
from rnnexp.baselines import baseline_metrics
from rnnexp.config import check
from rnnexp.errors import UserError
from rnnexp.experiment import (
    build_data,
    build_task,
    build_trainer,
    resolve,
    set_up_process,
    test_best,
)
from rnnexp.record import read_config, read_metrics, read_run


def evaluate(folder: Path) -> int:
    """Test the best checkpoint of a run folder and compare with what the run recorded.

    Nothing in the folder changes. Returns 0 where every test metric is the recorded one to the
    bit, 1 where one differs on the same data.

    Raises:
        UserError: the folder is not a completed run, or its data are not what they were.
    """
    run, config, recorded = read_run(folder), read_config(folder), read_metrics(folder)
    config = resolve(config)
    check(config)
    set_up_process(config)
    data = build_data(config)
    _check_same_data(run, data.facts())
    task = build_task(config, data)
    config.logger, config.callbacks = None, {}
    metrics = test_best(build_trainer(config, folder), task, data, folder)
    console.show_metrics(task, metrics, baseline_metrics(data))
    differing = [name for name, value in metrics.items() if recorded.get(name) != value]
    for name in differing:
        console.show(f"{name} is {metrics[name]!r}, the run recorded {recorded.get(name)!r}")
    if not differing:
        console.show(f"all {len(metrics)} metrics are those that the run recorded, to the bit")
    return 1 if differing else 0


def _check_same_data(run: dict[str, Any], facts: dict[str, Any]) -> None:
    for kind, fingerprint in facts["fingerprints"].items():
        if run.get("fingerprints", {}).get(kind) != fingerprint:
            raise UserError(
                f"the {kind} of this run cannot be found again: the files in {facts['data']} "
                f"are not those that the run read from {run.get('data')}"
            )
