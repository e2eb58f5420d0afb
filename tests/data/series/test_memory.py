"""The memory of prepared series: each number is kept once."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from experiments.scale import series as study
from rnnexp.config import compose
from rnnexp.data.series.source import SeriesSource
from rnnexp.runs.build import build_data


def arrays(thing: Any) -> list[np.ndarray]:
    """All arrays that a thing holds."""
    if isinstance(thing, torch.Tensor):
        return [thing.numpy()]
    if isinstance(thing, np.ndarray):
        return [thing]
    if isinstance(thing, list):
        return [one for part in thing for one in arrays(part)]
    if dataclasses.is_dataclass(thing):
        return arrays([getattr(thing, field.name) for field in dataclasses.fields(thing)])
    return arrays(list(vars(thing).values())) if hasattr(thing, "__dict__") else []


def kept(source: SeriesSource) -> int:
    """The bytes of all memory behind the arrays of a source; what is shared counts once."""
    blocks: dict[int, int] = {}  # first byte -> size
    for one in arrays([source.store, source.series, source.splits, source.reports]):
        first = one.__array_interface__["data"][0]
        blocks[first] = max(blocks.get(first, 0), one.nbytes)
    total, end = 0, 0
    for first, size in sorted(blocks.items()):  # parts of a block lie within it
        total += max(0, first + size - max(end, first))
        end = max(end, first + size)
    return total


@pytest.mark.parametrize("task", study.TASKS)
@pytest.mark.parametrize(("what", "most"), [("one file", 12), ("one file, with defects", 16)])
def test_a_value_takes_few_bytes(tmp_path: Path, what: str, most: float, task: str) -> None:
    study.write(study.Numbers(series=20, hours=1000), tmp_path)
    name, settings = study.FILES[what]
    words = [*study.READ, *settings, *study.TASKS[task], f"data.root={tmp_path / name}"]
    source: Any = build_data(compose(words)).source
    assert len(source.store.values) > 18_000
    assert kept(source) / len(source.store.values) < most
    for one in source.series:
        assert np.shares_memory(one.values, source.store.values.numpy())
        assert np.shares_memory(one.observed, source.store.observed.numpy())
        assert np.shares_memory(one.time, source.store.axis)
