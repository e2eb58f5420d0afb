"""Writes run folders. `rnnexp.runs.folder.reading` reads them.

config.yaml      the resolved config with its seed; every `auto` is replaced by a value
run.json         status, argv, the same config, versions, git state, machine, data, spec, times,
                 memory, parameters
vocabulary.json, ngrams.ckpt, scaling.json: what a task keeps of the training data to prepare new
                 data in the same way (`DataModule.kept`)
metrics.json     flat; "test/..." are metrics of the best checkpoint; only in completed runs
history.csv      one row per epoch
gradient_flow.csv, with the callback of this name: norm of the gradient by hidden state and epoch
predictions.csv  target and prediction of every test window or document
digest.json      hashes of weights, predictions and batch order; every training loss exactly
checkpoints/     best.ckpt, last.ckpt
figures/         PNG
tensorboard/, mlflow/, wandb/: what the logger writes
log.txt          log messages and tracebacks
report.html      only after `rnnexp report`

A completed run's `files` in run.json has the SHA-256 of all other files but log.txt, the figures,
what the logger writes and what is made of the run later, so that a file that was changed later is
told from a different result.
"""

import errno
import hashlib
import io
import logging
import os
import shlex
import socket
import stat
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from rnnexp.callbacks.checkpoint_names import NEXT, PREVIOUS
from rnnexp.errors import CannotRerun, Pruned, RunFailed, UserError
from rnnexp.files import (
    csv_text,
    json_text,
    remove_unfinished,
    write_bytes,
    write_json,
    write_text,
)
from rnnexp.printing import PrintableFormatter
from rnnexp.process.interruption import Interruption, interruptible
from rnnexp.process.locks import locked
from rnnexp.runs.folder.parsing import parse_json
from rnnexp.runs.folder.provenance import now
from rnnexp.runs.folder.reading import CHECKPOINT_FORMATS, LOCK, REPORT, hash_file, read_run
from rnnexp.runs.folder.schema import RUN, fault

# In the folder.
NOT_HASHED = ("run.json", "log.txt", "figures", "tensorboard", "mlflow", "wandb", LOCK, REPORT)
# Errors of the disk, not of the program that writes to it.
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EFBIG, errno.ESTALE)


class RunRecord:
    """The record of one run while it is running.

    run: the content of run.json. earlier: what it was, of a run that goes on. waits: whether
    config.yaml and run.json stay as they are, until `goes_on`.
    """

    def __init__(
        self, folder: Path, argv: list[str], earlier: dict[str, Any] | None = None
    ) -> None:
        self.folder = folder
        self.interruption = Interruption()
        self.run: dict[str, Any] = {"argv": argv, "started": now(), **(earlier or {})}
        self.run |= {"status": "running", "pid": os.getpid(), "host": socket.gethostname()}
        self.waits = earlier is not None

    def save(self, **facts: Any) -> None:
        """Add facts to run.json."""
        self.run |= facts
        if not self.waits:
            write_json(self.folder / "run.json", self.run)

    def goes_on(self, **facts: Any) -> None:
        """Write from now on, with these facts of how the run goes on. What was being written when
        the run was killed is removed."""
        self.waits = False
        remove_unfinished(self.folder)
        (self.folder / "checkpoints" / NEXT).unlink(missing_ok=True)
        for left in ("finished", "error", "pruned_after"):
            self.run.pop(left, None)
        self.save(resumed=[*self.run.get("resumed", []), {"time": now(), **facts}])

    def asked(self, config: DictConfig) -> None:
        """Write the requested config, with every `auto`, in case the run ends before `config`."""
        try:
            self.run |= self._config_written(config)
        except OmegaConfBaseException:  # `resolve` will report it
            return

    def config(self, config: DictConfig) -> None:
        """Write the resolved config as config.yaml, and the same with its hash to run.json."""
        if not self.waits:
            self.save(**self._config_written(config))

    def _config_written(self, config: DictConfig) -> dict[str, Any]:
        """Write config.yaml. Returns what run.json says of it."""
        text = OmegaConf.to_yaml(config, resolve=True)
        write_text(self.folder / "config.yaml", text)
        return {
            "config": as_json(OmegaConf.to_container(config, resolve=True)),
            "config_sha256": hashlib.sha256(text.encode()).hexdigest(),
        }

    def kept(self, kept: dict[str, Any]) -> None:
        """Write the content of `DataModule.kept`, one file per name, and the hashes to run.json."""
        if self.waits:
            return
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

    def completed(self, **facts: Any) -> None:
        """Add the last facts to run.json, and the hashes of all other files of the record."""
        (self.folder / "checkpoints" / PREVIOUS).unlink(missing_ok=True)
        paths = [path for path in sorted(self.folder.rglob("*")) if path.is_file()]
        names = [path.relative_to(self.folder) for path in paths]
        hashes = {
            name.as_posix(): hash_file(self.folder / name)
            for name in names
            if name.parts[0] not in NOT_HASHED
        }
        self.save(status="completed", finished=now(), **facts, files=hashes)

    def ended(self, status: str, **facts: Any) -> None:
        """Add the status of a run without a result to run.json, if the disk still takes it."""
        if self.waits or self.run["status"] == "completed":  # nothing has been changed
            return
        with suppress(OSError):
            self.save(status=status, finished=now(), **facts)


def as_json(config: Any) -> Any:
    """A plain config as run.json holds it; None if it would be read as another one, as with an
    infinite value, or not at all."""
    try:
        read = parse_json(json_text(config).encode(), is_printed=True)
    except (TypeError, ValueError):
        return None
    return config if read == config and fault({"config": config}, RUN) is None else None


