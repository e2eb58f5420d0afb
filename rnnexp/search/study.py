"""The study of a search, in Optuna's storage: which trial comes next, and who works on it.

Several workers may work on a study, one after another or at the same time. Each holds a lock as
long as it lives, and its name stands at its trials. A running trial whose worker is gone is taken
over by another one in the same folder, which goes on with it. A lock on the study keeps two workers
from taking the same trial.
"""

import hashlib
import json
import os
import socket
import time
import uuid
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import quote

import optuna
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from rnnexp.errors import RunFailed, UserError
from rnnexp.files import open_regular
from rnnexp.process.locks import is_locked, locked, waited_for
from rnnexp.runs.folder.reading import LOCK
from rnnexp.search.space import Space, Value

DATABASE, STUDY_LOCK, WORKER_LOCK = "study.db", ".study_lock", ".worker_{}"
PATIENCE = 60  # seconds for SQLite while others write to it
POLL = 0.5  # seconds between two looks at a trial of another worker
STARTUP = 5  # trials before any is pruned
# Attributes of a trial. PLACE identifies the folder of the search: workers that share a database
# may have several, on other computers or below other current folders.
WORKER, PLACE, FOLDER, METRIC, ERROR = "worker", "place", "folder", "metric", "error"
SETTINGS = "settings"  # of the study
Mode = Literal["min", "max"]
State = Literal["completed", "pruned", "failed"]
STATES = {
    "completed": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "failed": TrialState.FAIL,
}


@dataclass(frozen=True)
class Settings:
    """What must be the same for all workers of a study.

    overrides: those that all trials have.
    """

    space: Space
    overrides: Sequence[str]
    mode: Mode
    seed: int
    prunes: bool

    def recorded(self) -> list[str]:
        # Where run folders are may differ from machine to machine.
        given = [one for one in self.overrides if not one.startswith("paths.")]
        space = [f"{key}: {json.dumps(said)}" for key, said in self.space.written.items()]
        return [*given, *space, "pruning" if self.prunes else "--no-pruning"]


@dataclass(frozen=True)
class Claim:
    """A trial that this worker works on.

    folder: the name of its run folder if it has begun before. reported: epochs whose metric the
    study has.
    """

    number: int
    values: dict[str, Value]
    trial: optuna.Trial
    folder: str | None
    reported: frozenset[int]

    def report(self, epoch: int, value: float) -> bool:
        """Report the monitored metric after an epoch, from 0. Says whether the trial is pruned."""
        if epoch not in self.reported:
            self.trial.report(value, epoch)
        return bool(self.trial.should_prune())

    def began(self, folder: str) -> None:
        self.trial.set_user_attr(FOLDER, folder)


class Trials:
    """The trials of a study, to be reported on. keys: what its space varies."""

    name: str
    study: optuna.Study
    keys: Sequence[str]

    def trials(self) -> list[FrozenTrial]:
        """All trials, in the order of their numbers."""
        return self.study.get_trials(deepcopy=False)

    def best(self) -> list[FrozenTrial]:
        """The completed trials, best first."""
        done = [one for one in self.trials() if one.state == TrialState.COMPLETE]
        sign = 1 if self.study.direction == StudyDirection.MINIMIZE else -1
        return sorted(done, key=lambda one: (sign * value_of(one), one.number))


class RecordedStudy(Trials):
    """A study in the database of its folder, which is only read.

    Raises:
        UserError: it cannot be read.
    """

    def __init__(self, place: Path) -> None:
        self.name = place.resolve().name
        path = place / DATABASE
        url = f"sqlite:///file:{quote(str(path.resolve()))}?mode=ro&uri=true"
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        try:
            open_regular(path).close()
            storage = optuna.storages.RDBStorage(url, skip_table_creation=True)
            self.study = optuna.load_study(study_name=self.name, storage=storage)
            self.keys = list(dict.fromkeys(key for one in self.trials() for key in one.params))
            self.best()
        except OSError as error:
            raise UserError(f"{path} cannot be read: {error.strerror}") from error
        except (
            *(SQLAlchemyError, optuna.exceptions.OptunaError, AssertionError, AttributeError),
            *(LookupError, RuntimeError, TypeError, ValueError),
        ) as error:  # as whatever stands in the database
            said = _first_line(error)[:200]
            raise UserError(f"{path} cannot be read as the study {self.name} ({said})") from error


