"""Shared code of the studies: the command, the jobs and the tables.

A study trains experiments with several seeds. Each training is a job: one `rnnexp train` in its own
process, with its run folder below the study's. A job with a completed run is not run again, so an
interrupted study continues where it stopped.
"""

import argparse
import inspect
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from omegaconf import DictConfig, OmegaConf

from rnnexp import console
from rnnexp.config import check, compose, targets
from rnnexp.config.schema import plain
from rnnexp.errors import UserError
from rnnexp.files import write_text
from rnnexp.runs.build import build_data, task_class
from rnnexp.runs.comparison.leaderboard import Entry, find_runs, tables
from rnnexp.runs.comparison.leaderboard_texts import to_markdown
from rnnexp.runs.comparison.statistics import check as compare_with_expected
from rnnexp.runs.folder.reading import read_config, read_run
from rnnexp.runs.hyperparameters import hyperparameters
from rnnexp.runs.settings import resolve, with_monitor

SEEDS = [0, 1, 2]
BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"


# The command ------------------------------------------------------------------------------------


def parser(description: str, experiments: Sequence[str]) -> argparse.ArgumentParser:
    """The options of every study."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "overrides",
        metavar="KEY=VALUE",
        nargs="*",
        help="overrides of every run, as for rnnexp train; then the table is shown and not written",
    )
    parser.add_argument("--seeds", type=seeds, default=SEEDS, help="default: 0,1,2")
    parser.add_argument(
        "--only",
        metavar="NAME",
        nargs="+",
        choices=experiments,
        default=list(experiments),
        help=f"a selection of {', '.join(experiments)}",
    )
    parser.add_argument("--fresh", action="store_true", help="start again; existing runs are kept")
    parser.add_argument(
        "--runs",
        metavar="DIR",
        type=Path,
        nargs="+",
        default=[],
        help="folders whose completed runs with the same config, seed and data are reused",
    )
    return parser


def seeds(text: str) -> list[int]:
    """`0,1,2` as a list."""
    return [int(seed) for seed in text.split(",")]


def is_whole(options: argparse.Namespace, experiments: Sequence[str]) -> bool:
    """Whether the whole study is requested, without overrides. Only then is the table written."""
    asked = (options.only, options.seeds, options.overrides)
    return asked == (list(experiments), SEEDS, [])


def exit_code(story: Callable[[], int]) -> int:
    """Run a study. A mistake of the user is one sentence on stderr and exit code 2."""
    try:
        return story()
    except UserError as error:
        print(f"study: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("study: interrupted; completed runs are not run again", file=sys.stderr)
        return 130


# Jobs -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Job:
    """One training. identity: recognises its runs."""

    overrides: tuple[str, ...]
    identity: str

    def __str__(self) -> str:
        return " ".join(self.overrides)


def plan(experiments: Sequence[str], seeds: Sequence[int], overrides: Sequence[str]) -> list[Job]:
    """Every experiment with every seed.

    Raises:
        UserError: an experiment's config or data are wrong.
    """
    return jobs_of([(f"experiment={name}", *overrides) for name in experiments], seeds)


def jobs_of(trainings: Sequence[tuple[str, ...]], seeds: Sequence[int]) -> list[Job]:
    """Every training, given by its overrides, with every seed. Reads the data for their
    fingerprints.

    Raises:
        UserError: a config or its data are wrong.
    """
    jobs, known = [], dict[str, tuple[str, str]]()
    for asked in trainings:
        composed = compose(asked)
        config = resolve(composed)
        check(config)
        described = OmegaConf.to_yaml({"task": config.task, "data": config.data})
        if described not in known:  # the same data are read once
            read = build_data(config)
            fingerprint = read.facts()["fingerprints"]["data"]
            known[described] = fingerprint, task_class(config).auto_monitor(read)[0]
        data, monitor = known[described]
        config = with_monitor(composed, config, monitor)
        for seed in seeds:
            config.seed = seed
            jobs.append(Job((*asked, f"seed={seed}"), identity(config, data)))
    return jobs


def identity(config: DictConfig, data: str | None) -> str:
    """A text that identifies equal runs: name, hyperparameters, seed, and fingerprint of the data.

    It includes the defaults of the classes, so that it still recognises a run that is older than an
    option.

    Raises:
        UserError: the config names a class that does not exist.
    """
    known = hyperparameters(plain(config))
    for key, node in targets.nodes(OmegaConf.to_container(config), ""):
        if key in known:  # the class itself
            defaults = _defaults(targets.locate(node, key))
            known = {f"{key}.{name}": value for name, value in defaults.items()} | known
    return json.dumps([config.name, known, data], sort_keys=True, default=str)


def _defaults(constructor: type) -> dict[str, Any]:
    """The defaults of a constructor's arguments and, with **kwargs, of its base's arguments."""
    found: dict[str, Any] = {}
    for base in constructor.__mro__:
        if "__init__" in vars(base):
            arguments = inspect.signature(vars(base)["__init__"]).parameters.values()
            own = {one.name: one.default for one in arguments if one.default is not one.empty}
            found = own | found
            if not any(one.kind is one.VAR_KEYWORD for one in arguments):
                break
    return found


def study_folder(name: str, fresh: bool) -> Path:
    """The folder of the study's runs: its newest one, or a new one to start again."""
    place = Path(os.environ.get("RNNEXP_OUTPUTS", "outputs")) / "studies" / name
    before = sorted(path for path in place.glob("*") if path.is_dir())
    return before[-1] if before and not fresh else place / f"{datetime.now():%Y-%m-%d_%H-%M-%S-%f}"


