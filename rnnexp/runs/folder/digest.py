"""The result of a run, for comparison to the bit: hashes and every training loss."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rnnexp.errors import CannotRerun, UserError
from rnnexp.hashes import hash_tensors
from rnnexp.runs.folder.reading import (
    best_checkpoint,
    hash_file,
    read_digest,
    read_history,
    read_metrics,
    read_run,
    read_state_dict,
)

WEIGHTS = ("last", "best")  # of the last and of the best checkpoint


@dataclass(frozen=True)
class Result:
    """The results that a repetition must match to the bit."""

    batch_order: str
    losses: list[str]  # hexadecimal, one a training step
    epoch_ends: list[int]  # the number of training steps after each epoch
    weights: dict[str, dict[str, str]]  # last, best -> tensor -> hash
    predictions: dict[str, str]
    predictions_table: str  # SHA-256 of predictions.csv
    metrics: dict[str, float]


def read_result(folder: Path) -> Result:
    """The result of a completed run, as its digest has it.

    Raises:
        CannotRerun: a file of the result is missing or damaged.
    """
    with _readable(folder):
        digest = read_digest(folder)
        history = read_history(folder)
        for loss in digest["losses"]:
            float.fromhex(loss)
        return Result(
            batch_order=digest["batch_order"],
            losses=digest["losses"],
            epoch_ends=history["step"].tolist(),
            weights={kind: dict(digest[f"weights/{kind}"]) for kind in WEIGHTS},
            predictions=digest["predictions"],
            # What the run wrote: whether it was edited since is told by `edited_files`.
            predictions_table=read_run(folder).get("files", {}).get("predictions.csv")
            or hash_file(folder / "predictions.csv"),
            metrics=read_metrics(folder),
        )


def edited_files(folder: Path) -> list[str]:
    """The files of a completed run, but config.yaml, that are not as the run wrote them.
    config.yaml belongs to the environment of a result.

    Raises:
        CannotRerun: a checkpoint is missing or damaged.
    """
    with _readable(folder):
        digest, run = read_digest(folder), read_run(folder)
        checkpoints = {
            "last": folder / "checkpoints" / "last.ckpt",
            "best": best_checkpoint(folder),
        }
        states = {kind: read_state_dict(path) for kind, path in checkpoints.items()}
        if "files" in run:
            return changed_files(folder, run)
        # Earlier versions kept the hashes of the weights alone.
        changed = [
            checkpoints[kind].relative_to(folder).as_posix()
            for kind in WEIGHTS
            if hash_tensors(states[kind]) != digest[f"weights/{kind}"]
        ]
        return list(dict.fromkeys(changed))


def changed_files(folder: Path, run: dict[str, Any]) -> list[str]:
    """The files, but config.yaml, whose hashes are not those in `files` of run.json; a file that is
    missing is one of them. Raises OSError if a file cannot be read."""
    return [
        name
        for name, recorded in run.get("files", {}).items()
        if name != "config.yaml" and _hash_if_there(folder, name) != recorded
    ]


def _hash_if_there(folder: Path, name: str) -> str | None:
    """The hash of a file of a run; None if there is none, or the name leads out of the folder."""
    path = folder / name
    return hash_file(path) if path.is_file() and ".." not in Path(name).parts else None


@contextmanager
def _readable(folder: Path) -> Iterator[None]:
    """Raises CannotRerun where a file in the block is missing or damaged."""
    try:
        yield
    except UserError as error:
        raise CannotRerun(str(error)) from error
    except OSError as error:
        raise CannotRerun(f"{error.filename} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise CannotRerun(f"{folder} has no readable result to compare with: {error!r}") from error
