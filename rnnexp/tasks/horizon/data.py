"""The data module of the horizon task: windows of the past, and the steps after them."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from rnnexp.data.loading.loader import BatchLoader
from rnnexp.data.loading.samplers import SequentialBatches
from rnnexp.data.series.frequency import DAY
from rnnexp.data.series.issue import Issue
from rnnexp.data.series.module import SeriesData
from rnnexp.data.series.source import SeriesSource
from rnnexp.errors import UserError
from rnnexp.nearest import did_you_mean
from rnnexp.process.determinism import generator
from rnnexp.tasks.horizon.spec import HorizonSpec
from rnnexp.tasks.horizon.windows import HorizonBatch, HorizonWindows, batch_of, seasonal_scales


class HorizonData(SeriesData):
    """One training window in every `stride` steps, at a random place. The evaluation windows end
    where `source.issue` says.

    scaling: has `seasonal` too, the scale of the training span of each series.
    """

    scaled = (*SeriesData.scaled, "seasonal")

    spec: HorizonSpec

    def specify(self) -> HorizonSpec:
        source = self.source
        self.known = known_columns(source)
        self.training_windows = self.shuffled()
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
                f"the test span is shorter than data.horizon={source.horizon}: lower it"
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
            lead=source.issue.lead,
            forks=source.forks,
        )

    def training_starts(self, epoch: int) -> Tensor:
        """One window in every `stride` steps, at a place of its own in each epoch."""
        source = self.source
        window, stride = source.look_back + source.issue.lead + source.horizon, source.stride
        places = torch.cat(
            [torch.arange(a, b - window - stride + 2, stride) for a, b in source.training_spans()]
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
            minutes = source.store.calendar[firsts[number] : firsts[number + 1], 0]
            issued = issue.steps(minutes, begin, end, horizon, day)
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
        return self._times(windows, windows.lead + np.arange(windows.horizon))

    def issue_times(self, windows: HorizonWindows) -> np.ndarray:
        """datetime64 (n,): the issue time of each window, the first step that it does not hold."""
        return self._times(windows, np.array([0]))[:, 0]

    def _times(self, windows: HorizonWindows, steps: np.ndarray) -> np.ndarray:
        time = np.concatenate([one.time for one in self.source.series])
        return time[windows.start.numpy()[:, None] + self.source.look_back + steps]

    def initialize(self, network: nn.Module) -> None:
        super().initialize(network)
        if isinstance(getattr(network, "seasonal", None), Tensor):
            network.seasonal = torch.tensor(self.scaling["seasonal"], dtype=torch.float64)

    def restore(self, spec: HorizonSpec, kept: dict[str, Any]) -> None:
        super().restore(spec, kept)
        self.known = known_columns(self.source)

    def identity(self) -> dict[str, Any]:
        """All that the baselines on the test windows depend on."""
        return self.identity_on(self.windows("test"))

    def identity_on(self, windows: HorizonWindows) -> dict[str, Any]:
        """All that the baselines on some windows depend on."""
        tested = self.identity_of(windows.start, windows.scale)
        return {"task": "horizon", "lead": windows.lead, "horizon": windows.horizon, **tested}

    # Dataloaders --------------------------------------------------------------------------------

    def train_dataloader(self) -> BatchLoader:
        return BatchLoader(
            self.training_windows, lambda start: self._batch(start, forks=self.spec.forks)
        )

    def val_dataloader(self) -> BatchLoader | list[Any]:
        has_windows = self.source.validates and len(self.windows("validation"))
        return self.evaluation_loader(self.windows("validation")) if has_windows else []

    def test_dataloader(self) -> BatchLoader:
        return self.evaluation_loader(self.windows("test"))

    def evaluation_loader(self, windows: HorizonWindows) -> BatchLoader:
        """Batches of these windows, with all steps that the network predicts."""

        def batch(chosen: slice) -> HorizonBatch:
            return self._batch(windows.start[chosen], windows.scale[chosen])

        return BatchLoader(SequentialBatches(len(windows), self.source.eval_batch_size), batch)

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


def known_columns(source: SeriesSource) -> list[int]:
    """The positions of the columns in `data.known`.

    Raises:
        UserError: there is no such column, or it is the target.
    """
    found = []
    for name in source.known:
        others = source.columns[1:]
        if name not in others:
            raise UserError(
                f"data.known: {name!r} is not a further column of the series"
                f"{did_you_mean(name, others)}"
            )
        found.append(source.columns.index(name))
    return found
