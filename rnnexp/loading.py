"""`rnnexp.load(DIR)`: a finished run, back in Python."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig
from torch import nn

from rnnexp.config import check, instantiate, override
from rnnexp.data.module import DataModule
from rnnexp.errors import UserError
from rnnexp.evaluate import find_data
from rnnexp.record import (
    NOT_ITS_WEIGHTS,
    best_checkpoint,
    read_config,
    read_run,
    read_state_dict,
)


@dataclass(frozen=True)
class LoadedRun:
    """network: with the weights of the best checkpoint, in evaluation mode, on the CPU.
    data: the data module, not yet read: call `data.setup()`. config: as the run recorded it.
    folder: the run folder. record: its run.json."""

    network: nn.Module
    data: DataModule
    config: DictConfig
    folder: Path
    record: dict[str, Any]

    @property
    def spec(self) -> dict[str, Any]:
        """What the data decided: sizes and names."""
        return self.record["spec"]


def load(folder: str | Path, overrides: Sequence[str] = ()) -> LoadedRun:
    """Build network and data module of a run again, from its folder alone.

    The network needs no data: what the data decided stands in the record.

    overrides: key=value, of the recorded config.

    Raises:
        UserError: the folder is not that of a run, or something in it may not be loaded.
    """
    folder = Path(folder)
    run, config = read_run(folder), read_config(folder)
    if overrides:
        config = override(config, overrides)
    check(config)
    find_data(config, run)
    if not isinstance(run.get("spec"), dict):
        raise UserError(
            f"{folder} has the status {run.get('status')!r} and no network: the run did not get as "
            "far as that"
        )
    checkpoint = best_checkpoint(folder)
    with torch.random.fork_rng():  # initial weights are drawn, and must not move the stream
        network = instantiate(config.model, spec=run["spec"])
    _load_weights(network, checkpoint)
    data = instantiate(config.data, seed=config.seed)
    return LoadedRun(network.eval(), data, config, folder, run)


def _load_weights(network: nn.Module, checkpoint: Path) -> None:
    state = read_state_dict(checkpoint)
    prefix = "network."
    own = {name.removeprefix(prefix): state[name] for name in state if name.startswith(prefix)}
    try:
        network.load_state_dict(own)
    except RuntimeError as error:  # of other names or sizes
        raise UserError(NOT_ITS_WEIGHTS.format(checkpoint)) from error
