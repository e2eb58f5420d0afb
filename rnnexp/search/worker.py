"""The story of a search: one worker takes trials until the study has as many as were asked for."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath

from hydra.types import RunMode
from omegaconf import DictConfig
from optuna.trial import TrialState

from rnnexp import console
from rnnexp.config.compose import compose_whole, initialised, parse, with_quickstart
from rnnexp.errors import RunFailed, UserError
from rnnexp.files import can_name_a_file
from rnnexp.launching.plan import Job, check_jobs, planned_job
from rnnexp.launching.sweep import is_hydras
from rnnexp.runs.build import build_data, outline
from rnnexp.runs.experiment import to_type
from rnnexp.runs.folder.record import make_folder
from rnnexp.runs.settings import resolve
from rnnexp.search.report import best_trials, counts, save_figures
from rnnexp.search.space import GROUP, Space, check_space, read_space, saying
from rnnexp.search.study import METRIC, Settings, Study, value_of
from rnnexp.search.trials import Outcome, run_trial
from rnnexp.tables import number

HOPELESS = 5  # failed trials, and none that ended well
ENDED_WELL = (TrialState.COMPLETE, TrialState.PRUNED)


@dataclass(frozen=True)
class Request:
    """What was typed.

    words: overrides, among them space=NAME. trials: of the study, in all. study: its name; None for
    that of the experiment and the space. again: the command line, to be shown if it is interrupted.
    """

    words: Sequence[str]
    trials: int
    study: str | None = None
    storage: str | None = None
    prunes: bool = True
    config_dir: Path | None = None
    again: str = ""


def search(request: Request) -> int:
    """Work on a study until it has as many trials as were asked for, and report on it. Returns the
    exit code: 1 if no trial is completed.

    Raises:
        UserError: the space, an override, the name or the storage is wrong, or the study began with
            others.
        RunFailed: all trials fail, or the study cannot be written to.
    """
    if request.trials < 1:
        raise UserError(f"--trials {request.trials}: it must be at least 1")
    space, base, job = _planned(request)
    given = tuple(with_quickstart(_overrides(request.words)))
    name = request.study or f"{job.config.name}_{space.name}"
    if PurePath(name).name != name or not can_name_a_file(name) or name in ("", ".", ".."):
        raise UserError(f"--study {name}: it must be the name of a folder")
    place = Path(base.paths.outputs).absolute() / "search" / name
    settings = Settings(space, given, base.mode, base.seed, request.prunes)
    make_folder(place)
    study = Study(name, place, request.storage, settings, job.config.trainer.get("max_epochs") or 0)
    with study.working(), _showing_how_to_go_on(request.again):
        if _is_left(study, request.trials):
            _check(study, job, request.config_dir)
        _work(study, request)
        return _report(study)


def _planned(request: Request) -> tuple[Space, DictConfig, Job]:
    """The space, the config that all trials share with Hydra's own settings, and without them."""
    spaces = [word.partition("=")[2] for word in request.words if word.startswith(f"{GROUP}=")]
    if len(spaces) != 1:
        raise UserError(
            f"a search needs one space, as {GROUP}=forecasting or one of yours in conf/{GROUP}: "
            f"rnnexp search {GROUP}=NAME"
        )
    given = with_quickstart(_overrides(request.words))
    with initialised(request.config_dir):
        for one in parse(given):
            line = str(one.input_line)
            if one.is_sweep_override():
                raise UserError(f"{line} has several values: put them into a space, as choices")
            if is_hydras(line):
                raise UserError(
                    f"{line}: a search runs its trials by itself, in paths.outputs=FOLDER"
                )
        space = read_space(spaces[0])
        for key in (word.lstrip("+~").partition("=")[0] for word in _overrides(request.words)):
            if key in {one.lstrip("+") for one in space.distributions}:
                raise UserError(
                    f"{key} is given and {GROUP}/{space.name}.yaml varies it: remove one of them"
                )
        base = compose_whole(given)
        if base.hydra.mode == RunMode.MULTIRUN:
            raise UserError("sweep=... runs every combination: leave it out, or type rnnexp train")
        if base.monitor is None:
            raise UserError(
                "monitor=null: a search needs a metric to choose by, as monitor=val/loss"
            )
        job = planned_job(tuple(given), base.copy())
    check_jobs([job])
    return space, base, job


