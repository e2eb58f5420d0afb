"""Contenders in a process of their own, as torch comes."""

import multiprocessing
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import Any

import torch

from experiments.speed.timing import Work

Make = Callable[..., Work]
AS_TORCH_COMES = ", as torch comes"  # after the name of a contender


class Apart:
    """A process that asks nothing of torch and of the system but the number of threads: rnnexp's
    own keeps freed memory (`determinism.keep_freed_memory`), by which every loop gains in whose
    steps large tensors come and go.

    works: by name; the work is done there, and its end is waited for. `make` makes each in that
    process from the arguments given here; both have to be importable.
    """

    def __init__(self, make: Make, arguments: Mapping[str, tuple[Any, ...]]) -> None:
        context = multiprocessing.get_context("spawn")  # nothing of this process is in it
        self._pool = ProcessPoolExecutor(
            1, context, initializer=_make, initargs=(torch.get_num_threads(), make, dict(arguments))
        )
        self.works: dict[str, Work] = {name: partial(self._work, name) for name in arguments}

    def _work(self, name: str) -> None:
        self._pool.submit(_work, name).result()

    def end(self) -> None:
        self._pool.shutdown()


_works: dict[str, Work] = {}  # of the process apart


def _make(threads: int, make: Make, arguments: dict[str, tuple[Any, ...]]) -> None:
    torch.set_num_threads(threads)
    _works.update((name, make(*one)) for name, one in arguments.items())


def _work(name: str) -> None:
    _works[name]()
