"""What a run needs of its data, whatever the task."""

from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any, ClassVar, Self

import pytorch_lightning as pl
from torch import nn

from rnnexp.data.source import Source
from rnnexp.tables import Table


@dataclass(frozen=True)
class Spec:
    """The sizes and names that the data decide: what a network is built by, and what run.json
    records. Every task adds its own.

    title: of the test set, with its size. tested: how many `things` the test has.
    """

    title: str
    tested: int
    things: str

    def to_plain(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)

    @classmethod
    def from_plain(cls, content: dict[str, Any]) -> Self:
        """The inverse of `to_plain`.

        Raises:
            ValueError: a field that has no default is missing.
        """
        needed = [field.name for field in fields(cls) if field.default is MISSING]
        if missing := [name for name in needed if name not in content]:
            raise ValueError(f"the spec has no {', '.join(missing)}")
        known = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in content.items() if name in known})


class DataModule(pl.LightningDataModule):
    """Feeds a task with batches of a source.

    A task has one: a subclass that says what its spec is, and gives the loaders that Lightning asks
    for. source: what the config group `data` names. spec: after `setup`.
    """

    keeps: ClassVar[tuple[str, ...]] = ()

    source: Source
    spec: Spec

    def __init__(self, source: Source) -> None:
        super().__init__()
        self.source = source

    def setup(self, stage: str | None = None) -> None:
        """Read the source, and say what the spec is. A second call does nothing.

        Raises:
            UserError: a file or a setting is wrong.
        """
        if not hasattr(self, "spec"):
            self.source.setup()
            self.spec = self.specify()

    def specify(self) -> Spec:
        """What the source decides, once it is read; and whatever the loaders need of it.

        Raises:
            UserError: a setting is wrong.
        """
        raise NotImplementedError

    def initialize(self, network: nn.Module) -> None:
        """Put into a new network what the data know and random numbers do not: a fitted scaling,
        pretrained word vectors."""

    @property
    def batch_order(self) -> str:
        """Hash over every training batch given so far."""
        raise NotImplementedError

    def identity(self) -> dict[str, Any]:
        """All that a baseline on the test set depends on, as plain values."""
        return {"task": type(self).__name__, **self.source.facts()["fingerprints"]}

    # Prediction without the training data -------------------------------------------------------

    def kept(self) -> dict[str, Any]:
        """What has to be kept of the training data so that new data can be read as they were: by
        the name of its file in the run folder. `.json` holds plain values, `.ckpt` tensors too."""
        return {}

    def restore(self, spec: Any, kept: dict[str, Any]) -> None:
        """Take over what a run kept, in the place of `setup`.

        Raises:
            KeyError: one of the names that is needed is not in it.
            ValueError: it is not what these settings need.
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
