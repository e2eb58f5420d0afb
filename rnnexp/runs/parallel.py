"""Data-parallel training: a process on each of several devices, by Lightning's DDPStrategy.

The first process is the run's own. It starts the others from the resolved config. They read the
data and build the network like the first, take part in the training, and write nothing into the run
folder. They are gone before the test.
"""

import os
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing import connection
from pathlib import Path
from typing import Any

from lightning_fabric.plugins.environments.cluster_environment import ClusterEnvironment
from omegaconf import DictConfig
from pytorch_lightning.strategies import DDPStrategy
from torch import nn

from rnnexp.data.loading.loader import BatchLoader
from rnnexp.data.loading.module import DataModule
from rnnexp.data.loading.samplers import TrainingBatches
from rnnexp.errors import RunFailed, UserError
from rnnexp.hashes import hash_tensors
from rnnexp.process.group import Member, gathered, is_grouped, rank_and_size
from rnnexp.process.workers import Worker
from rnnexp.tasks.task import Task

LAST_LINES = 20  # of what a process printed before it died
PATIENCE = 10.0  # seconds for a process to die after the group has lost it


def devices(config: DictConfig) -> int:
    """The number of devices that a resolved config trains on."""
    return int(config.trainer.get("devices", 1))


def on_one_device(config: DictConfig) -> DictConfig:
    """The config with one device, for validation and test."""
    config = config.copy()
    config.trainer.devices, config.trainer.strategy = 1, "auto"
    return config


class OneMachine(ClusterEnvironment):
    """Tells Lightning that the processes have been started, and which one this is."""

    creates_processes_externally = True
    main_address, main_port = "localhost", 0  # not used: the group exists already

    @staticmethod
    def detect() -> bool:
        return False

    def world_size(self) -> int:
        return rank_and_size()[1]

    def global_rank(self) -> int:
        return rank_and_size()[0]

    def local_rank(self) -> int:
        return rank_and_size()[0]

    def node_rank(self) -> int:
        return 0

    def set_world_size(self, size: int) -> None: ...

    def set_global_rank(self, rank: int) -> None: ...


class DataParallel(DDPStrategy):
    """Lightning's strategy without torch's DistributedDataParallel around the model: `Task` reduces
    the gradients, once a step. The weights are equal from the beginning."""

    def __init__(self) -> None:
        super().__init__(cluster_environment=OneMachine())

    def configure_ddp(self) -> None: ...


def check_shares(task: Task, data: DataModule) -> None:
    """Check that the training batches can be shared, and the losses of the shares be weighted.

    Raises:
        UserError: the batches do not come from one of our samplers; or the task does not say what
            its loss is a mean of, or has a training step of its own.
    """
    own, why = type(task), ""
    if own.terms is Task.terms:
        why = "does not say what its loss is a mean of: terms(batch) of rnnexp.tasks.task.Task"
    elif own.training_step is not Task.training_step:
        why = "has a training_step of its own, whose loss cannot be weighted"
    if why:
        raise UserError(f"trainer=ddp: {own.__name__} {why}; set trainer=auto")
    loader = data.train_dataloader()
    if not isinstance(loader, BatchLoader) or not isinstance(loader.sampler, TrainingBatches):
        raise UserError(
            f"trainer=ddp cannot share the batches of {type(data).__name__}: they must come from a "
            "sampler of rnnexp.data.loading.samplers; set trainer=auto"
        )


def check_equal(task: nn.Module, when: str) -> None:
    """Check that all processes have the same weights.

    Raises:
        RunFailed: they do not.
    """
    if not is_grouped():
        return
    first, *others = gathered(hash_tensors(task.state_dict()))
    if any(other != first for other in others):
        raise RunFailed(f"the processes of trainer=ddp have different weights {when}")


@contextmanager
def other_processes(
    config: DictConfig, take_part: Callable[..., object], *arguments: Any
) -> Iterator[None]:
    """During the block, this process is the first of the group of a run; `take_part(member, config,
    *arguments)` is called in each of the others. With one device, there is no group.

    Raises:
        RunFailed: another process has died.
    """
    size = devices(config)
    if size == 1:
        yield
        return
    threads = {"OMP_NUM_THREADS": str(config.determinism.threads)}
    with ExitStack() as held:
        place = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="rnnexp-")))
        first, *others = [Member(n, size, config.trainer.accelerator, place) for n in range(size)]
        workers = [Worker(_work, threads) for _ in others]
        held.callback(_end, workers)
        for worker, member in zip(workers, others, strict=True):
            worker.begin(member.rank, (take_part, member, config, *arguments))
        _wait_until_ready(workers, others)
        try:
            with first.joined():
                yield
        except RuntimeError as error:  # of the group, if one of its processes is gone
            _check_alive(workers, others, error)
            raise


def _work(take_part: Callable[..., object], member: Member, *arguments: Any) -> None:
    """What another process does. What it prints, and writes beside the run, is dropped."""
    output = os.open(member.log, os.O_WRONLY | os.O_CREAT, 0o600)
    os.dup2(output, 1)
    os.dup2(output, 2)
    try:
        take_part(member, *arguments)
    except BaseException:
        traceback.print_exc()
        os._exit(1)  # at once: the first process waits for it


def _wait_until_ready(workers: list[Worker], members: list[Member]) -> None:
    while not all(member.ready.exists() for member in members):
        _check_alive(workers, members)
        time.sleep(0.02)


def _check_alive(
    workers: list[Worker], members: list[Member], cause: BaseException | None = None
) -> None:
    sentinels = [worker.process.sentinel for worker in workers]
    dead = connection.wait(sentinels, PATIENCE if cause else 0)
    for sentinel, member in zip(sentinels, members, strict=True):
        if sentinel in dead:
            printed = member.log.read_text(errors="replace") if member.log.exists() else ""
            said = "".join(f"\n{line}" for line in printed.splitlines()[-LAST_LINES:])
            raise RunFailed(f"process {member.rank} of trainer=ddp has died{said}") from cause


def _end(workers: list[Worker]) -> None:
    for worker in workers:
        worker.process.kill()
        worker.end()