def _overrides(words: Sequence[str]) -> list[str]:
    return [word for word in words if not word.startswith(f"{GROUP}=")]


def _check(study: Study, job: Job, config_dir: Path | None) -> None:
    """Check what would be a mistake of every trial: the data can be read here and, before any trial
    has ended well, every value of the space can be had.

    Raises:
        UserError: it is one.
    """
    data = build_data(resolve(job.config))
    if any(one.state in ENDED_WELL for one in study.trials()):
        return
    with initialised(config_dir):
        space = study.settings.space
        configs = check_space(space, study.settings.overrides)
    for line, config in configs.items():
        if not line.lstrip("+").startswith("data"):  # else the sizes may differ
            with saying(space, line):
                outline(resolve(config), data.spec)


def _is_left(study: Study, most: int) -> bool:
    states = [one.state for one in study.trials()]
    return len(states) < most or TrialState.RUNNING in states or TrialState.WAITING in states


def _work(study: Study, request: Request) -> None:
    began = time.monotonic()
    while claim := study.claim(request.trials):
        outcome = run_trial(study, claim, request.config_dir)
        why = outcome.why if outcome.state == "failed" else ""
        study.tell(claim, outcome.state, outcome.value, outcome.metric, why)
        seconds = time.monotonic() - began
        where = f"{claim.number + 1}/{max(request.trials, len(study.trials()))}"
        console.show_line(f"{where}  {seconds:.0f} s  {_ended(study, claim.number, outcome)}")
        states = [one.state for one in study.trials()]
        failed = states.count(TrialState.FAIL)
        if failed >= HOPELESS and not any(state in ENDED_WELL for state in states):
            raise RunFailed(
                f"the first {failed} trials of {study.name} failed; the last one: {outcome.why}"
            )


def _ended(study: Study, trial: int, outcome: Outcome) -> str:
    """How a trial ended, for its line."""
    what = outcome.folder.name if outcome.folder else f"trial {trial}"
    if not what.startswith(f"{trial}_") and outcome.folder:
        what = f"trial {trial} has the values of {what}"
    if outcome.value is None:
        return f"{what}  {outcome.state}{': ' if outcome.state == 'failed' else ' '}{outcome.why}"
    leads = study.best()[0].number == trial
    best = "the best so far" if leads else f"best {number(value_of(study.best()[0]))}"
    return f"{what}  {outcome.metric} {number(outcome.value)} ({best})"


def _report(study: Study) -> int:
    """Show the best trials, save the figures, and show what to type next."""
    best = study.best()
    if not best:
        console.show(f"{study.name}: {counts(study.trials())}: there is no best one")
        return 1
    metric = str(best[0].user_attrs.get(METRIC, "value"))
    console.show(best_trials(study, metric))
    for path in save_figures(study, metric):
        console.show_line(f"figure       {console.from_here(path)}")
    place = console.from_here(study.place)
    console.show_line(f"all trials   {console.command('rnnexp', 'leaderboard', place)}")
    console.show_line(f"a page       {to_type('report', study.place)}")
    folder = study.folder_of(best[0])
    if folder is None:
        console.show_line(f"best trial   {best[0].number}, of a worker in another folder")
        return 0
    console.show_line(f"best trial   {console.from_here(folder)}")
    console.show_line(f"repeat it    {to_type('rerun', folder)}")
    return 0


@contextmanager
def _showing_how_to_go_on(again: str) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        console.show_line(f"go on        {again}")
        raise
