"""Where a training stands, beyond what Lightning's own checkpoints hold, so that it can go on bit
for bit: before a batch of an epoch, or after the last epoch.

Lightning counts what has begun and what is done, and was made to go on after the end of a batch.
By then it has not logged that batch. So we save before the next one, and correct its counts.
"""

from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import TensorBoardLogger

from rnnexp.process import determinism
from rnnexp.process.group import gathered, rank_and_size


def position_of(trainer: pl.Trainer, batch: int) -> dict[str, Any]:
    """What `restore` needs, as tensors and plain values. batch: number of the next batch."""
    loop = trainer.fit_loop.epoch_loop
    random, *others = gathered(determinism.random_states())
    return {
        "random": random,
        "random_of_others": others,  # of the other processes of the run, by rank
        "logged_steps": loop._batches_that_stepped,
        "means": _means(trainer) if batch else {},
        "callback_metrics": dict(trainer.callback_metrics),
        "should_stop": trainer.should_stop,
        "event_files": event_files(trainer),
    }


def with_corrected_counts(checkpoint: dict[str, Any]) -> None:
    """Correct the counts of a checkpoint that was saved before a batch, in place. The batch that
    has been fetched may be the last one, which Lightning would take for trained."""
    checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]["is_last_batch"] = False


def restore(trainer: pl.Trainer, position: dict[str, Any]) -> None:
    """Restore a position before the batch at which it was saved is trained on."""
    rank, _ = rank_and_size()
    states = [position["random"], *position.get("random_of_others", [])]
    determinism.restore_random_states(states[rank])
    loop = trainer.fit_loop.epoch_loop
    loop._batches_that_stepped = position["logged_steps"]
    loop.batch_progress.total.ready = loop.batch_progress.total.completed + 1
    trainer.callback_metrics.update(position["callback_metrics"])
    trainer.should_stop = position["should_stop"]


def restore_means(trainer: pl.Trainer, means: dict[str, dict[str, torch.Tensor]]) -> None:
    """Add the sums of the epoch's batches before the position to those of the first batch after it,
    once that is logged."""
    for name, sums in means.items():
        metric: Any = trainer.fit_loop.epoch_loop._results[name]
        for part, value in sums.items():
            setattr(metric, part, value.to(metric.value.device) + getattr(metric, part))


def _means(trainer: pl.Trainer) -> dict[str, dict[str, torch.Tensor]]:
    """The sums from which Lightning computes the means over the epoch of what is logged."""
    return {
        name: {"value": metric.value, "cumulated_batch_size": metric.cumulated_batch_size}
        for name, metric in trainer.fit_loop.epoch_loop._results.items()
        if metric.meta.on_epoch and metric.is_tensor and metric.meta.is_mean_reduction
    }


# Files of the logger ----------------------------------------------------------------------------

EVENTS = "events.out.tfevents.*"  # of TensorBoard
TRACE = "trace"  # of rnnexp trace, which stays as it is
CURVES = "mlflow/*/*/metrics/**/*"  # of MLflow


def event_files(trainer: pl.Trainer) -> dict[str, int]:
    """The files of curves in the run folder, with their sizes in bytes after all is written."""
    for logger in trainer.loggers:
        if isinstance(logger, TensorBoardLogger):
            logger.experiment.flush()
    folder = Path(trainer.default_root_dir)
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in appended(folder)}


def appended(folder: Path) -> list[Path]:
    """The files in a run folder to which a logger appends the points of its curves."""
    curves = [path for path in folder.glob(CURVES) if path.is_file()]
    events = [path for path in folder.rglob(EVENTS) if path.relative_to(folder).parts[0] != TRACE]
    return sorted([*events, *curves])


def cut_event_files(folder: Path, sizes: dict[str, int]) -> None:
    """Remove the points that were written after a position: they will come again."""
    for path in appended(folder):
        size = sizes.get(path.relative_to(folder).as_posix())
        if size is None:
            path.unlink()
        elif size < path.stat().st_size:
            with path.open("r+b") as file:
                file.truncate(size)
