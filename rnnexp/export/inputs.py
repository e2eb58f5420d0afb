"""Inputs on which an exported network is compared with the one in torch: those of the run's own
data where they can be read, and random ones of every length."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import torch
from torch import Tensor

from rnnexp.errors import UserError
from rnnexp.export.networks import Exported
from rnnexp.runs.loading import LoadedRun
from rnnexp.tasks.classification.data import ClassificationData
from rnnexp.tasks.classification.spec import ClassificationSpec
from rnnexp.tasks.forecasting.data import ForecastingData
from rnnexp.tasks.horizon.data import HorizonData

INPUTS, OF_DATA, LONGEST, BATCH = 1000, 700, 500, 50

Batch = dict[str, Tensor]  # the inputs of the exported network, and `series`, where there are any


def batches(run: LoadedRun, exported: Exported) -> Iterator[Batch]:
    """INPUTS inputs in batches; of texts each with many lengths."""
    count = 0
    for batch in _of_data(run):
        yield _complete(run, exported, batch)
        count += len(next(iter(batch.values())))
    draw = torch.Generator().manual_seed(0)
    while count < INPUTS:
        size = min(BATCH, INPUTS - count)
        yield _complete(run, exported, _random(run, exported, size, count, draw))
        count += size


def _complete(run: LoadedRun, exported: Exported, batch: Batch) -> Batch:
    """The batch with the scaling of its series."""
    if "series" not in batch:
        return batch
    network: Any = run.network
    series = batch["series"]
    scaling: dict[str, Tensor] = {
        name: getattr(network.scaling, name)[series] for name in ("minimum", "range", "change")
    }
    for name, table in {"seasonal": "seasonal", "static": "static"}.items():
        if name in exported.shapes:
            scaling[name] = getattr(network, table)[series]
    if "vector" in exported.shapes:
        scaling["vector"] = network.vectors.weight.detach()[series]
    return batch | scaling


# Of the run's data ------------------------------------------------------------------------------


def _of_data(run: LoadedRun) -> Iterator[Batch]:
    data = run.data
    try:
        data.setup("fit")
    except UserError:  # the data are elsewhere
        return
    if data.spec != run.spec:
        return
    if isinstance(data, ClassificationData):
        yield from _texts(data)
    elif isinstance(data, ForecastingData | HorizonData):
        yield from _windows(data)


def _some(count: int, most: int) -> Iterator[Tensor]:
    """At most so many of `count` rows, in batches, in an order that mixes lengths."""
    rows = torch.randperm(count, generator=torch.Generator().manual_seed(0))
    return iter(rows[:most].split(BATCH))


def _texts(data: ClassificationData) -> Iterator[Batch]:
    store = data.source.stores["test"]
    for rows in _some(len(store), OF_DATA):
        batch = store.batch(rows)
        found = {"tokens": batch.tokens, "lengths": store.lengths[rows]}
        yield found if batch.extra is None else found | {"extra": batch.extra}


def _windows(data: ForecastingData | HorizonData) -> Iterator[Batch]:
    loader = data.test_dataloader()
    count = 0
    for batch in loader:
        for rows in _some(len(batch.series), OF_DATA - count):
            found = {"values": batch.values[rows], "calendar": batch.calendar[rows]}
            found["series"] = batch.series[rows]
            if isinstance(data, HorizonData):
                found["known"] = batch.known[rows]
            if batch.mask is not None:
                found["mask"] = batch.mask[rows]
            yield found
            count += len(rows)
        if count >= OF_DATA:
            return


# Random ones ------------------------------------------------------------------------------------


def _random(
    run: LoadedRun, exported: Exported, size: int, before: int, draw: torch.Generator
) -> Batch:
    """Random inputs. before: how many there were; the steps of windows grow with it to LONGEST."""
    steps = LONGEST if exported.kind == "classification" else LONGEST * (before + size) // INPUTS
    batch: Batch = {}
    for name, (dtype, shape) in exported.shapes.items():
        sizes = [size, *(steps if one == "steps" else int(one) for one in shape)]
        if dtype == torch.bool:
            batch[name] = torch.rand(sizes, generator=draw) > 0.1
        else:
            batch[name] = torch.rand(sizes, generator=draw, dtype=torch.float64).to(dtype)
    if exported.kind == "classification":
        spec = cast(ClassificationSpec, run.spec)
        batch["tokens"] = torch.randint(spec.vocabulary, (size, steps), generator=draw)
        batch["lengths"] = torch.linspace(1, LONGEST, size).long()
        return batch
    network: Any = run.network
    scaling = network.scaling
    batch["series"] = torch.randint(len(scaling.minimum), (size,), generator=draw)
    for name in ("minimum", "range", "change", "seasonal", "static", "vector"):
        batch.pop(name, None)
    low, extent = scaling.minimum[batch["series"]], scaling.range[batch["series"]]
    batch["values"] = low.unsqueeze(1) + batch["values"] * extent.unsqueeze(1)
    if "known" in batch:
        known = network.known
        batch["known"] = low[:, None, known] + batch["known"] * extent[:, None, known]
    return batch
