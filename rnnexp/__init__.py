"""rnnexp: run, compare and exactly repeat experiments with recurrent neural networks."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rnnexp.runs.loading import LoadedRun

__version__ = "0.1.0"


def run(overrides: "Sequence[str]" = (), config_dir: "str | Path | None" = None) -> "LoadedRun":
    """Run what `rnnexp train OVERRIDES` runs: `rnnexp.run(["experiment=quickstart", "seed=1"])`."""
    from rnnexp.launching import python  # late, so that `rnnexp --help` does not import torch

    return python.run(overrides, config_dir)


def load(folder: "str | Path") -> "LoadedRun":
    """Load a finished run, to inspect it and to predict: `rnnexp.load("outputs/...")`."""
    from rnnexp.runs import loading

    return loading.load(folder)
