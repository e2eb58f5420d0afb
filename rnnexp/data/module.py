"""What a run needs of its data, whatever the task."""

from typing import Any

import pytorch_lightning as pl
from rich.console import RenderableType
from torch import nn


class DataModule(pl.LightningDataModule):
    """A LightningDataModule that can say what it read.

    spec: after `setup`, the sizes and names that the data decide, as plain values. The run passes
    it to the network and records it. Every task has its keys `task`, `title`, `tested` (how many
    are in the test) and `things` (what they are called).

    tokens: the vocabulary, in the order of the numbers; None where there are no tokens.

    ngram_table: what n-grams say of the class, as tensors and plain values; None where the data
    have none.
    """

    spec: dict[str, Any]

    @property
    def tokens(self) -> list[str] | None:
        return None

    @property
    def ngram_table(self) -> dict[str, Any] | None:
        return None

    def initialize(self, network: nn.Module) -> None:
        """Give a new network the initial weights that come with the data, if there are any."""

    @property
    def place(self) -> str | list[str]:
        """Where the data are: absolute paths, or words where there are none."""
        raise NotImplementedError

    def facts(self) -> dict[str, Any]:
        """For run.json: `data`, where the files were; `fingerprints` of data, split and scaler or
        vocabulary; `split`, the split itself; and what else is worth keeping."""
        raise NotImplementedError

    def identity(self) -> dict[str, Any]:
        """All that a baseline on the test set depends on, as plain values."""
        raise NotImplementedError

    def report(self) -> RenderableType:
        """What was found in the files, for the console."""
        raise NotImplementedError

    @property
    def batch_order(self) -> str:
        """Hash over every training batch given so far."""
        raise NotImplementedError
