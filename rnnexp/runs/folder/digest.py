"""The result of a run, for comparison to the bit: hashes and every training loss."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import torch

from rnnexp.errors import CannotRerun, UserError
from rnnexp.runs.folder.reading import (
    best_checkpoint,
    hash_file,
    read_digest,
    read_history,
    read_metrics,
    read_state_dict,
)


def hash_tensors(state: dict[str, torch.Tensor]) -> dict[str, str]:
    """SHA-256 of each tensor of a state_dict, over shape, dtype and bytes; tensor name -> hash."""
    hashes = {}
    for name, tensor in state.items():
        content = hashlib.sha256(f"{tuple(tensor.shape)} {tensor.dtype} ".encode())
        numbers = tensor.detach().cpu().contiguous().flatten()
        content.update(numbers.view(torch.uint8).numpy().data)  # numpy has no bfloat16
        hashes[name] = content.hexdigest()
    return hashes


@dataclass(frozen=True)
class Result:
    """The results that a repetition must match to the bit."""

    batch_order: str
    losses: list[str]  # hexadecimal, one a training step
    epoch_ends: list[int]  # the number of training steps after each epoch
    weights: dict[str, dict[str, str]]  # last, best -> tensor -> hash, from the checkpoints
    predictions: dict[str, str]
    predictions_table: str  # SHA-256 of predictions.csv
    metrics: dict[str, float]


def read_result(folder: Path) -> Result:
    """The result of a completed run.

    Raises:
        CannotRerun: a file of the result is missing or damaged.
    """
    try:
        digest = read_digest(folder)
        history = read_history(folder)
        for loss in digest["losses"]:
            float.fromhex(loss)
        return Result(
            batch_order=digest["batch_order"],
            losses=digest["losses"],
            epoch_ends=history["step"].tolist(),
            weights={
                "last": _hash_checkpoint(folder / "checkpoints" / "last.ckpt"),
                "best": _hash_checkpoint(best_checkpoint(folder)),
            },
            predictions=digest["predictions"],
            predictions_table=hash_file(folder / "predictions.csv"),
            metrics=read_metrics(folder),
        )
    except UserError as error:
        raise CannotRerun(str(error)) from error
    except OSError as error:
        raise CannotRerun(f"{error.filename} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise CannotRerun(f"{folder} has no readable result to compare with: {error!r}") from error


def _hash_checkpoint(path: Path) -> dict[str, str]:
    return hash_tensors(read_state_dict(path))
