"""The compiled path: the equations of a cell as they stand, some steps at a time made into one
piece of code by torch.compile.

It is for GPUs and cells that cuDNN does not have. There a step of many small operations takes as
long as to launch them, and the compiler makes one of all that lie between two products. On a
processor the fused path is faster, and need not be compiled first, which takes half a minute. A
processor needs a C++ compiler for it.
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

from rnnexp.nn.cells import Cell, State
from rnnexp.nn.plain import gathered, run_steps
from rnnexp.nn.representations import Sequences

STEPS = 15  # that are compiled together: half a minute; of 60 it is a minute, and little faster
COMPILERS = {"darwin": "clang++", "win32": "cl"}  # that torch takes, by platform; elsewhere g++


def missing_compiler() -> str | None:
    """The compiler that torch would call and that is not there; None where it is."""
    wanted = os.environ.get("CXX") or COMPILERS.get(sys.platform, "g++")
    return None if shutil.which(wanted) else wanted


@functools.cache
def _compiled() -> Callable[..., Any]:
    return torch.compile(run_steps)


def run_compiled(cell: Cell, x: Sequences, every_step: bool) -> tuple[Tensor, State]:
    """Run one cell over x: every hidden state (T, B, H), or none (0, B, H) unless every_step, and
    the final state. What is left of less than a block goes over the plain path, so that sequences
    of many lengths do not each have code of their own."""
    projected, padding = cell.project(x), x.padding
    paddings = repeat(None) if padding is None else padding.split(STEPS)
    state, hidden = cell.zero_state(x.batch), list[Tensor]()
    for block, ended in zip(projected.split(STEPS), paddings, strict=False):
        run = _compiled() if len(block) == STEPS else run_steps
        of_block, state = run(cell, block, ended, state)
        hidden += of_block
    return gathered(hidden, state, every_step)
