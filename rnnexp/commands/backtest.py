"""Test a finished run of task=horizon as it would have been used: at issue times.

An issue time is the first step that the network has not seen. With --refit the network is trained
again at the beginning of every fold of this length, on the data before it: an ordinary run in
folds/01, folds/02, ... of the output. Such a back-test goes on after an interruption if the command
is typed again with --output FOLDER. docs/series.md says more.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from rnnexp import console
from rnnexp.commands.shared.options import allow, folder_parser
from rnnexp.commands.shared.output import check_output_folder
from rnnexp.config import check, check_recorded, override
from rnnexp.errors import UserError
from rnnexp.process.memory import enough_memory
from rnnexp.runs.locations import check_only_locations, check_same_data, find_data, if_moved
from rnnexp.tables import counted

if TYPE_CHECKING:
    from torch import Tensor

    from rnnexp.runs.backtests.folder import BacktestRecord
    from rnnexp.tasks.horizon.backtest.plan import Asked, Plan
    from rnnexp.tasks.horizon.data import HorizonData
    from rnnexp.tasks.horizon.task import Horizon


def main(argv: list[str]) -> int:
    parser = folder_parser(__name__, __doc__)
    parser.add_argument(
        "--horizon", metavar="N", type=int, help="steps that are predicted (as in the run)"
    )
    parser.add_argument(
        "--every", metavar="TIME", help="between issue times, e.g. 24h (the horizon; with --at 1D)"
    )
    parser.add_argument(
        "--at", metavar="HH:MM", help="clock time of the issue (the last horizon ends the span)"
    )
    parser.add_argument(
        "--lead", metavar="TIME", help="from the issue time to the first predicted step (the run's)"
    )
    parser.add_argument(
        "--refit", metavar="TIME", help="train again after this time, e.g. 30D (never)"
    )
    for name, what in (("lightgbm", "gradient-boosted trees"), ("statsforecast", "MSTL, AutoETS")):
        parser.add_argument(
            f"--{name}",
            dest="libraries",
            action="append_const",
            const=name,
            default=[],
            help=f"{what} as baselines too",
        )
    parser.add_argument(
        "--output", metavar="FOLDER", type=Path, help="(outputs/backtests/NAME/DATE_TIME)"
    )
    parser.add_argument(
        "overrides", metavar="data.root=PATH", nargs="*", help="where the data are now"
    )
    options = parser.parse_intermixed_args(argv)
    allow(options.allow)
    from rnnexp.tasks.horizon.backtest.plan import Asked  # late: it imports torch

    asked = Asked(options.horizon, options.every, options.at, options.lead, options.refit)
    with enough_memory():
        return backtest(options.folder, asked, options.output, options.overrides, options.libraries)


def backtest(
    folder: Path,
    asked: Asked,
    output: Path | None = None,
    overrides: Sequence[str] = (),
    libraries: Sequence[str] = (),
) -> int:
    """Back-test a run, write the result to a folder, and return the exit code 0.

    output: None: a new folder. overrides: where the data are now. libraries: whose baselines are
    computed too.

    Raises:
        UserError: the run is not a completed one of the task `horizon`, its data are missing or
            have changed, what is asked for cannot be had, a library is missing, or the output holds
            something else.
        CannotRerun: the run of a fold cannot go on.
        RunFailed: the training of a fold cannot continue.
    """
    # Late: they import torch, and --help does without.
    from rnnexp.runs.backtests.folder import new_place, recording_backtest
    from rnnexp.runs.build import data_module
    from rnnexp.runs.experiment import to_type
    from rnnexp.runs.folder.digest import edited_files
    from rnnexp.runs.folder.reading import hash_file
    from rnnexp.runs.parallel import on_one_device
    from rnnexp.runs.settings import (
        facts_of_this_process,
        resolve,
        set_up_process,
        without_missing_gpu,
    )
    from rnnexp.tasks.horizon.backtest.plan import plan
    from rnnexp.tasks.horizon.backtest.results import described
    from rnnexp.tasks.horizon.task import require

    check_only_locations(overrides, "backtest")
    if output is not None:
        check_output_folder(output)
    run, trained = _completed_run(folder, overrides)
    for name in edited_files(folder):
        console.show(f"edited        {name} is not as the run wrote it")
    config = on_one_device(resolve(without_missing_gpu(trained)))
    set_up_process(config)
    data: Any = data_module(config)
    settings = asked.in_steps(data.source)
    try:
        with console.working("reading the data"):
            data.setup("fit")
    except UserError as error:
        raise UserError(f"{error}{if_moved(config)}") from error
    facts = data.facts()
    check_same_data(run, facts, config)
    planned = plan(settings, data)
    require(libraries, len(planned.windows))
    _show_plan(planned, data)

    content = {
        "asked": vars(asked) | {"libraries": libraries},
        **described(planned, data.source.clock),
        "run": {
            "folder": str(folder.resolve()),
            "name": str(config.name),
            "digest": hash_file(folder / "digest.json"),
        },
        "data": facts["data"],
        "fingerprints": facts["fingerprints"],
        **facts_of_this_process(config),
    }
    place = output or new_place(config.name)
    began = time.perf_counter()
    with recording_backtest(place, content) as record:
        try:
            task, parts = _predict(record, planned, data, folder, run, trained, config)
            _write(record, task, parts, planned, data, libraries)
        except (KeyboardInterrupt, SystemExit) as stop:  # Lightning turns Ctrl-C into SystemExit
            console.show_line(f"go on        {_again(folder, asked, libraries, place, overrides)}")
            raise KeyboardInterrupt from stop
        record.save(seconds=round(time.perf_counter() - began, 3))
        record.completed()
    console.show_line(f"back-test    {console.from_here(place)}")
    console.show_line(f"a page       {to_type('report', place)}")
    return 0


def _completed_run(folder: Path, overrides: Sequence[str]) -> tuple[dict[str, Any], DictConfig]:
    """run.json and the config of a run that can be back-tested, with its data where they are."""
    from rnnexp.runs.build import task_class
    from rnnexp.runs.folder.reading import read_config, read_run
    from rnnexp.tasks.horizon.task import Horizon

    run, config = read_run(folder), read_config(folder)
    if run.get("status") != "completed":
        raise UserError(f"{folder} has the status {run.get('status')!r}: it is not a completed run")
    check_recorded(config, folder / "config.yaml")
    task = task_class(config)
    if not issubclass(task, Horizon):
        raise UserError(
            f"{folder} is a run of the task {task.__name__}: a back-test is of a run that predicts "
            "a horizon (rnnexp train task=horizon)"
        )
    find_data(config, run)
    config = override(config, overrides)
    check(config)
    return run, config


def _show_plan(planned: Plan, data: HorizonData) -> None:
    steps, issued = planned.settings.horizon, planned.issued
    show = data.source.clock.show
    console.show(
        f"{counted(len(planned.windows), 'forecast')} of {counted(steps, 'step')}, issued from "
        f"{show(issued.min())} to {show(issued.max())}"
    )
    if planned.left_out:
        many = planned.left_out > 1
        console.show(
            f"{planned.left_out:,} more issue time{'s are' if many else ' is'} left out: the "
            f"network predicts {counted(data.source.horizon, 'step')}, and the data end before the "
            "last one"
        )
    console.show(*planned.remarks(data.source))
    console.show(*data.repaired_ahead(planned.windows, "forecast"))


def _predict(
    record: BacktestRecord,
    planned: Plan,
    data: HorizonData,
    folder: Path,
    run: dict[str, Any],
    trained: DictConfig,
    config: DictConfig,
) -> tuple[Horizon, list[dict[str, Tensor]]]:
    """The predictions of every fold, and the task that made the last of them. trained: the config
    of the run, from which the folds are trained; config: the same, resolved for a test."""
    from rnnexp.runs.backtests.folds import predict_windows, train_until
    from rnnexp.runs.folder.reading import hash_file
    from rnnexp.tasks.horizon.backtest.plan import least_test_windows

    parts, clock = [], data.source.clock
    facts: dict[str, Any] = {key: run[key] for key in ("choices", "label") if key in run}
    for fold in planned.folds:
        network = folder
        if fold.until is not None:
            network = record.fold(fold.number)
            windows = least_test_windows(fold.until, data.source)
            own = {"backtest_of": str(folder.resolve())} | facts
            began = time.perf_counter()
            # Its own tables and commands are easily taken for those of the back-test.
            with console.muted():
                kept = train_until(trained, clock.iso(fold.until), windows, network, **own)
            took = "completed before" if kept else f"{time.perf_counter() - began:.1f} s"
            console.show(
                f"fold {fold.number} of {len(planned.folds)}: trained on the data before "
                f"{clock.show(fold.until)}, issued until {clock.show(fold.last)} ({took})"
            )
            _check_series(network, data)
            record.content["folds"][fold.number - 1]["digest"] = hash_file(network / "digest.json")
            record.save()
        loader = data.evaluation_loader(planned.windows[fold.chosen])
        task: Any = predict_windows(config, network, data, loader)
        parts.append(dict(task.predictions))
    return task, parts


def _check_series(folder: Path, data: HorizonData) -> None:
    """Check that the network of a fold knows all series, in the same order."""
    from rnnexp.runs.folder.reading import read_run

    known = read_run(folder).get("spec", {}).get("series")
    missing = [name for name in data.spec.series if name not in (known or [])]
    if known != data.spec.series:
        raise UserError(
            f"{folder}: {', '.join(missing) or 'a series'} was left out of the training, because "
            "the series is too short before the fold begins: leave it out of the run too"
        )


def _write(
    record: BacktestRecord,
    task: Horizon,
    parts: list[dict[str, Tensor]],
    planned: Plan,
    data: HorizonData,
    libraries: Sequence[str],
) -> None:
    """Write and show the results."""
    from rnnexp.runs.results import beaten, metrics_table
    from rnnexp.tasks.baseline_cache import BaselineCache
    from rnnexp.tasks.horizon.backtest.results import Results, baselines, joined

    task.predictions = joined(parts, planned, data)
    results = Results(task, data, planned)
    own = results.metrics()
    with console.working("computing the baselines on the same windows"):
        others = baselines(task, data, planned.windows, BaselineCache(console.show), libraries)
    forecasts = counted(len(planned.windows), "forecast")
    title = f"Back-test: {len(data.spec.series)} series, {forecasts}"
    label = (
        counted(len(planned.folds), "network") if planned.settings.refit else "the run's network"
    )
    console.show(metrics_table(title, label, task, own, others))
    console.show(*beaten("these forecasts", task, own, others), *task.tables())

    record.table("backtest", results.forecasts())
    for name, table in results.tables().items():
        record.table(name, table)
    for name, figure in results.figures().items():
        record.figure(name, figure, record.content["run"]["name"])
    record.metrics({f"backtest/{name}": value for name, value in own.items()} | others)


def _again(
    folder: Path, asked: Asked, libraries: Sequence[str], place: Path, overrides: Sequence[str]
) -> str:
    """What to type to go on."""
    from rnnexp.runs.experiment import to_type

    given = [
        word
        for name, value in vars(asked).items()
        if value is not None
        for word in (f"--{name}", value)
    ]
    given += [f"--{name}" for name in libraries]
    return to_type("backtest", folder, *given, "--output", console.from_here(place), *overrides)
