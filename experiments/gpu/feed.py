"""How long does the GPU wait for batches, and what is moved to it?

An epoch of bare training steps is timed twice: with batches that are made and copied as in a run,
and with the same batches lying on the GPU already. The difference is what the feed costs. With
data.on_device=copied they are copied while the GPU works; with true it gathers them itself.
"""

import time
from collections.abc import Iterable, Iterator
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from experiments.gpu.part import Row
from rnnexp.config import compose
from rnnexp.runs.build import build_data, build_task
from rnnexp.runs.settings import resolve, set_up_process

LARGE = ["data/chunking=running_basis", "data.batch_size=1024", "model.hidden_size=128"]
WORKLOADS = {
    "quickstart with model=gru": ["experiment=quickstart", "model=gru"],
    "model=gru, batch 1024, hidden 128": ["experiment=quickstart", "model=gru", *LARGE],
    "quickstart_reviews": ["experiment=quickstart_reviews"],
}
TINY = {
    "quickstart with model=gru": ["data.number=1", "data.days=60"],
    "model=gru, batch 1024, hidden 128": ["data.number=1", "data.days=60"],
    "quickstart_reviews": ["data.per_class=10"],
}
MOST_BATCHES, ROUNDS = 60, 3


def measure(dry: bool, seconds: float) -> Iterator[Row]:
    device = torch.device("cpu" if dry else "cuda")
    for name, words in WORKLOADS.items():
        small = [*TINY[name], "model.hidden_size=4", "determinism.threads=1"] if dry else []
        config = resolve(compose([*words, *small, f"trainer={'cpu' if dry else 'gpu'}"]))
        set_up_process(config)
        data = build_data(config)
        data.trainer = SimpleNamespace(strategy=SimpleNamespace(root_device=device))  # type: ignore[assignment]
        task = build_task(config, data).to(device)
        for on_device in (False, "copied", True):
            source: Any = data.source
            source.on_device = on_device
            row = {"training": name, "data.on_device": str(on_device).lower()}
            yield row | share(task, data, device, dry)


def share(task: Any, data: Any, device: torch.device, dry: bool) -> Row:
    """The share of an epoch that goes to the feed, and the bytes of a batch."""
    loader = data.train_dataloader()
    loader.sampler.set_epoch(0)
    most = 2 if dry else MOST_BATCHES
    made = [batch for batch, _ in zip(loader, range(most), strict=False)]
    gathered = device.type == "cuda" and data.source.on_device is True
    sizes = [one.nbytes for one in pytree.tree_leaves(made) if isinstance(one, Tensor)]
    kept = [moved(batch, device) for batch in made]
    optimizer = torch.optim.Adam(task.network.parameters(), lr=0.0)

    def epoch(batches: Iterable[Any]) -> float:
        wait(device)
        start = time.perf_counter()
        for batch in batches:
            optimizer.zero_grad()
            loss = task.batch_loss(batch)
            bool(torch.isfinite(loss))  # waits for the loss, as a run does
            loss.backward()
            optimizer.step()
        wait(device)
        return time.perf_counter() - start

    def fed() -> Iterator[Any]:
        loader.sampler.set_epoch(0)
        return (moved(batch, device) for batch, _ in zip(loader, range(most), strict=False))

    epoch(kept)  # the first launches load the kernels
    times = sorted((epoch(fed()), epoch(kept)) for _ in range(1 if dry else ROUNDS))
    with_feed, without = times[len(times) // 2]
    return {
        "ms a step": 1000 * with_feed / len(kept),
        "ms with batches on the device": 1000 * without / len(kept),
        "share of the feed": max(0.0, 1 - without / with_feed),
        "KB moved a step": 0.0 if gathered else sum(sizes) / len(kept) / 1000,
    }


def moved(batch: Any, device: torch.device) -> Any:
    """A batch on the device, as Lightning moves it."""
    return pytree.tree_map(
        lambda one: one.to(device, non_blocking=True) if isinstance(one, Tensor) else one, batch
    )


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()
