"""The compiled path: torch.compile turns blocks of steps of any cell into one piece of code.

It is meant for GPUs, and for cells that cuDNN does not offer. On a GPU a step of many small
operations takes as long as launching them; the compiler fuses all operations between two products
into one. On a CPU the fused path is faster, and needs no compilation, which takes half a minute.
Compiling for a CPU requires a C++ compiler.
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

BLOCK_STEPS = 15  # compiled together in half a minute; 60 take a minute and are little faster
COMPILERS = {"darwin": "clang++", "win32": "cl"}  # torch's choice by platform; g++ on any other


def missing_compiler() -> str | None:
    """Name of the compiler that torch would call, if it is not installed; else None."""
    compiler = os.environ.get("CXX") or COMPILERS.get(sys.platform, "g++")
    return None if shutil.which(compiler) else compiler


@functools.cache
def _compiled() -> Callable[..., Any]:
    return torch.compile(run_steps)


def run_compiled(cell: Cell, x: Sequences, every_step: bool) -> tuple[Tensor, State]:
    """Run one cell over x: all hidden states (T, B, H), or none (0, B, H) unless every_step, and
    the final state.

    The last block runs on the plain path if it is shorter than BLOCK_STEPS; otherwise every length
    of sequence would need compiled code of its own.
    """
    projected, padding = cell.project(x), x.padding
    paddings = repeat(None) if padding is None else padding.split(BLOCK_STEPS)
    state, hidden = cell.zero_state(x.batch), list[Tensor]()
    for block, block_padding in zip(projected.split(BLOCK_STEPS), paddings, strict=False):
        run = _compiled() if len(block) == BLOCK_STEPS else run_steps
        block_hidden, state = run(cell, block, block_padding, state)
        hidden += block_hidden
    return stack_states(hidden, state, every_step)
