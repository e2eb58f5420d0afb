"""Reads run folders, which may be damaged or come from strangers. Each problem is a UserError."""

from __future__ import annotations

import hashlib
import io
import math
import os
import socket
import warnings
from collections.abc import Sequence
from io import BufferedReader
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from omegaconf import DictConfig, OmegaConf

from rnnexp.callbacks.checkpoint_names import BEST, LAST
from rnnexp.config import recorded
from rnnexp.config.schema import plain, with_defaults
from rnnexp.errors import UserError
from rnnexp.files import open_regular, read_regular
from rnnexp.process.locks import is_locked
from rnnexp.runs.folder import old_names
from rnnexp.runs.folder.parsing import check_printable, check_yaml, parse_json
from rnnexp.runs.folder.schema import BACKTESTED, DIGEST, LARGEST, METRICS, RUN, SWEEP, fault

if TYPE_CHECKING:
    import torch

CHECKPOINT_FORMATS = (1,)
BACKTEST = "backtest.json"
LOG, MOST_OF_LOG = "log.txt", 1 << 16  # bytes that are read of its end
REPORT = "report.html"  # by `rnnexp report`, no part of the record
TRACE = "trace"  # a folder, by `rnnexp trace`, no part of the record either
LOCK = ".lock"  # a file in the folder of a run, locked by the process that writes to it
LONGEST_LINE = 1 << 16  # bytes of the first lines of a table; those of a run have some hundreds
CHECKPOINT_MISMATCH = (
    "{} does not match the network in config.yaml, one of them has been edited: {}"
)


def check_folder(folder: Path, expected: str) -> None:
    """Check that a folder can be read. expected: what is to be given, e.g. "the folder of a run".

    Raises:
        UserError: it does not exist, is a file, or the user may not read it.
    """
    if os.path.isdir(folder):
        if not os.access(folder, os.R_OK | os.X_OK):
            raise UserError(f"{folder} cannot be read: you have no permission to do so")
    elif os.path.exists(folder):
        raise UserError(f"{folder} is a file: give {expected}")
    else:
        raise UserError(f"there is no folder {folder}")


def read_run(folder: Path) -> dict[str, Any]:
    """run.json of a run folder.

    Raises:
        UserError: the folder is missing or is not a run folder, or run.json is damaged.
    """
    check_folder(folder, "the folder of a run")
    if not os.path.exists(folder / "run.json"):
        inside = sorted(path.parent for path in folder.glob("*/run.json"))
        hint = f"; the last run inside is {inside[-1]}" if inside else ""
        raise UserError(f"{folder} is not a run folder: it has no run.json{hint}")
    return old_names.translated_run(_read_json(folder / "run.json", RUN))


def status_now(folder: Path, run: dict[str, Any]) -> str:
    """The status of a run. `running` becomes `interrupted` if no process of this host holds the
    lock."""
    status = str(run.get("status"))
    is_here = run.get("host") == socket.gethostname()
    gone = status == "running" and is_here and not is_locked(folder / LOCK)
    return "interrupted" if gone else status


def read_sweep(folder: Path) -> dict[str, Any]:
    """sweep.json of the folder of a sweep.

    Raises:
        UserError: it is missing or damaged.
    """
    return _read_json(folder / "sweep.json", SWEEP)


def read_backtest(folder: Path) -> dict[str, Any]:
    """backtest.json of the folder of a back-test.

    Raises:
        UserError: it is missing or damaged.
    """
    return _read_json(folder / BACKTEST, BACKTESTED)


