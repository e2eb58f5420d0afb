"""What a run folder holds: written here, read here, nowhere else.

config.yaml      the resolved config, seed included; nothing in it says `auto`
run.json         status, argv, versions, git state, machine, data, spec, times, memory, parameters
vocabulary.json  the tokens in the order of their numbers, where the data have tokens
ngrams.ckpt      what n-grams say of the class, where the data have them; tensors and plain values
metrics.json     flat; "test/..." are those of the best checkpoint; absent unless completed
history.csv      one row an epoch
gradient_flow.csv, with the callback of this name: norm of the gradient by hidden state and epoch
predictions.csv  the target and the prediction of every test window
digest.json      hashes of weights, predictions and batch order; every training loss exactly
checkpoints/     best.ckpt, last.ckpt
figures/         PNG
tensorboard/     event files
log.txt          what was logged, tracebacks included
"""

import hashlib
import io
import json
import logging
import os
import platform
import socket
import subprocess
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from rnnexp import __version__
from rnnexp.config import recorded
from rnnexp.data.vocabulary import Vocabulary
from rnnexp.errors import CannotRerun, RunFailed, UserError
from rnnexp.files import write_bytes, write_json, write_text
from rnnexp.targets import added_packages

PACKAGES = (
    "torch",
    "pytorch-lightning",
    "hydra-core",
    "omegaconf",
    "numpy",
    "pandas",
    "scikit-learn",
    "scipy",
    "torchmetrics",
    "tensorboard",
    "matplotlib",
    "rich",
    "pooch",
)
CHECKPOINT_FORMATS = (1,)
STATUS = Path("/proc/self/status")  # what a process is and needs, on Linux
NOT_ITS_WEIGHTS = (
    "{} has not the weights of the network in config.yaml: one of the two has been changed since"
)
# What is read of run.json by key, where it is there.
KINDS: dict[str, type] = {
    "fingerprints": dict,
    "versions": dict,
    "code": dict,
    "spec": dict,
    "seconds": dict,
    "headline": list,
}


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
        """config.yaml as it was asked for, so that a run that comes no further can be told."""
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

    def vocabulary(self, tokens: list[str] | None) -> None:
        if tokens is not None:
            write_json(self.folder / "vocabulary.json", tokens)

    def ngram_table(self, table: dict[str, Any] | None) -> None:
        if table is not None:
            content = io.BytesIO()
            torch.save({"rnnexp_format": CHECKPOINT_FORMATS[-1], **table}, content)
            write_bytes(self.folder / "ngrams.ckpt", content.getvalue())

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


# Reading a run folder ---------------------------------------------------------------------------


def read_run(folder: Path) -> dict[str, Any]:
    """run.json of a run folder.

    Raises:
        UserError: the folder is missing or is not a run folder, or run.json is damaged.
    """
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}")
    if not (folder / "run.json").exists():
        raise UserError(f"{folder} is not a run folder: it has no run.json")
    run = _read_json(folder / "run.json")
    for key, kind in KINDS.items():
        if not isinstance(run.get(key, kind()), kind):
            raise UserError(f"{folder / 'run.json'} is damaged: {key} is {run[key]!r}")
    if not isinstance(run.get("seconds", {}).get("train", 0.0), (int, float)):
        raise UserError(f"{folder / 'run.json'} is damaged: the seconds are no numbers")
    return run


def read_config(folder: Path) -> DictConfig:
    """config.yaml of a run folder.

    Raises:
        UserError: it is missing or is not a config.
    """
    path = folder / "config.yaml"
    try:
        config = OmegaConf.load(path)
    except FileNotFoundError as error:
        raise UserError(f"{folder} has no config.yaml: the run cannot be built again") from error
    except Exception as error:  # YAML's and OmegaConf's errors have no common base of use
        line = str(error).splitlines()[0]
        raise UserError(f"{path} cannot be read as a config ({line})") from error
    if not isinstance(config, DictConfig):
        raise UserError(f"{path} does not hold a config")
    try:
        return recorded(config)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def read_metrics(folder: Path) -> dict[str, float]:
    """metrics.json of a completed run.

    Raises:
        UserError: it is missing or damaged.
    """
    metrics = _read_json(folder / "metrics.json")
    for name, value in metrics.items():
        if not isinstance(value, (int, float)):
            raise UserError(f"{folder / 'metrics.json'} is damaged: {name} is {value!r}")
    return metrics