def complete(
    jobs: list[Job], folder: Path, others: list[Path], at_once: int = 1
) -> tuple[list[Entry], list[Job]]:
    """Run every job that has no completed run in the study's folder or in the others.

    A job that fails is named, and the next one is run. at_once: how many jobs run at the same time.
    Returns the completed runs, in the order of the jobs, and the jobs without one.

    Raises:
        UserError: another process is running one of the jobs.
    """
    running, done = _runs(folder, others)
    for job in jobs:
        if job.identity in running:
            place = running[job.identity].folder
            raise UserError(f"{place} is a job of this study that is still running: wait for it")

    def run(number: int, job: Job) -> None:
        print(f"job {number} of {len(jobs)}: {job}", flush=True)
        if job.identity in done:
            print(f"  completed in {done[job.identity].folder}", flush=True)
        elif code := train(job, folder):
            print(f"  job {number} failed with exit code {code}", flush=True)

    with ThreadPoolExecutor(at_once) as pool:
        try:
            list(pool.map(run, range(1, len(jobs) + 1), jobs))
        except BaseException:  # running jobs are interrupted too, and record it
            pool.shutdown(cancel_futures=True)
            raise

    if any(job.identity not in done for job in jobs):
        _, done = _runs(folder, others)
    failed = [job for job in jobs if job.identity not in done]
    if failed:
        print(f"study: {len(failed)} of {len(jobs)} jobs have no completed run:", file=sys.stderr)
        for job in failed:
            print(f"  {job}", file=sys.stderr)
    return [done[job.identity] for job in jobs if job.identity in done], failed


def _runs(folder: Path, others: list[Path]) -> tuple[dict[str, Entry], dict[str, Entry]]:
    """The running and the completed runs, by identity. The study's own runs take precedence over
    others, and later runs over earlier ones."""
    places = [*others, folder] if any(folder.rglob("run.json")) else others
    running, completed = dict[str, Entry](), dict[str, Entry]()
    by_status = {"running": running, "completed": completed}
    for entry in find_runs(places) if places else []:
        if entry.status in by_status:
            with suppress(UserError):  # its config is damaged or incompatible
                by_status[entry.status][identity(read_config(entry.folder), entry.data)] = entry
    return running, completed


def train(job: Job, folder: Path) -> int:
    """`rnnexp train`, its run folder below `folder`. Returns the exit code."""
    command = [sys.executable, "-m", "rnnexp", "train", *job.overrides]
    return subprocess.run(command, env=os.environ | {"RNNEXP_OUTPUTS": str(folder)}).returncode


# The study --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Answer:
    """The results of a study.

    text: the tables, in Markdown. rows: the runs and other rows to compare with expected values.
    draw: draws the figure.
    """

    text: str
    rows: list[Entry]
    draw: Callable[[], Figure]


