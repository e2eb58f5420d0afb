"""One trial of a search: an ordinary run in a folder of the search, whose outcome is read there."""

import io
import math
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from rnnexp.callbacks.pruning import Pruning
from rnnexp.config.compose import compose_whole, initialised
from rnnexp.errors import CannotRerun, Pruned, RunFailed, UserError
from rnnexp.launching.labels import label
from rnnexp.launching.plan import Job, planned_job
from rnnexp.runs import experiment
from rnnexp.runs.folder.reading import read_config, read_metrics, read_run, status_now
from rnnexp.runs.resume import forget, resume
from rnnexp.search.space import Value, override
from rnnexp.search.study import Claim, State, Study


@dataclass(frozen=True)
class Outcome:
    """What became of a trial.

    metric: the monitored one, and its value, of the best checkpoint on the validation data; empty
    and None if the trial is not completed. why: of a trial that is not completed.
    """

    state: State
    folder: Path | None = None
    metric: str = ""
    value: float | None = None
    why: str = ""


def run_trial(study: Study, claim: Claim, config_dir: Path | None) -> Outcome:
    """Run a trial, or go on with it; if an earlier one had the same values, take its outcome.

    Errors of the run are part of the outcome. What it prints is dropped: its folder has log.txt and
    the results.
    """
    has_begun = claim.folder is not None and (study.place / claim.folder / "run.json").exists()
    if not has_begun and (same := study.same_before(claim)):
        claim.began(same.name)
        return _outcome(same, "")
    try:
        job = _job(study, claim, config_dir)
    except UserError as error:
        return Outcome("failed", why=str(error))
    folder = study.place / job.folder
    claim.began(job.folder)
    said = ""
    try:
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            _run(study, claim, job, folder)
    except Pruned:
        pass
    except (UserError, RunFailed, CannotRerun) as error:
        said = str(error)
    except Exception as error:
        said = f"{type(error).__name__}: {error}, see {folder / 'log.txt'}"
    return _outcome(folder, said)


def _job(study: Study, claim: Claim, config_dir: Path | None) -> Job:
    """The run of a trial. Its label has numbers of three digits, its overrides have them exactly.

    Raises:
        UserError: the values of the trial do not go together.
    """
    overrides = [override(key, value) for key, value in claim.values.items()]
    with initialised(config_dir):
        given = tuple(study.settings.overrides)
        job = planned_job((*given, *overrides), compose_whole([*given, *overrides]))
    told = [override(key, _short(value)) for key, value in claim.values.items()]
    name = label(job.choices.get("model"), told, job.config.seed)
    folder = claim.folder or f"{claim.number}_{name}"
    return replace(job, label=name, folder=folder, number=claim.number)


def _short(value: Value) -> Value:
    return float(f"{value:.3g}") if isinstance(value, float) else value


def _run(study: Study, claim: Claim, job: Job, folder: Path) -> None:
    """Run a trial, or what is missing of it. Raises as `rnnexp.runs.experiment.run`."""
    callbacks, argv = [Pruning(claim.report)], without_passwords(sys.argv)
    if (folder / "run.json").exists():
        if status_now(folder, read_run(folder)) == "interrupted":
            resume(folder, callbacks=callbacks, argv=argv)
        return
    if (folder / "config.yaml").exists():
        forget(folder)  # it was killed when it had hardly begun
    experiment.run(
        job.config,
        folder,
        callbacks=callbacks,
        overrides=list(job.overrides),
        choices=job.choices,
        label=job.label,
        trial={"study": study.name, "number": claim.number},
        argv=argv,
    )


def _outcome(folder: Path, said: str) -> Outcome:
    """What became of a trial by its folder. said: the error that ended it here, if one did."""
    status, why = "failed", said or "its run did not end"
    with suppress(UserError):
        run = read_run(folder)
        status = status_now(folder, run)
        why = str(run.get("error") or why)
        if status == "pruned":
            return Outcome("pruned", folder, why=f"after epoch {run.get('pruned_after')}")
        if status == "completed":
            metric = str(read_config(folder).monitor)
            value = read_metrics(folder).get(metric, math.nan)
            if math.isfinite(value):
                return Outcome("completed", folder, metric, value)
            why = f"{metric} has no value"
    return Outcome("failed", folder, why=why)


def without_passwords(words: Sequence[str]) -> list[str]:
    """A command line without the address of the storage, which may hold a password."""
    kept, hides = [], False
    for word in words:
        kept.append("..." if hides else "--storage=..." if word.startswith("--storage=") else word)
        hides = word == "--storage"
    return kept
