"""The processes of a run that trains on several devices of this machine, as torch's distributed
process group."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import distributed

LOOPBACK = "lo0" if sys.platform == "darwin" else "lo"


@dataclass(frozen=True)
class Member:
    """One process of a group.

    rank: its number, from 0. size: the number of processes. accelerator: `cpu` or `gpu`; rank r has
    the GPU r. place: a folder of the group alone, in which its processes find each other.
    """

    rank: int
    size: int
    accelerator: str
    place: Path

    @property
    def ready(self) -> Path:
        """The file that exists once this process is about to join."""
        return self.place / f"ready_{self.rank}"

    @property
    def log(self) -> Path:
        """What this process prints, unless it is the first."""
        return self.place / f"log_{self.rank}.txt"

    @contextmanager
    def joined(self) -> Iterator[None]:
        """Be a member of the group during the block, which all processes enter and leave."""
        self.ready.touch()
        on_gpu = self.accelerator == "gpu"
        if on_gpu:
            torch.cuda.set_device(self.rank)
        # gloo looks up the name of the machine for an address; these processes need no network.
        os.environ.setdefault("GLOO_SOCKET_IFNAME", LOOPBACK)
        distributed.init_process_group(
            "nccl" if on_gpu else "gloo",
            init_method=(self.place / "meeting").as_uri(),
            rank=self.rank,
            world_size=self.size,
        )
        try:
            yield
        finally:
            distributed.destroy_process_group()


def is_grouped() -> bool:
    """Whether this process is a member of a group."""
    return distributed.is_available() and distributed.is_initialized()


def rank_and_size() -> tuple[int, int]:
    """The rank of this process and the size of its group; (0, 1) without a group."""
    return (distributed.get_rank(), distributed.get_world_size()) if is_grouped() else (0, 1)


def gathered(one: Any) -> list[Any]:
    """What every process of the group has given, by rank; all of them must call this."""
    found = [one]
    if is_grouped():
        found *= distributed.get_world_size()
        distributed.all_gather_object(found, one)
    return found