@dataclass(frozen=True)
class Files:
    """The files that a study writes and reads.

    here: the folder of the study. figure, expected: file names. place: name of the markers in its
    README.
    """

    here: Path
    figure: str
    expected: str = "expected.yaml"
    place: str = "table"


def run(
    options: argparse.Namespace,
    jobs: list[Job],
    answer: Callable[[list[Entry]], Answer],
    files: Files,
    *,
    whole: bool,
    wanted: str = "only the whole study writes its table there",
    at_once: int = 1,
) -> int:
    """Train what is missing, show the answer, and write it if the study is whole.

    wanted: a sentence that says when the README is written. at_once: how many jobs run at the same
    time. Returns the exit code: 1 if a training failed or an expected value is missed.
    """
    folder = study_folder(files.here.name, options.fresh)
    completed, failed = complete(jobs, folder, options.runs, at_once)
    if not completed:
        return 1
    found = answer(completed)
    console.show_markdown(found.text)
    if failed:
        return 1
    if not whole:
        print(f"README.md stays as it is: {wanted}")
        return 0
    write_between_markers(files.here / "README.md", found.text, files.place)
    found.draw().savefig(files.here / files.figure, dpi=110)
    sentences, missed = compare_with_expected(found.rows, files.here / files.expected)
    console.show(*sentences)
    return 1 if missed else 0


# The table --------------------------------------------------------------------------------------


def by_name(run: Entry, metrics: list[str]) -> Entry:
    """A run as a row of the study's table: name, number of parameters, and metrics. The first
    metric sorts the table."""
    parameters = f"{read_run(run.folder)['parameters']:,}"
    known = {"name": run.config["name"], "parameters": parameters}
    return replace(run, config=known, headline=metrics)


def row(like: Entry, name: str, metrics: dict[str, float], seconds: float = float("nan")) -> Entry:
    """A row for a predictor that rnnexp did not train, on the test set of the run `like`."""
    tested = {f"test/{metric}": value for metric, value in metrics.items()}
    return replace(like, seed="", config={"name": name}, metrics=tested, seconds=seconds)


def baseline_rows(run: Entry) -> list[Entry]:
    """A row for each baseline that a run was compared with."""
    found: dict[str, dict[str, float]] = {}
    for key, value in run.metrics.items():
        kind, *rest = key.split("/", maxsplit=2)
        if kind == "baseline":
            name, metric = rest
            found.setdefault(name, {})[metric] = value
    return [row(run, name, metrics) for name, metrics in found.items()]


def markdown(runs: list[Entry], others: list[Entry]) -> str:
    """The leaderboard's table of runs and other rows (mean and sample standard deviation over the
    seeds), and the machine that the runs were trained on."""
    parts = [to_markdown(title, table) for title, table in tables([*runs, *others]).items()]
    return "\n".join([*parts, trained_on(runs)])


def trained_on(runs: list[Entry]) -> str:
    """The machine, as a sentence."""
    records = [read_run(run.folder) for run in runs]
    machines = dict.fromkeys(f"{run['device']}, threads: {run['threads']}" for run in records)
    return f"Trained on: {'; '.join(machines)}."


def markdown_table(title: str, table: pd.DataFrame) -> str:
    """A table of texts."""
    rows = [list(map(str, table.columns)), ["---"] * len(table.columns), *table.to_numpy().tolist()]
    return "\n".join([f"**{title}**", "", *("| " + " | ".join(row) + " |" for row in rows), ""])


def write_between_markers(path: Path, text: str, name: str = "table") -> None:
    """Replace the text between the two markers of this name.

    Raises:
        UserError: the file does not have the two markers.
    """
    begin, end = BEGIN.replace("table", name), END.replace("table", name)
    before, found_begin, rest = path.read_text(encoding="utf-8").partition(begin)
    _, found_end, after = rest.partition(end)
    if not (found_begin and found_end):
        raise UserError(f"{path} has no markers for the table: add the lines {begin} and {end}")
    write_text(path, f"{before}{begin}\n{text}\n{end}{after}")
