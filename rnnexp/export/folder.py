"""Writes DIR/export, which is no part of the run's record."""

from __future__ import annotations

import json
import os
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from rnnexp.errors import UserError
from rnnexp.export.check import Comparison, compare
from rnnexp.export.contents import METADATA, write_contents
from rnnexp.export.inputs import batches
from rnnexp.export.networks import exported, to_onnx
from rnnexp.runs.loading import LoadedRun

EXPORT, MODEL = "export", "model.onnx"


@dataclass(frozen=True)
class Written:
    """folder: of the export. size: bytes of model.onnx. seconds: of everything. lacking: what
    predict.py cannot do, as a clause."""

    folder: Path
    size: int
    seconds: float
    comparison: Comparison
    lacking: str | None


def write_export(run: LoadedRun) -> Written:
    """Export the network of a run. Nothing is left behind if this fails, and an earlier export
    stays until then.

    Raises:
        UserError: the network cannot be exported, or there is another folder in its place.
        RunFailed: the exported network differs from the one in torch.
    """
    begin, place = time.perf_counter(), run.folder / EXPORT
    _check_place(place)
    known = exported(run.network, run.spec)
    model = to_onnx(known)
    beside = run.folder / f".{EXPORT}.{os.getpid()}"
    try:
        beside.mkdir()
        (beside / MODEL).write_bytes(model.SerializeToString())
        size = (beside / MODEL).stat().st_size
        comparison = compare(beside / MODEL, run.network, known.kind, batches(run, known))
        lacking = write_contents(beside, run, known)
        _move(beside, place)
    except OSError as error:
        raise UserError(f"{place} cannot be written: {error.strerror}") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return Written(place, size, time.perf_counter() - begin, comparison, lacking)


def _check_place(place: Path) -> None:
    """Check that there is nothing in place of the export but an earlier one."""
    if not place.exists() and not place.is_symlink():
        return
    with suppress(OSError, ValueError):
        content = json.loads((place / METADATA).read_text("utf-8"))
        if not place.is_symlink() and isinstance(content, dict) and "rnnexp" in content:
            return
    raise UserError(f"{place} is not an earlier export: rename it")


def _move(beside: Path, place: Path) -> None:
    """Put a folder in place of an earlier one."""
    before = beside.with_name(f"{beside.name}.before")
    if place.exists():
        place.rename(before)
    try:
        beside.rename(place)
    except OSError:
        if before.exists():
            before.rename(place)
        raise
    shutil.rmtree(before, ignore_errors=True)