def make_folder(folder: Path) -> None:
    """Make a folder for a run or a sweep, if there is none.

    Raises:
        UserError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(folder, error) from error


def cannot_write(folder: Path, error: OSError) -> UserError:
    """The sentence for a run or a sweep whose folder cannot be written to."""
    return UserError(
        f"the run cannot be written to {folder}: {error.strerror}; choose another place with "
        "paths.outputs=FOLDER or the environment variable RNNEXP_OUTPUTS"
    )


@contextmanager
def recording(
    folder: Path, argv: list[str], config: DictConfig, **facts: Any
) -> Iterator[RunRecord]:
    """Record one run in a new folder. The way in which the block ends sets the run's status.

    config: as it was asked for. facts: of run.json, known before the run.

    Raises:
        UserError: the folder already holds a run, or cannot be made.
        RunFailed: the disk is full, or the folder can no longer be written to.
        KeyboardInterrupt: a signal has interrupted the run.
    """
    make_folder(folder)
    with locked(folder / LOCK) as own:
        if not own or (folder / "run.json").exists():
            raise UserError(
                f"{folder} already holds a run, which is never overwritten: choose another folder"
            )
        record = RunRecord(folder, argv)
        try:
            record.asked(config)
            record.save(**facts)
        except OSError as error:
            _remove_beginning(folder)
            raise cannot_write(folder, error) from error
        with _ended_as_it_ends(record, argv):
            yield record


@contextmanager
def recording_again(folder: Path, argv: list[str]) -> Iterator[RunRecord]:
    """Go on with the record of a run that has not been completed. Nothing is written before
    `RunRecord.goes_on`.

    Raises:
        UserError: the folder holds no run, a completed one, one that is running, or links.
        RunFailed: the disk is full, or the folder can no longer be written to.
        KeyboardInterrupt: a signal has interrupted the run.
    """
    check_own_files(folder)
    with locked(folder / LOCK) as own:
        if not own:
            raise UserError(f"{folder} is in use: another process is running it")
        earlier = read_run(folder) if (folder / "run.json").exists() else {}
        with _ended_as_it_ends(record := RunRecord(folder, argv, earlier), argv):
            yield record


def check_own_files(folder: Path) -> None:
    """Check that what is written into a folder with a run stays there.

    Raises:
        UserError: something in it is a link, another name of a file elsewhere, or no file.
    """
    for path in folder.rglob("*"):
        found = path.lstat()
        if stat.S_ISDIR(found.st_mode) or (stat.S_ISREG(found.st_mode) and found.st_nlink == 1):
            continue
        raise UserError(
            f"{path} is a link or no regular file: a run goes on in a folder of its own files "
            "alone; make a copy of the folder without links (cp -rL), and go on there"
        )


@contextmanager
def _ended_as_it_ends(record: RunRecord, argv: list[str]) -> Iterator[None]:
    """The way in which the block ends sets the status of its run."""
    folder = record.folder
    with interruptible() as record.interruption, _logging(folder / "log.txt") as log:
        log(f"started: {shlex.join(argv)}", logging.INFO)
        try:
            yield
        except (KeyboardInterrupt, SystemExit) as stop:
            # Lightning turns Ctrl-C into SystemExit.
            record.ended("interrupted")
            raise KeyboardInterrupt from stop
        except Pruned as stop:
            log(str(stop), logging.INFO)
            record.ended("pruned", pruned_after=stop.epochs)
            raise
        except (UserError, CannotRerun, RunFailed) as error:
            log(str(error))
            record.ended("failed", error=str(error))
            raise
        except BaseException as error:
            log(traceback.format_exc())
            if isinstance(error, OSError) and _is_of_the_disk(error, folder):
                sentence = f"the run cannot be written to {folder}: {error.strerror}"
                record.ended("failed", error=sentence)
                raise RunFailed(sentence) from error
            record.ended("failed", error=f"{type(error).__name__}: {error}")
            raise
        finally:
            how = "nothing was changed" if record.waits else record.run["status"]
            log(f"ended: {how}", logging.INFO)


def _remove_beginning(folder: Path) -> None:
    """Remove what a run has written before its run.json, and the folder if nothing else is in it.
    The lock file is removed by its own block if the folder stays."""
    for path in (folder / "config.yaml", folder / LOCK):
        with suppress(OSError):
            path.unlink()
    with suppress(OSError):
        folder.rmdir()


def _is_of_the_disk(error: OSError, folder: Path) -> bool:
    inside = isinstance(error.filename, str) and Path(error.filename).is_relative_to(folder)
    return error.errno in DISK_ERRORS or inside


class _LogFile(logging.FileHandler):
    """A log file that a full or read-only disk does not fail: the run itself finds out."""

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(OSError):  # it is opened at the first message
            super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:
        pass


@contextmanager
def _logging(path: Path) -> Iterator[Callable[..., None]]:
    """Write all log messages to a file during the block. Yields a function that writes a text with
    a level to this file alone; the command prints to the console."""
    handler = _LogFile(path, encoding="utf-8", delay=True)
    handler.setFormatter(PrintableFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)

    def log(text: str, level: int = logging.ERROR) -> None:
        handler.handle(logging.LogRecord("rnnexp", level, "", 0, text, None, None))

    try:
        yield log
    finally:
        root.removeHandler(handler)
        with suppress(OSError):
            handler.close()