def read_config(folder: Path) -> DictConfig:
    """config.yaml of a run folder, with the current names of its classes.

    Raises:
        UserError: config.yaml is missing or is not a config.
    """
    path = folder / "config.yaml"
    try:
        text = read_regular(path, LARGEST["config.yaml"]).decode("utf-8")
        check_yaml(text)
        config = OmegaConf.load(io.StringIO(text))
        check_printable(OmegaConf.to_container(config))
    except FileNotFoundError as error:
        raise UserError(f"{folder} has no config.yaml: the run cannot be rebuilt") from error
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
    except Exception as error:  # YAML's and OmegaConf's errors share no base class
        line = str(error).splitlines()[0]
        raise UserError(f"{path} cannot be read as a config ({line})") from error
    if not isinstance(config, DictConfig):
        raise UserError(f"{path} does not hold a config")
    try:
        current = old_names.translated_config(OmegaConf.to_container(config))
        return recorded(OmegaConf.create(current))
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def read_plain_config(folder: Path, run: dict[str, Any]) -> dict[str, Any]:
    """As `read_config`, of dicts, lists and values. It comes from run.json, as long as config.yaml
    is as the run wrote it: to parse YAML takes twenty times as long as the rest of a run's record.

    run: content of run.json; empty if it cannot be read.
    """
    if run.get("config") and is_as_recorded(folder, "config.yaml", run):
        return with_defaults(old_names.translated_config(run["config"]))
    return dict(plain(read_config(folder)))


def read_metrics(folder: Path) -> dict[str, float]:
    """metrics.json of a completed run. A metric without a value, null, is NaN.

    Raises:
        UserError: it is missing or damaged.
    """
    metrics = _read_json(folder / "metrics.json", METRICS)
    known = {name: math.nan if value is None else value for name, value in metrics.items()}
    return old_names.translated_metrics(known)


def read_digest(folder: Path) -> dict[str, Any]:
    """digest.json of a completed run.

    Raises:
        UserError: it is missing or damaged.
    """
    return _read_json(folder / "digest.json", DIGEST)


def read_history(folder: Path) -> pd.DataFrame:
    """history.csv: a row for each epoch, with the number of training `step`s at its end.

    Raises:
        UserError: it is missing or damaged.
    """
    path = folder / "history.csv"
    history = _read_table(path)
    if "step" not in history or not pd.api.types.is_integer_dtype(history["step"]):
        raise UserError(f"{path} is damaged: it has no column step of whole numbers")
    return history


def read_predictions(folder: Path) -> pd.DataFrame:
    """predictions.csv of a completed run.

    Raises:
        UserError: it is missing or damaged.
    """
    path = folder / "predictions.csv"
    if not os.path.exists(path):
        raise UserError(f"{folder} has no predictions.csv: the run has not been tested")
    return _read_table(path, keep_default_na=False)


def read_backtest_table(folder: Path, name: str) -> pd.DataFrame | None:
    """by_step.csv, by_series.csv, by_hour.csv or by_fold.csv of a back-test; None without it.

    Raises:
        UserError: it is damaged.
    """
    path = folder / f"{name}.csv"
    return _read_table(path) if os.path.exists(path) else None


def read_end_of_log(folder: Path) -> str:
    """The last lines of log.txt; empty if there is none.

    Raises:
        UserError: it cannot be read.
    """
    path = folder / LOG
    if not os.path.exists(path):
        return ""
    try:
        with open_regular(path) as file:
            begin = max(0, os.fstat(file.fileno()).st_size - MOST_OF_LOG)
            file.seek(begin)
            text = file.read(MOST_OF_LOG).decode("utf-8", "replace")
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
    return text.partition("\n")[2] if begin else text


def _read_table(path: Path, **settings: Any) -> pd.DataFrame:
    try:
        with open_regular(path, LARGEST[path.name]) as file:
            _check_first_lines(file, path)
            with warnings.catch_warnings():
                warnings.simplefilter("error", pd.errors.ParserWarning)
                # Without index_col, the first values of a row that has too many are its index.
                return pd.read_csv(file, index_col=False, **settings)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, pd.errors.ParserWarning) as error:  # from pandas, or from decoding
        raise UserError(f"{path} is damaged: it is not a table") from error


def _check_first_lines(file: BufferedReader, path: Path) -> None:
    """Refuse a long header or first row, which take pandas minutes; later rows are compared with
    the header at once."""
    pieces = iter(lambda: file.readline(LONGEST_LINE), b"")
    for line in islice((piece for piece in pieces if piece.strip()), 2):
        if len(line) == LONGEST_LINE:
            raise UserError(f"{path} is damaged: one of its first lines is too long")
    file.seek(0)


