"""The base class of all sources of time series: reads, cleans and splits them by time."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from rnnexp.data.folders import data_folder
from rnnexp.data.loading.device import OnDevice, checked
from rnnexp.data.series.calendar.clock import AT_ONCE, DAY, Clock
from rnnexp.data.series.calendar.frequency import Frequency, Steps
from rnnexp.data.series.calendar.issue import Issue
from rnnexp.data.series.chunking import Chunking
from rnnexp.data.series.cleaning import Cleaning, CleaningReport, Series, clean, report_table
from rnnexp.data.series.conditioning import Conditioning
from rnnexp.data.series.covariates import check_roles
from rnnexp.data.series.grid import cut, time_of
from rnnexp.data.series.normalization import MinMax
from rnnexp.data.series.raw import RawSeries, refuse_constant
from rnnexp.data.series.repairs import repaired_columns
from rnnexp.data.series.spans import SeriesSplit, split_by_time, too_few
from rnnexp.data.series.windows import Store
from rnnexp.data.source import Source, fingerprint
from rnnexp.errors import UserError, unimplemented
from rnnexp.tables import Table


class SeriesSource(Source):
    """One or many equally spaced series, split by time. Subclasses implement `read`.

    look_back: steps of an evaluation window. frequency: the time between steps, e.g. `1h`, or of
    the calendar, e.g. `MS` (`rnnexp.data.series.calendar.frequency`).
    season: steps in one period of the series; None: a day, or a week for daily series, or a year
    for steps of weeks, months and quarters.
    validation_stride: stride, in rows, of the evaluation windows of the validation span.
    horizon: steps that are predicted. issue: when, in evaluation. stride: of these steps each has
    one training window of a horizon, at a random place. forks: of these last steps of a training
    window, each gives a forecast. known, observed, static: what is known of the further columns
    (`rnnexp.data.series.covariates`).
    validation_windows, test_windows: the number of horizons, one after the other, of which the span
    consists; None: the fraction decides. until: an ISO date or time; rows at or after it are not
    read. last_rows: read only these of a series.
    datetime_format: a strptime format; None: ISO, day-first or month-first, inferred.
    timezone: a name of the IANA database; the times of the series are those of its clock
    (`rnnexp.data.series.calendar.clock`). None: they stay as they are written. timestamps: whether
    a time is the begin or the end of its step, which decides what hour the clock skipped.
    skip_short: leave out series that are too short for a window; False: refuse them.
    drop_last: drop the last batch of an epoch if it is incomplete. reshuffle: False repeats the
    windows of the first epoch, in the same order, in every epoch. on_device: loading/device.py.

    After `setup`: series, splits, reports, left_out, store, scaling, statics (the values of the
    static columns of each series), fingerprint.
    """

    task = "forecasting"
    test_fraction = 0.1
    unit = ""
    named = "a series is named after its file"

    def __init__(
        self,
        cleaning: Cleaning,
        conditioning: Conditioning,
        normalization: MinMax,
        chunking: Chunking,
        look_back: Steps,
        frequency: str,
        datetime_format: str | None,
        season: Steps | None,
        validation_fraction: float,
        validation_stride: int,
        skip_short: bool,
        batch_size: int,
        eval_batch_size: int,
        drop_last: bool,
        reshuffle: bool,
        seed: int = 0,
        horizon: Steps = 1,
        stride: Steps = 24,
        known: Sequence[str] = (),
        validation_windows: int | None = None,
        test_windows: int | None = None,
        last_rows: int | None = None,
        issue: Issue | None = None,
        forks: Steps = 1,
        observed: Sequence[str] = (),
        static: Sequence[str] = (),
        until: str | None = None,
        timezone: str | None = None,
        timestamps: Literal["begin", "end"] = "begin",
        on_device: OnDevice = False,
    ) -> None:
        for key, value in {
            "look_back": look_back,
            "horizon": horizon,
            "stride": stride,
            "forks": forks,
            "validation_windows": 1 if validation_windows is None else validation_windows,
            "test_windows": 1 if test_windows is None else test_windows,
            "last_rows": 1 if last_rows is None else last_rows,
            "season": 1 if season is None else season,
            "validation_stride": validation_stride,
            "batch_size": batch_size,
            "eval_batch_size": eval_batch_size,
        }.items():
            if value < 1:
                raise UserError(f"data.{key} is {value}: it must be at least 1")
        if not 0 <= validation_fraction <= 0.5:
            raise UserError(
                f"data.validation_fraction is {validation_fraction}: it must lie between 0 and 0.5"
            )
        self.cleaning, self.conditioning = cleaning, conditioning
        self.normalization, self.chunking = normalization, chunking
        self.seed, self.look_back = seed, look_back
        self.frequency, self.datetime_format = Frequency(frequency), datetime_format
        if timestamps not in ("begin", "end"):
            raise UserError(f"data.timestamps is {timestamps!r}: it must be begin or end")
        late = self.frequency.step.astype("timedelta64[s]") if timestamps == "end" else AT_ONCE
        self.clock = Clock(timezone, bool(self.frequency.step >= DAY), late)
        self.season = season or self.frequency.season
        self.validation_fraction, self.validation_stride = validation_fraction, validation_stride
        if forks > look_back:
            raise UserError(
                f"data.forks is {forks}: a window has data.look_back={look_back} steps, lower it"
            )
        self.horizon, self.stride, self.known = horizon, stride, list(known)
        self.observed, self.static = list(observed), list(static)
        self.issue, self.forks = issue or Issue(), forks
        self.validation_windows, self.test_windows = validation_windows, test_windows
        self.last_rows = last_rows
        self.until = None if until is None else time_of(until, self.clock)
        self.skip_short = skip_short
        self.batch_size, self.eval_batch_size = batch_size, eval_batch_size
        self.drop_last, self.reshuffle, self.on_device = drop_last, reshuffle, checked(on_device)
        self.series: list[Series] = []

    # What a source says -------------------------------------------------------------------------

    def read(self) -> list[RawSeries]:
        """The raw series, one per file."""
        raise unimplemented(self, "read()")

    def read_files(self, paths: Sequence[Path]) -> list[RawSeries]:
        """Series from other files in the format of this source, for `rnnexp predict`.

        Raises:
            UserError: the source does not implement this.
        """
        raise UserError(
            f"{type(self).__name__} cannot read a file: implement SeriesSource.read_files"
        )

    def read_known(self, path: Path) -> list[RawSeries]:
        """The known columns alone, from another file: values (N, len(known)). For `rnnexp predict`.

        Raises:
            UserError: the source does not implement this.
        """
        raise UserError(
            f"{type(self).__name__} cannot read a file of known columns: implement "
            "SeriesSource.read_known"
        )

    def files_in(self, path: Path) -> list[Path]:
        """The files that stand for a path: itself, or those of a folder that `read_files` reads."""
        return [path]

    @property
    def step(self) -> np.timedelta64:
        """The time between steps; for steps of the calendar, the shortest."""
        return self.frequency.step

    @property
    def columns(self) -> list[str]:
        """The names of the value columns, the target first."""
        return ["value"]

    @property
    def known_columns(self) -> list[int]:
        """The positions of the known columns among `columns`.

        Raises:
            UserError: a column has no role or two (`rnnexp.data.series.covariates`).
        """
        roles = {"known": self.known, "observed": self.observed, "static": self.static}
        check_roles(self.columns, roles)
        return [self.columns.index(name) for name in self.known]

    def static_values(self, raw: RawSeries) -> list[float]:
        """The values of the static columns of a series.

        Raises:
            UserError: this source does not read static columns.
        """
        if len(raw.static) != len(self.static):
            raise UserError(
                f"data.static: {type(self).__name__} reads no static columns, data=series_csv does"
            )
        return list(raw.static)

    # From files to a store of series ------------------------------------------------------------

    def setup(self) -> None:
        """Read, clean, split, and fit the scaler.

        Raises:
            UserError: a file or a setting is wrong.
        """
        if self.series:
            return
        _ = self.known_columns  # a mistake is found before files are read
        content: list[list[str]] = []
        self.statics: list[list[float]] = []
        self.splits: list[SeriesSplit] = []
        self.reports: list[CleaningReport] = []
        self.left_out: list[str] = []
        waiting = self.read()[::-1]
        while waiting:  # a series is let go once it is cleaned
            whole = waiting.pop().by(self.clock)
            one = cut(whole, self.until, self.last_rows)
            if self.until is not None and not len(one.time):
                if not self.skip_short:
                    show = self.clock.show
                    raise UserError(
                        f"{whole.place} has no row before data.until={show(self.until)}: its first "
                        f"one is at {show(whole.time[0])}"
                    )
                self.left_out.append(one.name)
                continue
            refuse_constant(one)
            split, cleaned = self._split_and_clean(one)
            if cleaned:
                content.append([one.name, one.fingerprint])
                self.statics.append(self.static_values(one))
                self.splits.append(split)
                self.series.append(cleaned[0])
                self.reports.append(cleaned[1])
            elif self.skip_short:
                self.left_out.append(one.name)
            else:
                horizons = {"validation": self.validation_windows, "test": self.test_windows}
                least = self.chunking.least_steps(self.look_back)
                raise UserError(
                    f"{one.place} has {len(one.time)} rows, "
                    f"{too_few(split, self.look_back, least, horizons, self.horizon)}, or set "
                    "data.skip_short=true to leave such files out"
                )
        if not content:
            raise UserError(
                f"no series is long enough for data.look_back={self.look_back} and the windows of "
                "data.chunking: lower data.look_back or data.chunking.length"
            )
        self.store = Store(
            self.series, self.conditioning, self.cleaning.masks, self.clock, self.step
        )
        self.series = self.store.parts(self.series)
        self.scaling = self.normalization.scaling(self.series, self.training_steps())
        self.fingerprint = fingerprint(content)

    def _split_and_clean(
        self, raw: RawSeries
    ) -> tuple[SeriesSplit, tuple[Series, CleaningReport] | None]:
        """The split of one series, and its cleaned form; None if the series is too short."""
        rows = len(raw.time)
        split = self._split(rows)
        if split.validation >= rows or split.train <= 0:
            return split, None
        cleaned = clean(
            raw,
            self.cleaning,
            frequency=self.frequency,
            season=self.season,
            training_rows=split.train,
        )
        # Counted in steps, not rows: merging duplicates leaves fewer steps than rows.
        steps = _training_steps(cleaned[0], split)
        long_enough = steps >= self.chunking.least_steps(self.look_back)
        if long_enough and self.cleaning.masks:
            self._check_masks(raw, cleaned[0], steps)
        return split, cleaned if long_enough else None

    def _check_masks(self, raw: RawSeries, series: Series, steps: int) -> None:
        """Refuse a column without any value in the training span: its mask would say nothing, and
        there is nothing to scale it by."""
        lacking = ~series.mask[:steps].any(axis=0)
        if lacking.any():
            column = int(lacking.argmax())
            first = series.time[int(series.mask[:, column].argmax())]
            show = self.clock.show
            raise UserError(
                f"{raw.place}: column {self.columns[column]!r} has no value in the training span, "
                f"which ends before {show(series.time[steps])}; its first is of {show(first)}: "
                "leave this column or series out"
            )

    def _split(self, rows: int) -> SeriesSplit:
        split = split_by_time(rows, self.look_back, self.validation_fraction, self.test_fraction)
        test, validation = rows - split.validation, split.validation - split.train
        if self.test_windows is not None:
            test = self.test_windows * self.horizon
        if self.validation_windows is not None:
            validation = self.validation_windows * self.horizon
        return SeriesSplit(rows - test - validation, rows - test, rows)

    @property
    def validates(self) -> bool:
        """Whether there is a validation span."""
        return self.validation_windows is not None or self.validation_fraction > 0

    def training_steps(self) -> list[int]:
        """The number of training steps of each series."""
        return list(map(_training_steps, self.series, self.splits))

    def training_spans(self) -> list[tuple[int, int]]:
        """The training span of each series in the store: (first step, end (exclusive))."""
        firsts = self.store.first[:-1].tolist()
        return [(a, a + n) for a, n in zip(firsts, self.training_steps(), strict=True)]

    # What a run records -------------------------------------------------------------------------

    def facts(self) -> dict[str, Any]:
        """Entries of run.json: the location of the files; fingerprints of data, split, scaling and
        changes of the clock; the split; the series that were left out; the defects of each."""
        split = {}
        for one, rows in zip(self.series, self.splits, strict=True):
            ends = one.row_time[[0, rows.validation, -1]]
            first, tested, last = self.clock.text(ends).tolist()
            split[one.name] = {
                "rows": rows.rows,
                "train_rows": rows.train,
                "validation_rows": rows.validation - rows.train,
                "test_rows": rows.rows - rows.validation,
                "train_from": first,
                "test_from": tested,
                "test_to": last,
            }
        fingerprints = {
            "data": self.fingerprint,
            "split": fingerprint(split),
            "scaler": fingerprint(self.scaling),
        }
        if self.clock.of_instants:
            fingerprints["clock"] = fingerprint([self.clock.rules(one.time) for one in self.series])
        return {
            "data": self.place,
            "fingerprints": fingerprints,
            "split": split,
            "left_out": self.left_out,
            "defects": {report.name: report.defects() for report in self.reports},
        }

    def report(self) -> list[Table | str]:
        """A table with one row per series; its caption names the series that were too short. And
        what was repaired in the further columns."""
        notes = [f"left out, too short: {', '.join(self.left_out)}"] if self.left_out else []
        if self.clock.timezone is not None:
            notes.append(f"times are those of {self.clock.timezone}")
        return [
            report_table(self.reports, "; ".join(notes)),
            *repaired_columns(
                self.series, self.columns, self.known, self.cleaning.masks, self.clock
            ),
        ]


class SeriesFolder(SeriesSource):
    """The series in a folder of $RNNEXP_DATA. Subclasses implement `read_files` and `files_in`.

    root: the folder; None: `folder` in $RNNEXP_DATA, or where `rnnexp data fetch` puts it.
    """

    folder: ClassVar[str]

    def __init__(self, root: str | None = None, **settings: Any) -> None:
        super().__init__(**settings)
        self.root = root

    @property
    def place(self) -> str:
        return str(data_folder(self.folder, self.root).resolve())

    def read(self) -> list[RawSeries]:
        return self.read_files([Path(self.place)])


def _training_steps(series: Series, split: SeriesSplit) -> int:
    return int(series.row_step[split.train])