def read_digest(folder: Path) -> dict[str, Any]:
    """digest.json of a completed run.

    Raises:
        UserError: it is missing or damaged.
    """
    return _read_json(folder / "digest.json")


def read_predictions(folder: Path) -> pd.DataFrame:
    """predictions.csv of a completed run.

    Raises:
        UserError: it is missing or damaged.
    """
    path = folder / "predictions.csv"
    try:
        return pd.read_csv(path, keep_default_na=False)
    except FileNotFoundError as error:
        raise UserError(f"{folder} has no predictions.csv: the run has not been tested") from error
    except ValueError as error:  # pandas' own errors and those of the encoding are of this kind
        raise UserError(f"{path} is damaged: it is not a table") from error


def read_vocabulary(folder: Path) -> list[str] | None:
    """vocabulary.json; None where the run folder has none.

    Raises:
        UserError: it is damaged, or it is not the one that run.json knows.
    """
    path = folder / "vocabulary.json"
    if not path.exists():
        return None
    tokens, run = _parse_json(path), read_run(folder)
    if not isinstance(tokens, list) or not all(isinstance(token, str) for token in tokens):
        raise UserError(f"{path} is damaged: it is not a list of words")
    size = run.get("spec", {}).get("vocabulary")
    fingerprint = run.get("fingerprints", {}).get("vocabulary")
    if not len(tokens) == len(set(tokens)) == size or Vocabulary(tokens).fingerprint != fingerprint:
        raise UserError(f"{path} is not the vocabulary of this run: it has been changed since")
    return tokens


def read_ngram_table(folder: Path) -> dict[str, Any] | None:
    """ngrams.ckpt; None where the run folder has none.

    Raises:
        UserError: it is damaged, or it holds other things than tensors and plain values.
    """
    path = folder / "ngrams.ckpt"
    return read_checkpoint(path) if path.exists() else None


def _read_json(path: Path) -> dict[str, Any]:
    content = _parse_json(path)
    if not isinstance(content, dict):
        raise UserError(f"{path} is damaged: it does not hold names and values")
    return content


def _parse_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise UserError(f"{path} is damaged: it is not valid JSON ({error})") from error


def best_checkpoint(folder: Path) -> Path:
    """checkpoints/best.ckpt, or last.ckpt where nothing was validated, as yet or at all.

    Raises:
        UserError: there is none, or best.ckpt has been taken away.
    """
    for name in ("best.ckpt", "last.ckpt"):
        if (folder / "checkpoints" / name).exists():
            completed = read_run(folder).get("status") == "completed"
            if name == "last.ckpt" and completed and read_config(folder).monitor:
                raise UserError(f"{folder} has no checkpoints/best.ckpt any more")
            return folder / "checkpoints" / name
    raise UserError(f"{folder} has no checkpoint: the run did not finish an epoch")


def read_checkpoint(path: Path) -> dict[str, Any]:
    """A checkpoint, loaded without unpickling anything but tensors and plain values. Of its tensors
    only those that are used come into memory.

    Raises:
        UserError: it is damaged, holds other objects, or is of a format unknown here.
    """
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except FileNotFoundError as error:
        raise UserError(f"there is no checkpoint {path}") from error
    except Exception as error:  # torch raises many kinds; the sentence is the same
        raise UserError(
            f"{path} is not a checkpoint of tensors and plain values, so it is not loaded"
        ) from error
    if (
        not isinstance(checkpoint, dict)
        or checkpoint.get("rnnexp_format") not in CHECKPOINT_FORMATS
    ):
        raise UserError(f"{path} is not a checkpoint that this version of rnnexp reads")
    return checkpoint


def read_state_dict(path: Path) -> dict[str, torch.Tensor]:
    """The weights of a checkpoint.

    Raises:
        UserError: as `read_checkpoint`, or it has none.
    """
    state = read_checkpoint(path).get("state_dict")
    if not isinstance(state, dict) or not all(
        isinstance(one, torch.Tensor) and one.layout is torch.strided and not one.is_meta
        for one in state.values()
    ):
        raise UserError(f"{path} is damaged: it holds no weights")
    return state


