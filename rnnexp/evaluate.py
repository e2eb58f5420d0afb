"""`rnnexp test DIR`: evaluate a finished run again, from its folder alone."""

from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig

from rnnexp import console
from rnnexp.baselines import baseline_metrics
from rnnexp.compare import (
    IDENTICAL,
    exit_code,
    ground_differences,
    metric_differences,
    show_differences,
)
from rnnexp.config import check
from rnnexp.errors import UserError
from rnnexp.experiment import (
    build_data,
    build_task,
    build_trainer,
    facts_of_this_process,
    load_best,
    resolve,
    set_up_process,
    test_weights,
)
from rnnexp.record import read_config, read_metrics, read_run


def evaluate(folder: Path) -> int:
    """Test the best checkpoint of a run folder and compare with what the run recorded.

    Nothing in the folder changes. Returns the exit code: 0 where every metric is the recorded one
    to the bit, 1 where one differs on the same ground, 4 on other ground (another device, say).

    Raises:
        UserError: the folder is not a completed run, or its data are not what they were.
    """
    run, config = read_run(folder), read_config(folder)
    if run.get("status") != "completed":
        raise UserError(f"{folder} has the status {run.get('status')!r}: it is not a completed run")
    recorded = read_metrics(folder)
    check(config)
    find_data(config, run)
    _do_without_gpu(config)
    config = resolve(config)
    set_up_process(config)
    data = build_data(config)
    facts = data.facts()
    check_same_data(run, facts)
    task = build_task(config, data)
    config.logger, config.callbacks = None, {}
    load_best(task, folder)
    metrics = test_weights(build_trainer(config, folder), task, data)
    console.show_metrics(task, metrics, baseline_metrics(data))

    differing = metric_differences(recorded, metrics)
    if not differing:
        console.show(f"all {len(metrics)} metrics are those that the run recorded, to the bit")
        return IDENTICAL
    ground = ground_differences(folder, facts_of_this_process(config) | facts)
    show_differences(ground, differing)
    return exit_code(ground, differing)


def find_data(config: DictConfig, run: dict[str, Any]) -> None:
    """Let a recorded config find its data where the run found them, from any folder."""
    place = run.get("data")
    paths = place if isinstance(place, list) else [place]
    if "root" in config.data and all(isinstance(p, str) and Path(p).exists() for p in paths):
        config.data.root = place
    vectors = run.get("vectors")
    if config.data.get("vectors") and isinstance(vectors, str) and Path(vectors).exists():
        config.data.vectors.file = vectors


def _do_without_gpu(config: DictConfig) -> None:
    if config.trainer.get("accelerator") == "gpu" and not torch.cuda.is_available():
        console.show("there is no GPU here: the run is tested on the CPU")
        config.trainer.accelerator = "cpu"


def check_same_data(run: dict[str, Any], facts: dict[str, Any]) -> None:
    """Compare the data that were read with those of a run.

    Raises:
        UserError: they are not the same.
    """
    recorded = run.get("fingerprints", {})
    differing = [kind for kind, now in facts["fingerprints"].items() if recorded.get(kind) != now]
    for kind in ("data", "vectors"):  # read from files, and what decides all else
        if kind in differing:
            raise UserError(
                f"the {kind} of this run cannot be found again: what is in {facts[kind]} is not "
                f"what the run read from {run.get(kind)}"
            )
    if differing:
        raise UserError(
            f"the {differing[0]} of this run cannot be made again from the same data: config.yaml "
            "has been edited, or the code is another one"
        )
