"""`rnnexp.load(DIR)`: a finished run, back in Python."""

from dataclasses import dataclass
from pathlib import Path

import torch
from omegaconf import DictConfig
from torch import nn

from rnnexp.config import check, instantiate
from rnnexp.data.module import DataModule
from rnnexp.evaluate import find_data
from rnnexp.record import best_checkpoint, read_checkpoint, read_config, read_run


@dataclass(frozen=True)
class LoadedRun:
    """network: with the weights of the best checkpoint, in evaluation mode, on the CPU.
    data: the data module, not yet read: call `data.setup()`. config: as the run recorded it."""

    network: nn.Module
    data: DataModule
    config: DictConfig


def load(folder: str | Path) -> LoadedRun:
    """Build network and data module of a run again, from its folder alone.

    The network needs no data: what the data decided stands in the record.

    Raises:
        UserError: the folder is not that of a run, or something in it may not be loaded.
    """
    folder = Path(folder)
    run, config = read_run(folder), read_config(folder)
    check(config)
    find_data(config, run)
    with torch.random.fork_rng():  # initial weights are drawn, and must not move the stream
        network = instantiate(config.model, spec=run["spec"])
    state = read_checkpoint(best_checkpoint(folder))["state_dict"]
    prefix = "network."
    network.load_state_dict(
        {
            name.removeprefix(prefix): tensor
            for name, tensor in state.items()
            if name.startswith(prefix)
        }
    )
    data = instantiate(config.data, seed=config.seed)
    return LoadedRun(network.eval(), data, config)
