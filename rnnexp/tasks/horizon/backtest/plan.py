"""Which forecasts a back-test makes: from what is typed to windows and folds."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from rnnexp.data.series.calendar.frequency import DAY
from rnnexp.data.series.calendar.issue import Issue, clock, minute_of_day
from rnnexp.data.series.source import SeriesSource
from rnnexp.errors import UserError
from rnnexp.tasks.horizon.data import HorizonData
from rnnexp.tasks.horizon.windows import HorizonWindows


@dataclass(frozen=True)
class Asked:
    """What was typed; None: the default.

    horizon: steps. every, lead, refit: lengths of time, e.g. 24h. at: a clock time.
    """

    horizon: int | None = None
    every: str | None = None
    at: str | None = None
    lead: str | None = None
    refit: str | None = None

    def in_steps(self, source: SeriesSource) -> Settings:
        """The same in steps, compared with what the network of the run predicts.

        Raises:
            UserError: a length of time cannot be read, is no whole number of steps, or too small;
                or the network does not predict these steps.
        """
        horizon = source.horizon if self.horizon is None else self.horizon
        if horizon < 1:
            raise UserError(f"--horizon {horizon}: it must be at least 1 step")
        lead = source.issue.lead if self.lead is None else _steps(self.lead, "--lead", 0, source)
        every = None if self.every is None else _steps(self.every, "--every", 1, source)
        refit = None if self.refit is None else _steps(self.refit, "--refit", 1, source)
        if self.at is not None:
            _check_clock(self.at, self.every, every, source)
        _check_predicted(lead, horizon, source)
        return Settings(horizon, lead, self.at, every, refit)


@dataclass(frozen=True)
class Settings:
    """A back-test in steps. every: None: one horizon; with `at`, a day. refit: None: no refit."""

    horizon: int
    lead: int
    at: str | None
    every: int | None
    refit: int | None

    def plain(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


@dataclass(frozen=True)
class Fold:
    """The forecasts of one network.

    until: datetime64[s], where the data of its training end; None: it is the network of the run.
    chosen: bool (n,), which windows it predicts. first, last: its issue times, datetime64[s].
    """

    number: int
    until: np.datetime64 | None
    chosen: torch.Tensor
    first: np.datetime64
    last: np.datetime64


@dataclass(frozen=True)
class Plan:
    """The windows of a back-test, n in number, and its folds, which share them.

    left_out: the number of issue times, of all series, after which the data end before the last
    step that the network predicts.
    """

    settings: Settings
    windows: HorizonWindows
    issued: np.ndarray  # datetime64[s], (n,)
    folds: list[Fold]
    left_out: int

    def remarks(self, source: SeriesSource) -> list[str]:
        """A sentence on a time of --refit that does not divide the forecasts as it seems to."""
        refit, issue_times = self.settings.refit, len(np.unique(self.issued))
        if refit is None or issue_times == 1:
            return []
        if len(self.folds) == 1:
            return ["--refit is longer than the time of all forecasts: one network is trained"]
        day = max(int(DAY // source.step), 1)
        if refit < (self.settings.every or (day if self.settings.at else self.settings.horizon)):
            every = "--refit is shorter than the time between issue times"
            return [f"{every}: each of the {issue_times:,} has a network of its own"]
        return []


def plan(settings: Settings, data: HorizonData) -> Plan:
    """The forecasts over the test span. data: after `setup`.

    Raises:
        UserError: no step has the clock time, or no issue time lies in the test span.
    """
    issue = Issue(settings.lead, settings.at, settings.every)
    if settings.at is not None:
        _check_steps_at(settings.at, data.source)
    windows = data.windows_of("test", issue, settings.horizon)
    possible = sum(map(len, data.issue_steps("test", issue, settings.horizon)))
    if not len(windows):
        at = f" at {settings.at}" if settings.at else ""
        raise UserError(
            f"no issue time{at} lies within the test span: none has all of its {settings.horizon} "
            f"steps, {settings.lead} steps later, there; the run needs a longer test span "
            "(data.test_windows=N)"
            if not possible
            else f"no issue time{at} is left: the network predicts {data.source.horizon} steps, "
            "and the data end before the last of them"
        )
    issued = data.issue_times(windows)
    return Plan(settings, windows, issued, _folds(settings, issued, data), possible - len(windows))


def fold_of(times: np.ndarray, refit: int, source: SeriesSource) -> tuple[np.ndarray, np.ndarray]:
    """The number of refits before each of the ascending times (m,), and when the last of them was.
    The first one is at the first time. With a time zone whole days are those of the clock."""
    days, rest = divmod(refit, source.store.steps_a_day or refit + 1)
    if source.clock.of_instants and rest == 0:
        most = int((times[-1] - times[0]) // (refit * source.step)) + 2
        begins = source.clock.days_before(np.repeat(times[:1], most), -days * np.arange(most))
        number = np.searchsorted(begins, times, side="right") - 1
        return number, begins[number]
    position = np.concatenate([[0], np.cumsum(source.frequency.steps_between(times))])
    number = position // refit
    begins = source.frequency.after(np.repeat(times[:1], len(times)), number * refit)
    return number, begins


def _folds(settings: Settings, issued: np.ndarray, data: HorizonData) -> list[Fold]:
    if settings.refit is None:
        every = torch.ones(len(issued), dtype=torch.bool)
        return [Fold(1, None, every, issued.min(), issued.max())]
    times, place = np.unique(issued, return_inverse=True)
    number, begins = fold_of(times, settings.refit, data.source)
    folds = []
    for index, one in enumerate(np.unique(number), start=1):
        own = number == one
        chosen = torch.from_numpy(own[place])
        folds.append(Fold(index, begins[own][0], chosen, times[own][0], times[own][-1]))
    return folds


def least_test_windows(until: np.datetime64, source: SeriesSource) -> int:
    """The fewest `data.test_windows` with which a run whose data end at this time has a test window
    in every series that is long enough.

    With `data.issue.at` the last horizon of the span may end up to a day before the span does. A
    span is counted in rows, of which several may be one step.
    """
    day = max(int(DAY // source.step), 1)
    needed = source.horizon + (day - 1 if source.issue.at else 0)
    most = 1
    for one in source.series:
        end = int(np.searchsorted(one.time, until))
        if end > needed:
            rows = np.searchsorted(one.row_time, until)
            rows -= np.searchsorted(one.row_time, one.time[end - needed])
            most = max(most, -(-int(rows) // source.horizon))
    return most


# Checks -------------------------------------------------------------------------------------------


def _steps(text: str, option: str, least: int, source: SeriesSource) -> int:
    try:
        steps = source.frequency.steps_in(text)
    except ValueError as error:
        raise UserError(f"{option} {text}: {error}") from error
    if steps != int(steps):
        raise UserError(
            f"{option} {text}: it must be a whole number of steps of data.frequency="
            f"{source.frequency.text}"
        )
    if steps < least:
        bound = "more than 0" if least else "0 or more"
        raise UserError(f"{option} {text}: it must be {bound}")
    return int(steps)


def _check_clock(at: str, text: str | None, every: int | None, source: SeriesSource) -> None:
    try:
        minute_of_day(at)
    except UserError as error:
        raise UserError(f"--at {at}: write a clock time such as 10:00") from error
    day = max(int(DAY // source.step), 1)
    if every is not None and every % day:
        raise UserError(f"--every {text}: with --at {at} it must be whole days")


def _check_steps_at(at: str, source: SeriesSource) -> None:
    lengths = [len(one.time) for one in source.series]
    found = source.store.calendar_at(torch.arange(sum(lengths)))[:, 0].split(lengths)
    for one, minutes in zip(source.series, found, strict=True):
        if not bool((minutes == minute_of_day(at)).any()):
            raise UserError(
                f"--at {at}: no step of series {one.name!r} has this time of day; "
                f"data.frequency is {source.frequency.text}, and the first step is at "
                f"{clock(int(minutes[0]))}"
            )


def _check_predicted(lead: int, horizon: int, source: SeriesSource) -> None:
    first, last = source.issue.lead + 1, source.issue.lead + source.horizon
    if lead + 1 >= first and lead + horizon <= last:
        return
    needed = f"data.horizon={lead + horizon - min(lead, source.issue.lead)}"
    if lead + 1 < first:
        needed = f"data.issue.lead={lead} {needed}"
    raise UserError(
        f"--lead and --horizon ask for the steps {lead + 1} to {lead + horizon} after the issue "
        f"time, and the network of the run predicts the steps {first} to {last}: train one with "
        f"{needed}"
    )
