"""Test the best checkpoint of a finished run again and compare the metrics."""

from pathlib import Path

from omegaconf import DictConfig

from rnnexp import console
from rnnexp.commands._options import allow, folder_parser
from rnnexp.config import check
from rnnexp.errors import UserError


def main(argv: list[str]) -> int:
    arguments = folder_parser(__name__, __doc__).parse_args(argv)
    allow(arguments.allow)
    return evaluate(arguments.folder)


def evaluate(folder: Path) -> int:
    """Test the best checkpoint of a run and compare the metrics with the recorded ones.

    The run folder does not change. Returns the exit code: 0 if all metrics are equal to the bit, 1
    if one differs in the same environment, 4 if one differs in a different environment.

    Raises:
        UserError: the run is not completed, or its data have changed.
    """
    # Late: they import torch, and --help does without.
    from rnnexp.commands._verdict import IDENTICAL, exit_code, show_differences
    from rnnexp.runs.build import build_data, build_task, build_trainer, load_best
    from rnnexp.runs.comparison.repetition import environment_differences, metric_differences
    from rnnexp.runs.experiment import test_weights
    from rnnexp.runs.folder.reading import read_config, read_metrics, read_run
    from rnnexp.runs.loading import check_same_data, find_data
    from rnnexp.runs.results import results, tested
    from rnnexp.runs.settings import facts_of_this_process, resolve, set_up_process
    from rnnexp.tasks.baseline_cache import baseline_metrics

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
    console.show(*results(task, metrics, baseline_metrics(task, data), tested(config)))

    differing = metric_differences(recorded, metrics)
    if not differing:
        console.show(f"all {len(metrics)} metrics equal the recorded ones to the bit")
        return IDENTICAL
    environment = environment_differences(folder, facts_of_this_process(config) | facts)
    show_differences(environment, differing)
    return exit_code(environment, differing)


def _do_without_gpu(config: DictConfig) -> None:
    import torch

    if config.trainer.get("accelerator") == "gpu" and not torch.cuda.is_available():
        console.show("torch finds no GPU here: testing on the CPU")
        config.trainer.accelerator = "cpu"
