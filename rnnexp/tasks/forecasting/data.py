"""The data module of the forecasting task: windows of one or many series."""

from typing import Any

import numpy as np
import torch

from rnnexp.data.loading.device import prepare
from rnnexp.data.loading.loader import BatchLoader
from rnnexp.data.loading.samplers import SequentialBatches
from rnnexp.data.series.module import SeriesData
from rnnexp.data.series.windows import SeriesBatch, Store, Windows, seasonal_change
from rnnexp.errors import UserError
from rnnexp.tables import Table
from rnnexp.tasks.answers import listed
from rnnexp.tasks.forecasting.spec import ForecastingSpec


class ForecastingData(SeriesData):
    """Windows of the series of a source: training windows from its chunking, and one evaluation
    window for every original row of the validation and test span.
    """

    spec: ForecastingSpec

    def specify(self) -> ForecastingSpec:
        source = self.source
        declared = {"known": source.known, "observed": source.observed, "static": source.static}
        for key, value in {"horizon": source.horizon != 1, **declared}.items():
            if value:
                raise UserError(
                    f"data.{key} is for the task that predicts a horizon: add task=horizon"
                )
        self.training_windows = self.shuffled()
        if self.training_windows.count == 0:
            raise UserError(
                "no training window is left: the value after each window of "
                f"data.look_back={source.look_back} steps is a repaired one; lower data.look_back"
            )
        if len(self.training_windows) == 0:
            raise UserError(
                f"the training spans have {self.training_windows.count} windows, fewer than "
                f"data.batch_size={source.batch_size}: lower it, or data.chunking.length"
            )
        tested = len(self.windows("test"))
        self.scaling = source.scaling
        return ForecastingSpec(
            title=f"{len(source.series)} series, {tested:,} windows",
            tested=tested,
            things="windows",
            series=[one.name for one in source.series],
            columns=source.columns,
            unit=source.unit,
            calendar=source.conditioning.size,
            look_back=source.look_back,
            supervised=source.chunking.supervised,
            masks=source.cleaning.masks,
        )

    def training_starts(self, epoch: int) -> torch.Tensor:
        source = self.source
        spans = source.training_spans()
        return source.chunking.starts(source.store, spans, source.look_back, source.seed, epoch)

    def windows(self, span: str) -> Windows:
        """The evaluation windows of the `validation` or `test` span of every series.

        A window is the look_back steps before one original row, whose value is the target. Rows
        with an empty cell have no target and are left out.
        """
        source = self.source
        starts, targets, times, scales = [], [], [], []
        firsts = source.store.first[:-1].tolist()
        scale_of = self.seasonal_changes(span)
        for one, split, first, scale in zip(
            source.series, source.splits, firsts, scale_of, strict=True
        ):
            if span == "test":
                rows = np.arange(split.validation, split.rows)
            else:
                rows = np.arange(split.train, split.validation, source.validation_stride)
            rows = rows[~np.isnan(one.row_value[rows])]
            starts.append(first + one.row_step[rows] - source.look_back)
            targets.append(one.row_value[rows])
            times.append(one.row_time[rows])
            scales.append(np.full(len(rows), scale))
        return Windows(
            torch.from_numpy(np.concatenate(starts)),
            torch.from_numpy(np.concatenate(targets)),
            np.concatenate(times),
            torch.from_numpy(np.concatenate(scales)),
        )

    def seasonal_changes(self, span: str) -> np.ndarray:
        """(S,) float64: the `seasonal_change` of every series before its `validation` or `test`
        span, the scale of MASE."""
        source = self.source
        splits = source.splits
        rows = [split.validation if span == "test" else split.train for split in splits]
        changes = map(seasonal_change, source.series, rows, [source.season] * len(rows))
        return np.array(list(changes))

    def around_zero(self) -> list[str]:
        """The series that hold zeros or change sign before their test span, after cleaning."""
        found = []
        for one, split in zip(self.source.series, self.source.splits, strict=True):
            target = one.values[: one.row_step[split.validation], 0]
            if target.min() <= 0 <= target.max():
                found.append(one.name)
        return found

    def report(self) -> list[Table | str]:
        """The tables of the source, and a sentence on the series that MASE leaves out."""
        tested = self.seasonal_changes("test") > 0
        validated = (self.seasonal_changes("validation") > 0) | (
            self.source.validation_fraction == 0
        )
        left_out = [self.spec.series[number] for number in np.flatnonzero(~(tested & validated))]
        if not left_out:
            return super().report()
        return [
            *super().report(),
            f"mase leaves out {listed(left_out)}: before the evaluated span no value differs from "
            f"the value a season ({self.source.season} steps) earlier",
        ]

    def identity(self) -> dict[str, Any]:
        """All that the baselines on the test windows depend on."""
        windows = self.windows("test")
        tested = self.identity_of(windows.start, windows.target, windows.scale)
        return {"task": "forecasting", **tested}

    def stores(self) -> list[Store]:
        return [self.source.store]

    # Dataloaders --------------------------------------------------------------------------------

    def train_dataloader(self) -> BatchLoader:
        source = self.source
        store, _, wrap = prepare(self.trainer, source.on_device, source.store)

        def batch(starts: torch.Tensor) -> SeriesBatch:
            return source.chunking.batch(store, starts.to(store.values.device), source.look_back)

        return BatchLoader(self.training_windows, wrap(batch))

    def val_dataloader(self) -> BatchLoader | list[Any]:
        return self._evaluation_loader("validation") if self.source.validation_fraction > 0 else []

    def test_dataloader(self) -> BatchLoader:
        return self._evaluation_loader("test")

    def _evaluation_loader(self, span: str) -> BatchLoader:
        source = self.source
        ready = prepare(self.trainer, source.on_device, source.store, self.windows(span))
        store, (windows,), wrap = ready

        def batch(chosen: slice) -> SeriesBatch:
            return store.evaluation_batch(windows, chosen, source.look_back)

        return BatchLoader(SequentialBatches(len(windows), source.eval_batch_size), wrap(batch))