def read_kept(folder: Path, names: Sequence[str]) -> dict[str, Any]:
    """What a run kept of its training data (`DataModule.kept`), by file name: those of `names` that
    exist in its folder.

    Raises:
        UserError: a file is damaged, or differs from its hash in run.json.
    """
    run = read_run(folder)
    kept = {name: _kept(folder / name) for name in names if (folder / name).exists()}
    if "kept" not in run:
        return old_names.kept(folder, run, kept)
    for name in kept:
        if run["kept"].get(name) != hash_file(folder / name):
            raise UserError(f"{folder / name} has been changed since the run wrote it")
    return kept


def _kept(path: Path) -> Any:
    return _parse_json(path, LARGEST["kept"]) if path.suffix == ".json" else read_checkpoint(path)


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes. Raises OSError if it cannot be read."""
    with open_regular(path, LARGEST.get(path.name, LARGEST["checkpoint"])) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_as_recorded(folder: Path, name: str, run: dict[str, Any]) -> bool:
    """Whether a file is what a run wrote, by its hash in run.json; False if one is missing."""
    known = run.get("config_sha256") if name == "config.yaml" else run.get("files", {}).get(name)
    try:
        return known is not None and hash_file(folder / name) == known
    except OSError:
        return False


def _read_json(path: Path, kind: dict[Any, Any]) -> dict[str, Any]:
    content = _parse_json(path, LARGEST[path.name], is_printed=True)
    if not isinstance(content, dict):
        raise UserError(f"{path} is damaged: it is not a JSON object")
    if wrong := fault(content, kind):
        raise UserError(f"{path} is damaged: {wrong}")
    return content


def _parse_json(path: Path, largest: int, is_printed: bool = False) -> Any:
    try:
        return parse_json(read_regular(path, largest), is_printed)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise UserError(f"{path} is damaged: {error}") from error


def best_checkpoint(folder: Path) -> Path:
    """The path of checkpoints/best.ckpt, or of last.ckpt if the run has not been validated.

    Raises:
        UserError: there is no checkpoint, or best.ckpt has been deleted.
    """
    for name in (BEST, LAST):
        if (folder / "checkpoints" / name).exists():
            completed = read_run(folder).get("status") == "completed"
            if name == LAST and completed and read_config(folder).monitor:
                raise UserError(f"{folder} has no checkpoints/best.ckpt: it has been deleted")
            return folder / "checkpoints" / name
    raise UserError(f"{folder} has no checkpoint: the run did not finish an epoch")


def read_checkpoint(path: Path, in_memory: bool = False) -> dict[str, Any]:
    """Load a checkpoint. Only tensors and plain values are unpickled. The file is memory-mapped, so
    unused tensors take no memory.

    in_memory: load all of it instead, for a file that will be replaced.

    Raises:
        UserError: the file is missing or damaged, holds other objects, or has an unknown format.
    """
    import torch  # late: most of a run folder is read without it

    from rnnexp.runs.folder.tensors import wrong_tensor

    try:
        open_regular(path, LARGEST["checkpoint"]).close()
        checkpoint = torch.load(path, map_location="cpu", weights_only=True, mmap=not in_memory)
    except FileNotFoundError as error:
        raise UserError(f"there is no checkpoint {path}") from error
    except Exception as error:  # torch raises many types
        raise UserError(
            f"{path} is not a checkpoint of tensors and plain values, so it is not loaded"
        ) from error
    kind = checkpoint.get("rnnexp_format") if isinstance(checkpoint, dict) else None
    if type(kind) is not int or kind not in CHECKPOINT_FORMATS:
        raise UserError(f"{path} is not a checkpoint that this version of rnnexp reads")
    if wrong := wrong_tensor(checkpoint):
        raise UserError(f"{path} is damaged: {wrong}")
    return checkpoint


def read_state_dict(path: Path) -> dict[str, torch.Tensor]:
    """The weights of a checkpoint.

    Raises:
        UserError: as for `read_checkpoint`, or the checkpoint has no weights.
    """
    import torch

    state = read_checkpoint(path).get("state_dict")
    if not isinstance(state, dict) or not all(
        isinstance(name, str) and isinstance(one, torch.Tensor) for name, one in state.items()
    ):
        raise UserError(f"{path} is damaged: it holds no weights")
    return state


def read_config_hash(folder: Path) -> str:
    """SHA-256 of the current config.yaml; run.json has the hash of the original."""
    return hash_file(folder / "config.yaml")
