"""Writes run folders. `rnnexp.runs.folder.reading` reads them.

config.yaml      the resolved config with its seed; every `auto` is replaced by a value
run.json         status, argv, versions, git state, machine, data, spec, times, memory, parameters
vocabulary.json, ngrams.ckpt, scaling.json: what a task keeps of the training data to prepare new
                 data in the same way (`DataModule.kept`)
metrics.json     flat; "test/..." are metrics of the best checkpoint; only in completed runs
history.csv      one row per epoch
gradient_flow.csv, with the callback of this name: norm of the gradient by hidden state and epoch
predictions.csv  target and prediction of every test window or document
digest.json      hashes of weights, predictions and batch order; every training loss exactly
checkpoints/     best.ckpt, last.ckpt
figures/         PNG
tensorboard/     event files
log.txt          log messages and tracebacks
"""

import hashlib
import io
import logging
import os
import shlex
import socket
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from rnnexp.errors import RunFailed, UserError
from rnnexp.files import csv_text, write_bytes, write_json, write_text
from rnnexp.printing import PrintableFormatter
from rnnexp.runs.folder.provenance import now
from rnnexp.runs.folder.reading import CHECKPOINT_FORMATS, hash_file


class RunRecord:
    """The record of one run while it is running."""

    def __init__(self, folder: Path, argv: list[str]) -> None:
        self.folder = folder
        self.run: dict[str, Any] = {
            "status": "running",
            "argv": argv,
            "started": now(),
            "pid": os.getpid(),
            "host": socket.gethostname(),
        }

    def save(self, **facts: Any) -> None:
        """Add facts to run.json."""
        self.run |= facts
        write_json(self.folder / "run.json", self.run)

    def asked(self, config: DictConfig) -> None:
        """Write the requested config, with every `auto`, in case the run ends before `config`."""
        try:
            text = OmegaConf.to_yaml(config, resolve=True)
        except OmegaConfBaseException:  # `resolve` will report it
            return
        write_text(self.folder / "config.yaml", text)

    def config(self, config: DictConfig) -> None:
        """Write the resolved config as config.yaml, and its hash to run.json."""
        text = OmegaConf.to_yaml(config, resolve=True)
        write_text(self.folder / "config.yaml", text)
        self.save(config_sha256=hashlib.sha256(text.encode()).hexdigest())

    def kept(self, kept: dict[str, Any]) -> None:
        """Write the content of `DataModule.kept`, one file per name, and the hashes to run.json."""
        hashes = {}
        for name, content in kept.items():
            if name.endswith(".json"):
                write_json(self.folder / name, content)
            else:
                buffer = io.BytesIO()
                torch.save({"rnnexp_format": CHECKPOINT_FORMATS[-1], **content}, buffer)
                write_bytes(self.folder / name, buffer.getvalue())
            hashes[name] = hash_file(self.folder / name)
        self.save(kept=hashes)

    def metrics(self, metrics: dict[str, float]) -> None:
        write_json(self.folder / "metrics.json", metrics)

    def history(self, rows: list[dict[str, float]]) -> None:
        write_text(self.folder / "history.csv", pd.DataFrame(rows).to_csv(index=False))

    def predictions(self, table: pd.DataFrame) -> None:
        """Write the predictions, exactly."""
        write_text(self.folder / "predictions.csv", csv_text(table))

    def digest(self, digest: dict[str, Any]) -> None:
        write_json(self.folder / "digest.json", digest)


def make_folder(folder: Path) -> None:
    """Make a folder for a run or a sweep, if there is none.

    Raises:
        UserError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _cannot_write(folder, error) from error


def _cannot_write(folder: Path, error: OSError) -> UserError:
    return UserError(
        f"the run cannot be written to {folder}: {error.strerror}; choose another place with "
        "paths.outputs=FOLDER or the environment variable RNNEXP_OUTPUTS"
    )


@contextmanager
def recording(folder: Path, argv: list[str]) -> Iterator[RunRecord]:
    """Record one run in a new folder. The way in which the block ends sets the run's status.

    Raises:
        UserError: the folder already holds a run, or cannot be made.
    """
    make_folder(folder)
    try:
        (folder / "run.json").touch(exist_ok=False)  # only one of two launches succeeds
    except FileExistsError as error:
        raise UserError(
            f"{folder} already holds a run, which is never overwritten: choose another folder"
        ) from error
    except OSError as error:
        raise _cannot_write(folder, error) from error
    record = RunRecord(folder, argv)
    record.save()
    handler = logging.FileHandler(folder / "log.txt", encoding="utf-8")
    handler.setFormatter(PrintableFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    _log_to(handler, f"started: {shlex.join(argv)}", logging.INFO)
    try:
        yield record
    except (KeyboardInterrupt, SystemExit) as stop:
        # Lightning turns Ctrl-C into SystemExit.
        record.save(status="interrupted", finished=now())
        raise KeyboardInterrupt from stop
    except (UserError, RunFailed) as error:
        _log_to(handler, str(error))
        record.save(status="failed", finished=now(), error=str(error))
        raise
    except BaseException as error:
        _log_to(handler, traceback.format_exc())
        record.save(status="failed", finished=now(), error=f"{type(error).__name__}: {error}")
        raise
    finally:
        _log_to(handler, f"ended: {record.run['status']}", logging.INFO)
        root.removeHandler(handler)
        handler.close()


def _log_to(handler: logging.Handler, text: str, level: int = logging.ERROR) -> None:
    """Write to the log of the run only; the command prints to the console."""
    handler.handle(logging.LogRecord("rnnexp", level, "", 0, text, None, None))
