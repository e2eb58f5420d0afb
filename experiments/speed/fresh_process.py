"""Contenders in a fresh process with the default settings of torch."""

import multiprocessing
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch

from experiments.speed.timing import Work

Make = Callable[..., Work]
AS_TORCH_COMES = ", as torch comes"  # after the name of a contender


def new_process(**options: Any) -> ProcessPoolExecutor:
    """A pool of one process, which inherits nothing from this one."""
    return ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), **options)


@contextmanager
def fresh_process(
    make: Make, arguments: Mapping[str, tuple[Any, ...]]
) -> Iterator[dict[str, Work]]:
    """A new process in which only the number of threads is set.

    rnnexp's own processes keep freed memory (`rnnexp.process.memory`), and that speeds up every
    loop that allocates large tensors at each step.

    Args:
        make: makes a work from its arguments, in the new process.
        arguments: the arguments of each work, by its name. The new process must be able to unpickle
            them and `make`.

    Yields the works by name: calling one runs it in the new process and waits for its end.
    """
    initial = (torch.get_num_threads(), make, dict(arguments))
    with new_process(initializer=_make, initargs=initial) as pool:
        yield {name: partial(_run_there, pool, name) for name in arguments}


def _run_there(pool: ProcessPoolExecutor, name: str) -> None:
    pool.submit(_work, name).result()


# In the new process -----------------------------------------------------------------------------

_works: dict[str, Work] = {}


def _make(threads: int, make: Make, arguments: dict[str, tuple[Any, ...]]) -> None:
    torch.set_num_threads(threads)
    _works.update((name, make(*one)) for name, one in arguments.items())


def _work(name: str) -> None:
    _works[name]()