@dataclass(frozen=True)
class Result:
    """What a repetition must match to the bit."""

    batch_order: str
    losses: list[str]  # hexadecimal, one a training step
    epoch_ends: list[int]  # the number of training steps after each epoch
    weights: dict[str, dict[str, str]]  # last, best: tensor -> hash, as the checkpoints are now
    predictions: dict[str, str]
    predictions_table: str  # sha256 of predictions.csv as it is now
    metrics: dict[str, float]


def read_result(folder: Path) -> Result:
    """The result of a completed run.

    Raises:
        CannotRerun: a file of it is missing or cannot be read.
    """
    try:
        digest = read_digest(folder)
        history = pd.read_csv(folder / "history.csv")
        for loss in digest["losses"]:
            float.fromhex(loss)
        table = (folder / "predictions.csv").read_bytes()
        return Result(
            batch_order=digest["batch_order"],
            losses=digest["losses"],
            epoch_ends=history["step"].tolist(),
            weights={
                "last": _hash_checkpoint(folder / "checkpoints" / "last.ckpt"),
                "best": _hash_checkpoint(best_checkpoint(folder)),
            },
            predictions=digest["predictions"],
            predictions_table=hashlib.sha256(table).hexdigest(),
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


def read_config_hash(folder: Path) -> str:
    """Of config.yaml as it is now; run.json has what it was."""
    return hashlib.sha256((folder / "config.yaml").read_bytes()).hexdigest()


# Facts about a run ------------------------------------------------------------------------------


def now() -> str:
    return datetime.now().astimezone().isoformat(timespec="milliseconds")


def versions() -> dict[str, str]:
    """Python's, rnnexp's and every numerical package's version."""
    found = {"rnnexp": __version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def code_state() -> dict[str, Any]:
    """The code that runs: a hash over the package's files, and over those of each package that is
    allowed besides; in a checkout where git answers its commit, and whether there are changes."""
    package = Path(__file__).parent
    state: dict[str, Any] = {"sha256": _hash_code(package)}
    if added := {name: _hash_package(name) for name in added_packages()}:
        state["allowed"] = added
    if (package.parent / ".git").exists():
        commit = _git(package.parent, "rev-parse", "HEAD")
        changes = _git(package.parent, "status", "--porcelain")
        if commit and changes is not None:
            state |= {"commit": commit, "dirty": bool(changes)}
    return state


def _hash_package(name: str) -> str | None:
    """Of a package or module that --allow names; None where it cannot be found."""
    try:
        spec = find_spec(name)
    except (ImportError, ValueError):
        return None
    if spec is None or spec.origin is None:
        return None
    origin = Path(spec.origin)
    return _hash_code(origin.parent if spec.submodule_search_locations else origin)


def _hash_code(place: Path) -> str:
    """sha256 over the Python files of a folder, or over one file."""
    folder, files = (place, place.rglob("*.py")) if place.is_dir() else (place.parent, [place])
    content = hashlib.sha256()
    for path in sorted(files):
        content.update(path.relative_to(folder).as_posix().encode())
        content.update(path.read_bytes())
    return content.hexdigest()


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def device_name(accelerator: str) -> str:
    """The name of the GPU, or of the processor, that a run is on."""
    if accelerator in ("gpu", "cuda") and torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return cpu_name()


def cpu_name() -> str:
    """The processor's model name where the system tells it, else its architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    for line in lines:
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def peak_memory() -> int | None:
    """The most bytes that this process has had in memory so far, Python and torch included, a
    GPU's not; None where the system does not tell."""
    try:
        lines = STATUS.read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        return None
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM")), None)


def hash_tensors(state: dict[str, torch.Tensor]) -> dict[str, str]:
    """sha256 over shape, type and bytes of every tensor of a state_dict."""
    hashes = {}
    for name, tensor in state.items():
        content = hashlib.sha256(f"{tuple(tensor.shape)} {tensor.dtype} ".encode())
        numbers = tensor.detach().cpu().contiguous().flatten()
        content.update(numbers.view(torch.uint8).numpy().data)  # numpy has no bfloat16
        hashes[name] = content.hexdigest()
    return hashes
