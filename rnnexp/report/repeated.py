"""Whether a run was repeated, and with what result."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rnnexp.errors import CannotRerun, UserError
from rnnexp.runs.comparison.repetition import (
    environment_differences,
    result_differences,
    verdict,
)
from rnnexp.runs.folder.digest import edited_files, read_result
from rnnexp.runs.folder.reading import read_run, status_now

MOST = 500  # folders that are looked into


@dataclass(frozen=True)
class Repetition:
    """The last rerun of a run. differences: a sentence each."""

    folder: Path
    started: str
    verdict: str
    is_identical: bool
    differences: list[str]


def repetition(folder: Path, run: dict[str, Any]) -> Repetition | None:
    """The verdict on the last rerun of a run that is beside it, or where `rnnexp rerun` puts it.
    None if there is none."""
    name = Path(str((run.get("config") or {}).get("name") or folder.parent.name)).name
    outputs = Path(os.environ.get("RNNEXP_OUTPUTS") or "outputs") / name
    found = sorted(_reruns(folder, [folder.parent, outputs]), key=lambda one: one[0])
    if not found:
        return None
    started, again, repeated = found[-1]
    try:
        environment = environment_differences(folder, repeated)
        edited = edited_files(folder)
        results = result_differences(read_result(folder), read_result(again))
    except (CannotRerun, UserError, OSError) as error:
        return Repetition(again, started, f"cannot be compared: {error}", False, [])
    differences = [f"{what}: {then} then, {now} now" for what, (then, now) in environment.items()]
    said = verdict(environment, results, edited)
    return Repetition(again, started, said, not results and not edited, [*differences, *results])


def _reruns(folder: Path, places: list[Path]) -> Iterator[tuple[str, Path, dict[str, Any]]]:
    """When, where and what of each completed rerun in these folders."""
    own = os.path.realpath(folder)
    for place in dict.fromkeys(os.path.realpath(place) for place in places):
        try:
            inside = sorted(one for one in Path(place).iterdir() if (one / "run.json").is_file())
        except OSError:
            continue
        for one in inside[-MOST:]:
            if os.path.realpath(one) == own:
                continue
            try:
                run = read_run(one)
            except UserError:
                continue
            origin = run.get("rerun_of")
            if origin and os.path.realpath(origin) == own and status_now(one, run) == "completed":
                yield str(run.get("started", "")), one, run
