"""The compiled path: torch.compile compiles blocks of steps, for any cell.

It is meant for GPUs and for cells that cuDNN does not implement. On a GPU, the time of a step is
dominated by the launches of many small operations; the compiler fuses the operations between two
products into one. On a CPU, the fused path is faster and needs no compilation, which takes half a
minute. Compiling for a CPU requires a C++ compiler.
"""

import functools
import os
import shutil
import sys
from collections.abc import Callable
from itertools import repeat
from typing import Any

import torch
from torch import Tensor

from rnnexp.nn.cell import Cell, State
from rnnexp.nn.plain import run_steps, stack_states
from rnnexp.nn.representations import Sequences

BLOCK_STEPS = 15  # compile in half a minute; 60 take a minute and are only slightly faster
COMPILERS = {"darwin": "clang++", "win32": "cl"}  # torch's default by platform; g++ elsewhere


def compiler() -> str:
    """Name of the C++ compiler of this machine."""
    return os.environ.get("CXX") or COMPILERS.get(sys.platform, "g++")


def missing_compiler() -> str | None:
    """Name of the C++ compiler that is needed on this machine; None if it is installed."""
    return None if shutil.which(compiler()) else compiler()


@functools.cache
def _compiled() -> Callable[..., Any]:
    return torch.compile(run_steps)


def run_compiled(cell: Cell, x: Sequences, every_step: bool) -> tuple[Tensor, State]:
    """Run one cell over x. Returns the hidden states (T, B, H), or an empty tensor (0, B, H) unless
    every_step, and the final state.

    A last block of fewer than BLOCK_STEPS steps runs on the plain path. Otherwise every sequence
    length would need a compilation.
    """
    projected, padding = cell.project(x), x.padding
    paddings = repeat(None) if padding is None else padding.split(BLOCK_STEPS)
    state, hidden = cell.zero_state(x.batch), list[Tensor]()
    for block, block_padding in zip(projected.split(BLOCK_STEPS), paddings, strict=False):
        run = _compiled() if len(block) == BLOCK_STEPS else run_steps
        block_hidden, state = run(cell, block, block_padding, state)
        hidden += block_hidden
    return stack_states(hidden, state, every_step)
