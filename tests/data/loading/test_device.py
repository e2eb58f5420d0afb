"""Batches for a GPU. The device `meta` stands for one: it has no numbers, but refuses tensors that
lie elsewhere."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from rnnexp.config import compose
from rnnexp.data.loading import device
from rnnexp.errors import UserError
from rnnexp.runs.build import build_data
from rnnexp.runs.settings import resolve

SERIES = ["data=synthetic_load", "data.number=2", "data.days=60"]
TEXTS = ["data=synthetic_reviews", "data.per_class=10"]


def data_for(place: str, *words: str) -> Any:
    """A data module in a training on a device."""
    data = build_data(resolve(compose([*words, "trainer=cpu", "seed=0"])))
    data.trainer = SimpleNamespace(  # type: ignore[assignment]
        strategy=SimpleNamespace(root_device=torch.device(place))
    )
    return data


def batches(data: Any) -> list[Any]:
    """The first batch of each loader."""
    loaders = (data.train_dataloader(), data.val_dataloader(), data.test_dataloader())
    return [next(iter(loader)) for loader in loaders]


def layout(batch: Any) -> list[Any]:
    return [None if one is None else (one.shape, one.dtype) for one in batch]


@pytest.mark.parametrize(
    "words",
    [
        SERIES,
        [*SERIES, "data/chunking=running_basis", "data/conditioning=lecture"],
        [*SERIES, "data/conditioning=none", "data/cleaning=keep"],
        TEXTS,
    ],
    ids=["every step", "running basis", "no calendar", "texts"],
)
def test_a_gpu_gathers_the_batches(words: list[str]) -> None:
    expected = batches(data_for("cpu", *words, "data.on_device=true"))
    data = data_for("meta", *words, "data.on_device=true")
    for found, same in zip(batches(data), expected, strict=True):
        assert {one.device.type for one in found if one is not None} == {"meta"}
        assert layout(found) == layout(same)
    data.source.on_device = False
    for found, same in zip(batches(data), expected, strict=True):
        assert all(
            map(torch.equal, *([one for one in b if one is not None] for b in (found, same)))
        )


def test_a_copy_on_a_device_gives_the_same_batches() -> None:
    data = data_for("cpu", *SERIES)
    store, start = data.source.store, torch.tensor([3, 40])
    copied = store.on("cpu")
    assert copied is not store and copied.conditioning is not store.conditioning
    for found, same in zip(
        copied.every_step_batch(start, 5, 2), store.every_step_batch(start, 5, 2), strict=True
    ):
        assert found is same is None or torch.equal(found, same)


@pytest.fixture
def pins(monkeypatch: pytest.MonkeyPatch) -> list[torch.Size]:
    """The shapes of the tensors that were pinned."""
    shapes = []

    def pin(tensor: Tensor) -> Tensor:
        shapes.append(tensor.shape)
        return tensor

    monkeypatch.setattr(Tensor, "pin_memory", pin)
    return shapes


@pytest.mark.parametrize(("free", "fits"), [(10**3, False), (10**9, True)])
def test_auto_asks_whether_they_fit(
    monkeypatch: pytest.MonkeyPatch, pins: list[torch.Size], free: int, fits: bool
) -> None:
    monkeypatch.setattr("torch.cuda.mem_get_info", lambda device: (free, 10**10))
    data = data_for("meta", *SERIES, "data.on_device=auto")
    batch = next(iter(data.train_dataloader()))
    assert batch.values.device.type == ("meta" if fits else "cpu")
    assert (batch.values.shape in pins) != fits


def test_horizons_are_pinned(pins: list[torch.Size]) -> None:
    words = [*SERIES, "task=horizon", "data.horizon=3", "data.look_back=48", "model=gru"]
    data = data_for("meta", *words, "data.on_device=true")
    for batch in batches(data):
        assert {one.device.type for one in batch if one is not None} == {"cpu"}
    assert pins


def test_nothing_changes_unless_asked(pins: list[torch.Size]) -> None:
    for batch in batches(data_for("meta", *SERIES)):
        assert {one.device.type for one in batch if one is not None} == {"cpu"}
    assert not pins


@pytest.mark.parametrize("asked", ["yes", 1, None])
def test_a_wrong_setting(asked: object) -> None:
    with pytest.raises(UserError, match=r"data\.on_device is .*: it must be true, false or auto"):
        device.checked(asked)
