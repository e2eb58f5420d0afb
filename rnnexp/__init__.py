"""rnnexp: run, compare and exactly repeat experiments with recurrent neural networks."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from rnnexp.runs.loading import LoadedRun

__version__ = "0.1.0"


def load(folder: "str | Path") -> "LoadedRun":
    """A finished run's network, data module and config: `rnnexp.load("outputs/...")`."""
    from rnnexp.runs import loading  # late: `rnnexp --help` needs no torch

    return loading.load(folder)
