"""Batches for a GPU. The device `meta` stands for one: it has no numbers, but refuses tensors that
lie elsewhere."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor

from rnnexp.config import compose
from rnnexp.data.loading import device
from rnnexp.data.loading.loader import BatchLoader
from rnnexp.data.loading.samplers import ShuffledBatches
from rnnexp.errors import UserError
from rnnexp.runs.build import build_data
from rnnexp.runs.experiment import run
from rnnexp.runs.folder.reading import read_digest
from rnnexp.runs.resume import resume
from rnnexp.runs.settings import resolve
from tests.support.shrink import QUIET, SYNTHETIC_LOAD, TINY

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


def test_all_loaders_share_one_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    data = data_for("meta", *SERIES, "data.on_device=true")
    first = device.copy_of(data.source.store, torch.device("meta"))
    monkeypatch.setattr(type(data.source.store), "on", None)
    assert device.copy_of(data.source.store, torch.device("meta")) is first
    assert len(batches(data)) == 3


# Copies on a stream of their own -----------------------------------------------------------------


class Stream:
    """Stands for a stream of a GPU: writes down what happens to it and on it."""

    def __init__(self, name: str, events: list[str]) -> None:
        self.name, self.events = name, events

    def wait_stream(self, other: "Stream") -> None:
        self.events.append(f"{self.name} wait for {other.name}")


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What happens on the streams, in order. The step that uses a batch adds its own."""
    found: list[str] = []
    used = [Stream("steps", found)]
    to = Tensor.to

    @contextmanager
    def on_stream(stream: Stream) -> Iterator[None]:
        used.append(stream)
        yield
        used.pop()

    def pin(tensor: Tensor) -> Tensor:
        found.append("pinned")
        return tensor.clone()

    def copy(tensor: Tensor, *where: Any, **how: Any) -> Tensor:
        if how.get("non_blocking"):
            found.append(f"copied on {used[-1].name}")
        return to(tensor, *where, **how)

    def record(tensor: Tensor, stream: Stream) -> None:
        found.append(f"kept for {stream.name}")

    monkeypatch.setattr("torch.cuda.Stream", lambda place: Stream("side", found))
    monkeypatch.setattr("torch.cuda.stream", on_stream)
    monkeypatch.setattr("torch.cuda.current_stream", lambda place: used[-1])
    monkeypatch.setattr(Tensor, "pin_memory", pin)
    monkeypatch.setattr(Tensor, "to", copy)
    monkeypatch.setattr(Tensor, "record_stream", record)
    return found


COPY = ["pinned", "copied on side", "steps wait for side", "kept for steps"]


def test_a_batch_is_copied_on_a_stream_of_its_own(events: list[str]) -> None:
    make = device.copied(lambda items: [items, None, "a text"], torch.device("cpu"))
    for items in (torch.tensor([3, 1]), torch.empty(0)):
        found, *others = make(items)
        assert torch.equal(found, items) and others == [None, "a text"]
    assert events == 2 * COPY


def test_no_batch_is_drawn_ahead(events: list[str]) -> None:
    """A checkpoint before a batch counts those that have been asked for, and no further one."""
    sampler = ShuffledBatches(lambda epoch: torch.arange(7), batch_size=2, seed=0)
    loader = BatchLoader(sampler, device.copied(lambda items: [items], torch.device("cpu")))
    plain = ShuffledBatches(lambda epoch: torch.arange(7), batch_size=2, seed=0)
    for (found,), expected in zip(loader, plain, strict=True):
        events.append("a step")
        assert torch.equal(found, expected)
        assert sampler.seen.hexdigest() == plain.seen.hexdigest()
    assert events == 4 * [*COPY, "a step"]


