"""The checkpoint from which a run goes on."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from rnnexp.callbacks.checkpoint import Checkpoint
from rnnexp.callbacks.checkpoint_names import BEST, LAST, PREVIOUS
from rnnexp.callbacks.position import EVENTS, cut_event_files
from rnnexp.data.loading.loader import BatchLoader
from rnnexp.data.loading.module import DataModule
from rnnexp.data.loading.samplers import TrainingBatches
from rnnexp.errors import CannotRerun, UserError
from rnnexp.hashes import hash_content
from rnnexp.process.memory import enough_memory
from rnnexp.runs.comparison.repetition import environment_differences
from rnnexp.runs.folder.reading import CHECKPOINT_MISMATCH, read_checkpoint
from rnnexp.runs.folder.record import RunRecord
from rnnexp.runs.folder.resumable import not_resumable
from rnnexp.runs.folder.tensors import mismatch
from rnnexp.tasks.task import Task


@dataclass(frozen=True)
class Start:
    """A checkpoint, read and checked, and whether the run may go on in another environment.

    folder: that of the run that wrote it. damaged: why a later checkpoint is not used; else empty.
    """

    folder: Path
    path: Path
    checkpoint: dict[str, Any]
    damaged: str = ""
    on_other_ground: bool = False

    @property
    def epoch(self) -> int:
        """The number of whole epochs so far."""
        return len(self.checkpoint["trained"]) - 1

    @property
    def batch(self) -> int:
        """The number of batches of the epoch that was running."""
        return int(self.checkpoint["trained"][-1])

    @property
    def is_trained(self) -> bool:
        """Whether the training had ended."""
        return bool(self.checkpoint["position"]["trained"])

    def sentence(self, config: DictConfig) -> str:
        """From where the run goes on, for the console."""
        epochs = config.trainer.get("max_epochs")
        of = f"/{epochs}" if epochs and epochs > self.epoch else ""  # else max_steps ends the run
        where = f"epoch {self.epoch + 1}{of}, step {self.batch + 1}"
        found = f"{self.damaged}: going on from the one before it\n" if self.damaged else ""
        return f"{found}going on {'after the training' if self.is_trained else f'at {where}'}"

    def facts(self) -> dict[str, Any]:
        """What run.json says of how the run goes on."""
        return {"epoch": self.epoch, "batch": self.batch, "trained": self.is_trained}

    def check(self, record: RunRecord, task: Task) -> None:
        """Check that the environment and the network are those of the checkpoint. A different
        environment that is accepted is recorded.

        Raises:
            CannotRerun: one of them is not.
        """
        differing = environment_differences(self.folder, record.run)
        if differing and not self.on_other_ground:
            place = record.run.get("data")
            where = f" (the data are read from {place})" if "data fingerprint" in differing else ""
            raise CannotRerun(
                f"{self.folder} cannot go on as it began, since these have changed: "
                f"{', '.join(differing)}{where}; add --on-other-ground to go on all the same, "
                "which run.json then says"
            )
        if differing:
            before = record.run.get("other_ground", {})
            found = {name: [before.get(name, pair)[0], pair[1]] for name, pair in differing.items()}
            record.run["other_ground"] = before | found
        if wrong := mismatch(task, self.checkpoint["state_dict"]):
            raise CannotRerun(CHECKPOINT_MISMATCH.format(self.path, wrong))
        schedules = int(task.make_scheduler is not None)
        if len(self.checkpoint["lr_schedulers"]) != schedules:
            raise CannotRerun(f"{self.path} is damaged: its number of schedules is not {schedules}")

    def replay(self, data: DataModule) -> None:
        """Draw the batches before the checkpoint again.

        Raises:
            CannotRerun: the batches come from elsewhere than one of our samplers, or are fewer.
        """
        loader = data.train_dataloader()
        sampler = getattr(loader, "sampler", None)
        if not isinstance(loader, BatchLoader) or not isinstance(sampler, TrainingBatches):
            raise CannotRerun(
                f"{type(data).__name__} cannot go on: its batches do not come from a sampler of "
                "rnnexp.data.loading.samplers, whose order can be repeated"
            )
        try:
            sampler.replay(self.checkpoint["trained"])
        except ValueError as error:
            raise CannotRerun(f"{self.path} is damaged: {error}") from error

    @contextmanager
    def read_by(self, checkpoint: Checkpoint) -> Iterator[None]:
        """During the block, Lightning restores the training, and goes on with it.

        Raises:
            CannotRerun: the content of the checkpoint cannot be restored.
        """
        try:
            with enough_memory():
                yield
        except (TypeError, ValueError, LookupError, AttributeError, RuntimeError) as error:
            if checkpoint.trains:
                raise
            said = " ".join(str(error).split())[:200]
            raise CannotRerun(f"{self.path} cannot be restored: {said}") from error

    def cut_event_files(self, folder: Path) -> None:
        """Remove from the curves of a folder what comes after the checkpoint."""
        cut_event_files(folder, self.checkpoint["position"]["event_files"])

    def copy_into(self, folder: Path) -> None:
        """Copy what the run has so far into the folder of a new run that goes on from it."""
        best = self.folder / "checkpoints" / BEST
        (folder / "checkpoints").mkdir()
        if best.exists():
            shutil.copyfile(best, folder / "checkpoints" / best.name)
        for path in self.folder.rglob(EVENTS):
            target = folder / path.relative_to(self.folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)


def read_start(folder: Path, on_other_ground: bool = False) -> Start | None:
    """The last checkpoint of a run that is whole; None if there is none.

    Raises:
        CannotRerun: it was written by an earlier version, which did not keep all that is needed,
            or none is whole, or its content is not what we write.
    """
    damaged = ""
    for name in (LAST, PREVIOUS):
        path = folder / "checkpoints" / name
        if not path.exists():
            continue
        try:
            checkpoint = read_checkpoint(path, in_memory=True)
        except UserError as error:
            damaged = damaged or str(error)
            continue
        if "position" not in checkpoint:
            raise CannotRerun(f"{path} was written by an earlier version: it cannot go on from it")
        recorded = checkpoint.pop("sha256", None)
        if hash_content(checkpoint) != recorded:
            damaged = damaged or f"{path} is damaged: its content is not what was written"
            continue
        if wrong := not_resumable(checkpoint):
            raise CannotRerun(f"{path} is damaged: {wrong}")
        return Start(folder, path, checkpoint, damaged, on_other_ground)
    if damaged:
        raise CannotRerun(f"{damaged}; remove {folder / 'checkpoints'} to begin anew")
    return None
