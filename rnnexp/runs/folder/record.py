"""What a run folder holds: written here, read in `rnnexp.runs.folder.reading`, nowhere else.

config.yaml      the resolved config, seed included; nothing in it says `auto`
run.json         status, argv, versions, git state, machine, data, spec, times, memory, parameters
vocabulary.json, ngrams.ckpt, scaling.json: what has to be kept of the training data so that new
                 data can be read as they were (`DataModule.kept`); each task has its own
metrics.json     flat; "test/..." are those of the best checkpoint; absent unless completed
history.csv      one row an epoch
gradient_flow.csv, with the callback of this name: norm of the gradient by hidden state and epoch
predictions.csv  the target and the prediction of every test window or document
digest.json      hashes of weights, predictions and batch order; every training loss exactly
checkpoints/     best.ckpt, last.ckpt
figures/         PNG
tensorboard/     event files
log.txt          what was logged, tracebacks included
"""

import hashlib
import io
import logging
import os
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
from rnnexp.files import write_bytes, write_json, write_text
from rnnexp.runs.folder.provenance import now
from rnnexp.runs.folder.reading import CHECKPOINT_FORMATS, hash_file


class RunRecord:
    """The record of one run that is being made."""

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
        """config.yaml as it was asked for: of a run that comes no further, `auto` still stands."""
        try:
            text = OmegaConf.to_yaml(config, resolve=True)
        except OmegaConfBaseException:  # the run is about to say what is wrong
            return
        write_text(self.folder / "config.yaml", text)

    def config(self, config: DictConfig) -> None:
        """config.yaml, resolved, as data that can be read back; its hash stands in run.json."""
        text = OmegaConf.to_yaml(config, resolve=True)
        write_text(self.folder / "config.yaml", text)
        self.save(config_sha256=hashlib.sha256(text.encode()).hexdigest())

    def kept(self, kept: dict[str, Any]) -> None:
        """What `DataModule.kept` gives, a file each; their hashes stand in run.json."""
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
        """Floats with nine digits: a float32 can be read back exactly."""
        write_text(self.folder / "predictions.csv", table.to_csv(index=False, float_format="%.9g"))

    def digest(self, digest: dict[str, Any]) -> None:
        write_json(self.folder / "digest.json", digest)


@contextmanager
def recording(folder: Path, argv: list[str]) -> Iterator[RunRecord]:
    """Record one run in a new folder; how the block ends decides the run's status.

    Raises:
        UserError: the folder already holds a run.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        (folder / "run.json").touch(exist_ok=False)  # of two launches at once, one gets the folder
    except FileExistsError as error:
        raise UserError(
            f"{folder} already holds a run: a run folder is never written twice"
        ) from error
    record = RunRecord(folder, argv)
    record.save()
    handler = logging.FileHandler(folder / "log.txt", encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield record
    except (KeyboardInterrupt, SystemExit) as stop:
        # Lightning turns Ctrl-C into SystemExit.
        record.save(status="interrupted", finished=now())
        raise KeyboardInterrupt from stop
    except BrokenPipeError:  # nobody reads what is printed, as after `| head`
        record.save(status="interrupted", finished=now())
        raise
    except (UserError, RunFailed) as error:
        _log_to(handler, str(error))
        record.save(status="failed", finished=now(), error=str(error))
        raise
    except BaseException as error:
        _log_to(handler, traceback.format_exc())
        record.save(status="failed", finished=now(), error=f"{type(error).__name__}: {error}")
        raise
    finally:
        root.removeHandler(handler)
        handler.close()


def _log_to(handler: logging.Handler, text: str) -> None:
    """Into the run's log alone; the console is the command's."""
    handler.handle(logging.LogRecord("rnnexp", logging.ERROR, "", 0, text, None, None))