def test_a_share_of_a_batch_is_copied(events: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rnnexp.data.loading.loader.rank_and_size", lambda: (1, 2))
    sampler = ShuffledBatches(lambda epoch: torch.arange(4), batch_size=4, seed=0)
    loader = BatchLoader(sampler, device.copied(lambda items: [items], torch.device("cpu")))
    (share,) = loader
    assert len(share.batch[0]) == 2 and events == COPY


class Ending(pl.Callback):
    """Ends a run within its second epoch, which has five batches."""

    def on_train_batch_end(self, trainer: pl.Trainer, *rest: Any) -> None:
        if trainer.global_step == 8:
            raise KeyboardInterrupt


def test_a_run_goes_on_within_an_epoch(
    events: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RNNEXP_CACHE", str(tmp_path / "cache"))
    words = ["experiment=quickstart", *SYNTHETIC_LOAD, "data.batch_size=4", *TINY, *QUIET]
    words += ["trainer.max_epochs=3", "checkpoint.every_steps=1"]
    run(compose(words), tmp_path / "plain")
    assert not events
    monkeypatch.setattr(device, "CPU", torch.device("meta"))  # a processor stands for a GPU
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        run(compose([*words, "data.on_device=copied"]), tmp_path / "copied", callbacks=[Ending()])
    resume(tmp_path / "copied")
    assert "copied on side" in events
    assert read_digest(tmp_path / "copied") == read_digest(tmp_path / "plain")


HORIZONS = [*SERIES, "task=horizon", "data.horizon=3", "data.look_back=48", "model=gru"]


@pytest.mark.parametrize(
    ("words", "asked"),
    [(SERIES, "copied"), (TEXTS, "copied"), (HORIZONS, "copied"), (HORIZONS, "true")],
    ids=["series", "texts", "horizons", "horizons, true"],
)
def test_the_processor_makes_batches_that_are_copied(
    words: list[str], asked: str, events: list[str]
) -> None:
    expected = batches(data_for("cpu", *words))
    assert not events
    found = batches(data_for("meta", *words, f"data.on_device={asked}"))
    for batch, same in zip(found, expected, strict=True):
        assert {one.device.type for one in batch if one is not None} == {"meta"}
        assert layout(batch) == layout(same)
    tensors = sum(one is not None for batch in found for one in batch)
    assert events.count("copied on side") == events.count("kept for steps") == tensors
    assert events.count("steps wait for side") == len(found)


@pytest.mark.parametrize(
    ("place", "asked"), [("meta", "false"), ("cpu", "copied"), ("cpu", "true")]
)
def test_nothing_changes_on_a_processor_or_unless_asked(
    place: str, asked: str, events: list[str]
) -> None:
    for batch in batches(data_for(place, *SERIES, f"data.on_device={asked}")):
        assert {one.device.type for one in batch if one is not None} == {"cpu"}
    assert not events


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("asked", ["true", "copied"])
@pytest.mark.parametrize("words", [SERIES, TEXTS, HORIZONS], ids=["series", "texts", "horizons"])
def test_a_gpu_has_the_same_batches(words: list[str], asked: str) -> None:
    expected = data_for("cpu", *words).train_dataloader()
    found = data_for("cuda", *words, f"data.on_device={asked}").train_dataloader()
    for batch, same in zip(found, expected, strict=True):
        for one, other in zip(batch, same, strict=True):
            assert one is other is None or (one.is_cuda and torch.equal(one.cpu(), other))


# The setting ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "free", "expected"),
    [
        (SERIES, 10**9, True),
        (SERIES, 10**3, "copied"),
        (TEXTS, 10**9, True),
        (TEXTS, 10**3, "copied"),
        (HORIZONS, 10**9, "copied"),
    ],
)
def test_auto_asks_whether_the_data_fit(
    monkeypatch: pytest.MonkeyPatch, words: list[str], free: int, expected: object
) -> None:
    monkeypatch.setattr("torch.cuda.mem_get_info", lambda: (free, 10**10))
    config = resolve(compose([*words, "trainer=cpu", "data.on_device=true"]))
    config.data.on_device = "auto"
    assert build_data(config).source.on_device == "auto"
    config.trainer.accelerator = "gpu"
    assert build_data(config).source.on_device == expected


@pytest.mark.parametrize("asked", ["yes", 1, None])
def test_a_wrong_setting(asked: object) -> None:
    with pytest.raises(
        UserError, match=r"data\.on_device is .*: it must be true, false, copied or auto"
    ):
        device.checked(asked)
