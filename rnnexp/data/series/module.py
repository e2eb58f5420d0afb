"""What the data modules of all tasks on series share: the scaling, and the order of batches."""

from typing import Any, ClassVar

import torch
from torch import nn

from rnnexp.data.loading.module import DataModule
from rnnexp.data.loading.samplers import ShuffledBatches
from rnnexp.data.series.source import SeriesSource
from rnnexp.data.source import array_fingerprint
from rnnexp.errors import unimplemented
from rnnexp.nn.scaling import Scaling

SCALING = "scaling.json"  # in the run folder


class SeriesData(DataModule):
    """Batches of windows of the series of a source. A subclass implements `training_starts`.

    scaling: the arguments of the network's `Scaling`, in the order of the series of `spec`.
    scaled: their names.
    """

    keeps = (SCALING,)
    scaled: ClassVar[tuple[str, ...]] = ("minimum", "range", "change")

    source: SeriesSource
    spec: Any
    scaling: dict[str, list]
    training_windows: ShuffledBatches  # set by `specify`

    def training_starts(self, epoch: int) -> torch.Tensor:
        """Store positions (n,) int64 of the first step of each training window of an epoch."""
        raise unimplemented(self, "training_starts(epoch)")

    def shuffled(self) -> ShuffledBatches:
        """The training windows in batches."""
        source = self.source
        return ShuffledBatches(
            self.training_starts,
            source.batch_size,
            source.seed,
            source.drop_last,
            source.reshuffle,
        )

    @property
    def batch_order(self) -> str:
        """Hash (hex) of all training batches so far."""
        return self.training_windows.seen.hexdigest()

    # Initial values, kept files, fingerprints ---------------------------------------------------

    def initialize(self, network: nn.Module) -> None:
        """Give the network the scaling of the series."""
        if isinstance(getattr(network, "scaling", None), Scaling):
            network.scaling = Scaling(**{key: self.scaling[key] for key in SeriesData.scaled})

    def kept(self) -> dict[str, Any]:
        return {SCALING: self.scaling}

    def restore(self, spec: Any, kept: dict[str, Any]) -> None:
        scaling = kept[SCALING]
        if not isinstance(scaling, dict) or not all(
            isinstance(scaling.get(key), list) and len(scaling[key]) == len(spec.series)
            for key in self.scaled
        ):
            raise ValueError(f"{SCALING} is not the scaling of {len(spec.series)} series")
        self.spec, self.scaling = spec, scaling

    def identity_of(self, *tested: torch.Tensor) -> dict[str, Any]:
        """All that the baselines on some test windows depend on, but for the kind of task."""
        source, store = self.source, self.source.store
        read = (store.first, store.values, store.shift, store.calendar, store.mask)
        return {
            "series": array_fingerprint(*(one.numpy() for one in (*read, *tested))),
            "training": source.training_spans(),
            "unit": source.unit,
            "look_back": source.look_back,
            "season": source.season,
            "step": str(source.step),
            "timezone": source.clock.timezone,
        }