class Study(Trials):
    """A study, opened by one worker.

    place: the folder of the search, with its runs. epochs: that a trial may have; in the first
    quarter none is pruned.
    """

    def __init__(
        self, name: str, place: Path, storage: str | None, settings: Settings, epochs: int
    ) -> None:
        self.name, self.place, self.settings = name, place, settings
        self.keys = list(settings.space.distributions)
        self.worker = f"{socket.gethostname()}_{os.getpid()}_{uuid.uuid4().hex[:8]}"
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        with waited_for(place / STUDY_LOCK):
            self.place_id = _identity(place / STUDY_LOCK)
            self.study = optuna.create_study(
                storage=_opened(storage or f"sqlite:///{place / DATABASE}", storage is not None),
                study_name=name,
                direction="minimize" if settings.mode == "min" else "maximize",
                load_if_exists=True,
                pruner=(
                    optuna.pruners.MedianPruner(STARTUP, n_warmup_steps=max(epochs, 0) // 4)
                    if settings.prunes
                    else optuna.pruners.NopPruner()
                ),
            )
        self._check_settings(self.trials())

    def _check_settings(self, trials: Sequence[FrozenTrial]) -> None:
        """Compare the settings with those of the trials so far; without any, record them.

        Raises:
            UserError: they differ.
        """
        now = self.settings.recorded()
        if not trials:
            self.study.set_user_attr(SETTINGS, now)
            return
        before = self.study.user_attrs.get(SETTINGS, [])
        if sorted(before) != sorted(now):
            then = ", ".join(one for one in before if one not in now)
            given = ", ".join(one for one in now if one not in before)
            parts = [f"with {then}"] * bool(then) + [f"without {given}"] * bool(given)
            raise UserError(
                f"the study {self.name} began {' and '.join(parts)}: type the same again, or begin "
                "another study with --study NAME"
            )

    @contextmanager
    def working(self) -> Iterator[None]:
        """Be a worker during the block.

        Raises:
            RunFailed: the storage can no longer be written to.
        """
        with locked(self.place / WORKER_LOCK.format(self.worker)):
            try:
                yield
            except (optuna.exceptions.StorageInternalError, SQLAlchemyError) as error:
                raise RunFailed(
                    f"the study {self.name} cannot be written to ({_first_line(error)}); type the "
                    "same command again to go on"
                ) from error

    def claim(self, most: int) -> Claim | None:
        """The next trial for this worker: one whose worker is gone, or a new one if the study has
        fewer than `most`. None if there is none.

        Raises:
            UserError: another worker has begun the study with other settings.
        """
        with waited_for(self.place / STUDY_LOCK):
            trials = self.trials()
            self._check_settings(trials)
            left = next((one for one in trials if self._is_left(one)), None)
            waiting = any(one.state == TrialState.WAITING for one in trials)
            if left is None and len(trials) >= most and not waiting:
                return None
            number = left.number if left else len(trials)
            self.study.sampler = optuna.samplers.TPESampler(seed=self._seed(number))
            # Optuna has no other way to go on with a trial.
            trial = optuna.Trial(self.study, left._trial_id) if left else self.study.ask()
            self._forget_worker(left)
            trial.set_user_attr(WORKER, self.worker)
            trial.set_user_attr(PLACE, self.place_id)
            return Claim(
                trial.number,
                self.settings.space.suggested(trial),
                trial,
                left.user_attrs.get(FOLDER) if left else None,
                frozenset(left.intermediate_values if left else ()),
            )

    def _is_left(self, trial: FrozenTrial) -> bool:
        """Whether a trial is running, by the study, but its worker is gone."""
        if trial.state != TrialState.RUNNING:
            return False
        if WORKER in trial.user_attrs and self._has_worker(trial) is not False:
            return False
        folder = self.folder_of(trial)  # perhaps somebody resumes the run alone
        return folder is None or not is_locked(folder / LOCK)

    def _has_worker(self, trial: FrozenTrial) -> bool | None:
        """Whether the worker of a trial lives, by its lock. None if it works on another computer,
        or in another folder: nobody here knows."""
        worker = trial.user_attrs.get(WORKER, "")
        is_here = worker.rsplit("_", 2)[0] == socket.gethostname()
        is_here &= trial.user_attrs.get(PLACE) == self.place_id
        return is_locked(self.place / WORKER_LOCK.format(worker)) if is_here else None

    def folder_of(self, trial: FrozenTrial) -> Path | None:
        """The run folder of a trial; None if it has none, or if it is not in this folder."""
        name = trial.user_attrs.get(FOLDER)
        is_here = trial.user_attrs.get(PLACE) == self.place_id
        return self.place / Path(name).name if is_here and name else None

    def _forget_worker(self, left: FrozenTrial | None) -> None:
        """Remove the lock of a worker that was killed."""
        if left and WORKER in left.user_attrs:
            (self.place / WORKER_LOCK.format(left.user_attrs[WORKER])).unlink(missing_ok=True)

    def same_before(self, claim: Claim) -> Path | None:
        """The run folder of a completed trial with the values of this one. An earlier trial with
        these values that another worker of this folder is running is waited for."""
        while True:
            same = [one for one in self.trials() if one.params == claim.values]
            for one in same:
                folder = self.folder_of(one) if one.state == TrialState.COMPLETE else None
                if folder and (folder / "metrics.json").exists():
                    return folder
            earlier = [one for one in same if one.number < claim.number]
            if not any(
                one.state == TrialState.RUNNING and self._has_worker(one) for one in earlier
            ):
                return None
            time.sleep(POLL)

    def _seed(self, number: int) -> int:
        """A seed of its own for each trial, so that a study that goes on does not begin again."""
        text = f"{self.name}/{self.settings.seed}/{number}"
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4])

    def tell(
        self,
        claim: Claim,
        state: State,
        value: float | None = None,
        metric: str = "",
        error: str = "",
    ) -> None:
        """Record what came of a trial. error: why it failed."""
        for attribute, text in ((METRIC, metric), (ERROR, error[:1000])):
            if text:
                claim.trial.set_user_attr(attribute, text)
        told = value if state == "completed" else None
        self.study.tell(claim.number, told, STATES[state], skip_if_finished=True)


def _identity(path: Path) -> str:
    """What the lock file of a study holds: an identity of its folder, which moves along with it."""
    if not path.exists() or not path.read_text("utf-8"):
        path.write_text(uuid.uuid4().hex, "utf-8")
    return path.read_text("utf-8")


def value_of(trial: FrozenTrial) -> float:
    """The metric of a completed trial, or the last one of a pruned trial."""
    assert trial.value is not None
    return trial.value


def _opened(url: str, is_given: bool) -> optuna.storages.RDBStorage:
    """Raises UserError: there is no such storage, or it cannot be opened."""
    settings = {"connect_args": {"timeout": PATIENCE}} if url.startswith("sqlite") else {}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return optuna.storages.RDBStorage(url, engine_kwargs=settings)
    except (SQLAlchemyError, ImportError, ValueError, RuntimeError) as error:
        if is_given:
            raise UserError(
                f"--storage: the study cannot be opened there ({_first_line(error)}); write a "
                "database URL, as sqlite:///FILE or postgresql://USER@HOST/DATABASE"
            ) from error
        raise UserError(f"{url}: the study cannot be opened ({_first_line(error)})") from error


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
