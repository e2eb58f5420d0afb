"""The base class of the data modules, and the spec that they give to a network."""

from collections.abc import Sequence
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any, ClassVar, Self

import pytorch_lightning as pl
from torch import nn

from rnnexp.data.loading.device import Store, decided
from rnnexp.data.source import Source
from rnnexp.errors import unimplemented
from rnnexp.tables import Table


@dataclass(frozen=True)
class Spec:
    """The sizes and names that a network needs from the data. run.json records them, and each task
    adds fields.

    title: a description of the test set with its size. tested: the number of test items. things:
    what the items are called, e.g. reviews.
    """

    title: str
    tested: int
    things: str

    def to_plain(self) -> dict[str, Any]:
        """The fields as a dict of plain values."""
        return asdict(self)

    @classmethod
    def from_plain(cls, content: dict[str, Any]) -> Self:
        """The inverse of `to_plain`. Unknown fields are ignored.

        Raises:
            ValueError: a field without a default is missing.
        """
        needed = [field.name for field in fields(cls) if field.default is MISSING]
        if missing := [name for name in needed if name not in content]:
            raise ValueError(f"the spec has no {', '.join(missing)}")
        known = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in content.items() if name in known})


class DataModule(pl.LightningDataModule):
    """Makes the batches of a task from a source.

    Each task has a subclass, which implements `specify`, `batch_order` and Lightning's dataloader
    methods. source: the option of the config group `data`. spec: available after `setup`.
    keeps: names of the files that `kept` may write into the run folder.
    """

    keeps: ClassVar[tuple[str, ...]] = ()

    source: Source
    spec: Spec

    def __init__(self, source: Source) -> None:
        super().__init__()
        self.source = source

    def setup(self, stage: str | None = None) -> None:
        """Read the source and build the spec. A second call does nothing.

        Raises:
            UserError: a file or a setting is wrong.
        """
        if not hasattr(self, "spec"):
            self.source.setup()
            self.spec = self.specify()

    def specify(self) -> Spec:
        """Build the spec from the source, which has been read; prepare the training batches.

        Raises:
            UserError: a setting is wrong.
        """
        raise unimplemented(self, "specify()")

    def stores(self) -> Sequence[Store]:
        """The data, after `setup`, as far as batches can be gathered on a GPU: what it holds with
        data.on_device=true."""
        return ()

    def decide_on_device(self) -> None:
        """Decide what data.on_device=auto is on the current GPU, after `setup`."""
        if self.source.on_device == "auto":
            self.source.on_device = decided(self.stores())

    def initialize(self, network: nn.Module) -> None:
        """Set the parts of a new network that come from the data: a fitted scaling, pretrained word
        vectors."""

    @property
    def batch_order(self) -> str:
        """Hash (hex) of all training batches so far."""
        raise unimplemented(self, "batch_order")

    def identity(self) -> dict[str, Any]:
        """All of the data that the baselines on the test set depend on, as plain values: the key
        under which the baselines of a task of rnnexp's own are cached."""
        raise unimplemented(self, "identity()")

    # Prediction without the training data -------------------------------------------------------

    def kept(self) -> dict[str, Any]:
        """What prediction needs from the training data: file name in the run folder -> content.
        A `.json` file holds plain values, a `.ckpt` file may also hold tensors."""
        return {}

    def restore(self, spec: Any, kept: dict[str, Any]) -> None:
        """Restore the result of `setup` from a run's spec and `kept` files.

        Raises:
            KeyError: a file is missing.
            ValueError: the content does not match the settings.
        """
        self.spec = spec

    # What a run records and shows ---------------------------------------------------------------

    @property
    def place(self) -> str | list[str]:
        return self.source.place

    def facts(self) -> dict[str, Any]:
        return self.source.facts()

    def report(self) -> list[Table | str]:
        return self.source.report()
