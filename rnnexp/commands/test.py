"""Test the best checkpoint of a finished run again and compare the metrics."""

from collections.abc import Sequence
from pathlib import Path

from rnnexp import console
from rnnexp.commands.shared.options import allow, folder_parser
from rnnexp.config import check_recorded, override
from rnnexp.errors import UserError
from rnnexp.process.memory import enough_memory
from rnnexp.runs.locations import check_only_locations, check_same_data, find_data, if_moved


def main(argv: list[str]) -> int:
    parser = folder_parser(__name__, __doc__)
    parser.add_argument(
        "overrides",
        metavar="data.root=PATH",
        nargs="*",
        help="where the data are now, if they have moved; data.vectors.file=PATH for word vectors",
    )
    arguments = parser.parse_intermixed_args(argv)
    allow(arguments.allow)
    with enough_memory():
        return evaluate(arguments.folder, arguments.overrides)


def evaluate(folder: Path, overrides: Sequence[str] = ()) -> int:
    """Test the best checkpoint of a run and compare the metrics with the recorded ones.

    overrides: where the data are now. The run folder does not change. Returns the exit code: 0 if
    all metrics are equal to the bit, 1 if one differs in the same environment, 4 if one differs in
    a different environment.

    Raises:
        UserError: the run is not completed, its data are missing or have changed, or an override
            changes the experiment.
    """
    # Late: they import torch, and --help does without.
    from rnnexp.commands.shared.verdict import (
        IDENTICAL,
        exit_code,
        show_differences,
        show_edited,
        show_other_ground,
    )
    from rnnexp.runs.build import build_data, build_task, build_trainer, load_best
    from rnnexp.runs.comparison.repetition import environment_differences, metric_differences
    from rnnexp.runs.experiment import test_weights
    from rnnexp.runs.folder.digest import edited_files
    from rnnexp.runs.folder.reading import read_config, read_config_hash, read_metrics, read_run
    from rnnexp.runs.parallel import on_one_device
    from rnnexp.runs.results import results, tested
    from rnnexp.runs.settings import (
        facts_of_this_process,
        resolve,
        set_up_process,
        without_missing_gpu,
    )
    from rnnexp.tasks.baseline_cache import BaselineCache, baseline_metrics

    check_only_locations(overrides, "test")
    run, config = read_run(folder), read_config(folder)
    if run.get("status") != "completed":
        raise UserError(f"{folder} has the status {run.get('status')!r}: it is not a completed run")
    recorded = read_metrics(folder)
    check_recorded(config, folder / "config.yaml")
    find_data(config, run)
    config = override(config, overrides)
    config = on_one_device(resolve(without_missing_gpu(config)))
    set_up_process(config)
    try:
        data = build_data(config)
    except UserError as error:
        raise UserError(f"{error}{if_moved(config)}") from error
    facts = data.facts()
    check_same_data(run, facts, config)
    task = build_task(config, data)
    config.logger, config.callbacks = None, {}
    config.trainer.pop("profiler", None)
    load_best(task, folder)
    metrics = test_weights(build_trainer(config, folder), task, data)
    baselines = baseline_metrics(task, data, BaselineCache(console.show))
    console.show(*results(task, metrics, baselines, tested(config)))

    now = read_config_hash(folder)
    changed = ["config.yaml"] if run.get("config_sha256", now) != now else []
    show_other_ground(run)
    show_edited([*changed, *edited_files(folder)])
    differing = metric_differences(recorded, metrics)
    if not differing:
        console.show(f"all {len(metrics)} metrics equal the recorded ones to the bit")
        return IDENTICAL
    environment = environment_differences(folder, facts_of_this_process(config) | facts)
    show_differences(environment, differing)
    return exit_code(environment, differing)
