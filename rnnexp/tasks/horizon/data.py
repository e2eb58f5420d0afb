"""The data module of the horizon task: windows of the past, and the steps after them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from rnnexp.data.loading.device import MakeBatch, prepare
from rnnexp.data.loading.loader import BatchLoader
from rnnexp.data.loading.samplers import SequentialBatches
from rnnexp.data.series.calendar.frequency import DAY
from rnnexp.data.series.calendar.issue import Issue
from rnnexp.data.series.module import SeriesData
from rnnexp.data.source import array_fingerprint
from rnnexp.errors import UserError
from rnnexp.process.determinism import generator
from rnnexp.tables import Table, counted
from rnnexp.tasks.horizon.spec import HorizonSpec
from rnnexp.tasks.horizon.windows import HorizonBatch, HorizonWindows, batch_of, seasonal_scales

CALENDAR_PART = 2**20  # steps whose time features are in memory at once


class HorizonData(SeriesData):
    """One training window in every `stride` steps, at a random place. The evaluation windows end
    where `source.issue` says.

    scaling: has `seasonal` too, the scale of the training span of each series; and `static`, the
    values of its static columns, if there are any.
    """

    scaled = (*SeriesData.scaled, "seasonal")

    spec: HorizonSpec

    def specify(self) -> HorizonSpec:
        source = self.source
        self.known = source.known_columns
        self.training_windows = self.shuffled()
        if self.training_windows.count == 0:
            raise UserError(self._too_long())
        if len(self.training_windows) == 0:
            raise UserError(
                f"the training spans have {self.training_windows.count} windows of "
                f"data.look_back={source.look_back} and data.horizon={source.horizon} steps every "
                f"data.stride={source.stride} steps, fewer than data.batch_size="
                f"{source.batch_size}: lower one of them"
            )
        tested = len(self.windows("test"))
        if tested == 0:
            raise UserError(
                f"no test span is longer than {self._longest_test_span()} steps, and "
                f"data.horizon={source.horizon}: lower it, or set data.test_windows=1"
            )
        seasonal = [
            float(self._scales(series, torch.tensor([steps])))
            for series, steps in enumerate(source.training_steps())
        ]
        for one, scale in zip(source.series, seasonal, strict=True):
            if not scale > 0:
                raise UserError(
                    f"series {one.name!r} repeats itself after data.season={source.season} steps, "
                    "so there is no scale for its errors: choose another season, or remove it"
                )
        self.scaling = {**source.scaling, "seasonal": seasonal}
        if source.static:
            self.scaling["static"] = source.statics
        return HorizonSpec(
            title=f"{len(source.series)} series, {tested:,} windows of {source.horizon} steps",
            tested=tested,
            things="windows",
            series=[one.name for one in source.series],
            columns=source.columns,
            known=[source.columns[column] for column in self.known],
            unit=source.unit,
            calendar=source.conditioning.size,
            look_back=source.look_back,
            horizon=source.horizon,
            season=source.season,
            masks=source.cleaning.masks,
            lead=source.issue.lead,
            forks=source.forks,
            static=source.static,
        )

    def _too_long(self) -> str:
        """What of a training window is too long for every training span."""
        source = self.source
        steps = max(b - a for a, b in source.training_spans())
        parts = {
            "data.horizon": source.horizon,
            "data.look_back": source.look_back,
            "data.stride": source.stride,
            "data.issue.lead": source.issue.lead,
        }
        named = [f"{key}={value}" for key, value in parts.items() if value]
        longest = max(parts, key=lambda key: parts[key])
        most = steps + 1 - (sum(parts.values()) - parts[longest])
        if longest == "data.horizon" and source.test_windows is None:
            most = min(most, self._longest_test_span())
        advice = f"lower {longest} to at most {most}" if most >= 1 else "lower them"
        return (
            f"the longest training span has {steps} steps, too few for a window of "
            f"{', '.join(named)}, which need {sum(parts.values()) - 1}: {advice}"
        )

    def _longest_test_span(self) -> int:
        """In rows."""
        return max(split.rows - split.validation for split in self.source.splits)

    def training_starts(self, epoch: int) -> Tensor:
        """One window in every `stride` steps, at a place of its own in each epoch."""
        source = self.source
        window, stride = source.look_back + source.issue.lead + source.horizon, source.stride
        places = torch.cat(
            [
                torch.arange(a, max(a, b - window - stride + 2), stride)
                for a, b in source.training_spans()
            ]
        )
        draw = generator(source.seed, "window offsets", epoch)
        return places + torch.randint(stride, places.shape, generator=draw)

    def windows(self, span: str) -> HorizonWindows:
        """The evaluation windows of the `validation` or `test` span of every series."""
        return self.windows_of(span, self.source.issue, self.source.horizon)

    def windows_of(self, span: str, issue: Issue, horizon: int) -> HorizonWindows:
        """The same for other issue times, and another horizon. An issue time is left out if the
        data end before the last step that the network predicts."""
        source, starts, scales = self.source, [], []
        ahead = source.issue.lead + source.horizon
        for number, issued in enumerate(self.issue_steps(span, issue, horizon)):
            issued = issued[issued <= len(source.series[number].time) - ahead]
            starts.append(source.store.first[number] + issued - source.look_back)
            scales.append(self._scales(number, issued))
        return HorizonWindows(torch.cat(starts), torch.cat(scales), issue.lead, horizon)

    def issue_steps(self, span: str, issue: Issue, horizon: int) -> list[Tensor]:
        """The steps of each series at which forecasts of a span are issued, each after a window."""
        source, found = self.source, []
        day = max(int(DAY // source.step), 1)
        firsts = source.store.first.tolist()
        for number, (one, split) in enumerate(zip(source.series, source.splits, strict=True)):
            last = split.rows if span == "test" else split.validation
            first = split.validation if span == "test" else split.train
            end = int(one.row_step[last]) if last < len(one.row_step) else len(one.time)
            begin = int(one.row_step[first]) if first < len(one.row_step) else end
            minutes = dates = None
            if issue.at is not None:
                steps = torch.arange(firsts[number], firsts[number + 1])
                minutes = source.store.calendar_at(steps)[:, 0]
                if source.clock.of_instants:
                    dates = source.clock.local(source.store.times(steps)).astype("datetime64[D]")
            issued = issue.steps(minutes, begin, end, horizon, day, dates)
            found.append(issued[issued >= source.look_back])
        return found

    def _scales(self, series: int, ends: Tensor) -> Tensor:
        store = self.source.store
        own = slice(int(store.first[series]), int(store.first[series + 1]))
        values, observed = store.values[own, 0], store.observed[own]
        if len(values) <= self.source.season:
            return torch.full((len(ends),), torch.nan, dtype=torch.float64)
        return seasonal_scales(values, observed, self.source.season, ends)

    def times(self, windows: HorizonWindows) -> np.ndarray:
        """datetime64 (n, H): the times of the predicted steps."""
        return self._times(windows, windows.lead + torch.arange(windows.horizon))

    def issue_times(self, windows: HorizonWindows) -> np.ndarray:
        """datetime64 (n,): the issue time of each window, the first step that it does not hold."""
        return self._times(windows, torch.tensor([0]))[:, 0]

    def _times(self, windows: HorizonWindows, steps: Tensor) -> np.ndarray:
        issued = windows.start.unsqueeze(1) + self.source.look_back
        return self.source.store.times(issued + steps)

    def initialize(self, network: nn.Module) -> None:
        super().initialize(network)
        if isinstance(getattr(network, "seasonal", None), Tensor):
            network.seasonal = torch.tensor(self.scaling["seasonal"], dtype=torch.float64)
        if self.spec.static and isinstance(getattr(network, "static", None), Tensor):
            network.static = self.standardised(self.scaling["static"])

    def standardised(self, values: Sequence[Sequence[float]]) -> Tensor:
        """Static values (n, K), relative to their mean and standard deviation over the training
        series; 0 if those are all the same."""
        trained = torch.tensor(self.scaling["static"], dtype=torch.float64)
        above = torch.tensor(values, dtype=torch.float64) - trained.mean(0)
        spread = trained.std(0, correction=0)
        varies = (trained != trained[0]).any(0)
        return torch.where(varies, above / torch.where(varies, spread, 1), 0).float()

    def restore(self, spec: HorizonSpec, kept: dict[str, Any]) -> None:
        super().restore(spec, kept)
        self.known = self.source.known_columns
        if len(self.scaling.get("static", [])) != (len(spec.series) if spec.static else 0):
            raise ValueError(f"it has no values of data.static for {len(spec.series)} series")
        roles = {
            "further columns": (len(self.source.columns), len(spec.columns)),
            "data.known": (self.known, [spec.columns.index(name) for name in spec.known]),
            "data.static": (len(self.source.static), len(spec.static)),
        }
        for what, (given, trained) in roles.items():
            if given != trained:
                raise UserError(
                    f"the {what} are not those that the run was trained with: name as many, in the "
                    f"order of {', '.join([*spec.columns, *spec.static])}"
                )

    def report(self) -> list[Table | str]:
        """What the source reports, and how many test windows read repaired known values."""
        return [*super().report(), *self.repaired_ahead(self.windows("test"), "test window")]

    def repaired_ahead(self, windows: HorizonWindows, things: str) -> list[str]:
        """A sentence on the windows for which a known value of the steps ahead is repaired, or none
        if there is no such window or the network is told of it."""
        source = self.source
        if not self.known or not len(windows) or source.cleaning.masks:
            return []
        ahead = source.look_back + torch.arange(source.issue.lead + source.horizon)
        lacking = torch.zeros(len(windows), len(self.known), dtype=torch.bool)
        for step in ahead:
            lacking |= ~source.store.mask[windows.start + step][:, self.known]
        if not lacking.any():
            return []
        names = [source.columns[self.known[int(one)]] for one in lacking.any(0).nonzero()]
        count = int(lacking.any(1).sum())
        return [
            f"{count:,} of {counted(len(windows), things)} {'has' if count == 1 else 'have'} "
            f"repaired values of {', '.join(map(repr, names))} over the horizon: they are tested "
            "as if these had been known"
        ]

    def identity(self, windows: HorizonWindows | None = None) -> dict[str, Any]:
        """All that the baselines on some windows depend on; None: the test windows."""
        windows = windows or self.windows("test")
        source = self.source
        encoded = map(source.conditioning.encode, source.store.calendar.split(CALENDAR_PART))
        return {
            "task": "horizon",
            "lead": source.issue.lead,
            "horizon": source.horizon,
            "asked": [windows.lead, windows.horizon],
            "known": self.known,
            "conditioning": [array_fingerprint(part.numpy()) for part in encoded],
            **self.identity_of(windows.start, windows.scale),
        }

    # Dataloaders --------------------------------------------------------------------------------

    def train_dataloader(self) -> BatchLoader:
        def batch(start: Tensor) -> HorizonBatch:
            return self._batch(start, forks=self.spec.forks)

        return BatchLoader(self.training_windows, self._copied(batch))

    def val_dataloader(self) -> BatchLoader | list[Any]:
        if not self.source.validates:
            return []
        windows = self.windows("validation")
        return self.evaluation_loader(windows) if len(windows) else []

    def test_dataloader(self) -> BatchLoader:
        return self.evaluation_loader(self.windows("test"))

    def evaluation_loader(self, windows: HorizonWindows) -> BatchLoader:
        """Batches of these windows, with all steps that the network predicts."""

        def batch(chosen: slice) -> HorizonBatch:
            return self._batch(windows.start[chosen], windows.scale[chosen])

        sampler = SequentialBatches(len(windows), self.source.eval_batch_size)
        return BatchLoader(sampler, self._copied(batch))

    def _copied(self, make_batch: MakeBatch) -> MakeBatch:
        """The clock, by which windows are found, is a processor's: no store lies on a GPU."""
        return prepare(self.trainer, self.source.on_device, None).wrap(make_batch)

    def _batch(self, start: Tensor, scale: Tensor | None = None, forks: int = 1) -> HorizonBatch:
        source = self.source
        return batch_of(
            source.store,
            start,
            source.look_back,
            source.issue.lead,
            source.horizon,
            self.known,
            scale,
            forks,
        )
