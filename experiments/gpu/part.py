"""A part of the check: a process of its own with a time limit, whose failure stops nothing else."""

import json
import multiprocessing
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from experiments import study

Row = dict[str, Any]
Measure = Callable[[bool, float], Iterator[Row]]


@dataclass(frozen=True)
class Part:
    """measure: called with `dry` and the seconds that it should keep to; yields rows. seconds:
    after which the process is ended. table: of the rows, if they are not it themselves."""

    name: str
    title: str
    measure: Measure
    seconds: float
    table: Callable[[list[Row]], pd.DataFrame] = pd.DataFrame


@dataclass
class Outcome:
    """rows: as far as the part came. reason: why it did not come to its end."""

    part: Part
    rows: list[Row] = field(default_factory=list)
    reason: str | None = None
    seconds: float = 0.0

    def to_plain(self) -> dict[str, Any]:
        return {"rows": self.rows, "reason": self.reason, "seconds": round(self.seconds, 1)}

    def text(self) -> str:
        """The table in Markdown, and below it the reason."""
        said = [f"It took {self.seconds:.0f} s.\n"]
        if self.reason:
            said = [f"**Not finished: {self.reason}**, after {self.seconds:.0f} s.\n"]
        if not self.rows:
            return "\n".join([f"**{self.part.title}**\n", *said])
        table = self.part.table(self.rows)
        written = table.astype(object).map(as_text)  # astype: or a whole column becomes float
        return "\n".join([study.markdown_table(self.part.title, written), *said])


def as_text(value: Any) -> str:
    """A cell of a table: numbers with three digits, nothing for what is missing."""
    if value is None or value != value:  # NaN
        return ""
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return " ".join(str(value).replace("|", "/").split())


def run(part: Part, seconds: float, dry: bool, place: Path) -> Outcome:
    """Run a part in its own process. seconds: what is left; the part may allow less.

    --dry forks, which spares the imports. A GPU needs a fresh process, since CUDA does not survive
    a fork.
    """
    seconds = min(seconds, part.seconds)
    rows, log = place / f"{part.name}.jsonl", place / f"{part.name}.log"
    context: Any = multiprocessing.get_context("fork" if dry else "spawn")
    start = time.monotonic()
    work = context.Process(
        target=_work, args=(part.measure, dry, 0.85 * seconds, rows, log), name=part.name
    )
    work.start()
    late = True
    try:
        work.join(seconds)
        late = work.is_alive()
    finally:  # also if someone interrupts the check
        if late:
            _end(work)
    outcome = Outcome(part, seconds=time.monotonic() - start)
    if rows.is_file():
        for line in rows.read_text(encoding="utf-8").splitlines():
            with suppress(json.JSONDecodeError):  # cut off by the end of the process
                outcome.rows.append(json.loads(line))
    if late:
        outcome.reason = f"it took longer than {seconds:.0f} s"
    elif work.exitcode:
        outcome.reason = last_line(log.read_text(encoding="utf-8", errors="replace"))
        outcome.reason = outcome.reason or f"exit code {work.exitcode}"
    elif not outcome.rows:
        outcome.reason = "it measured nothing"
    return outcome


def last_line(text: str) -> str:
    """The last line that says something, as the name of an exception does; at most 300 letters."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else ""


def _work(measure: Measure, dry: bool, seconds: float, rows: Path, log: Path) -> None:
    os.setsid()  # so that what it starts ends with it
    with log.open("w", encoding="utf-8") as said, rows.open("w", encoding="utf-8") as file:
        os.dup2(said.fileno(), 1)
        os.dup2(said.fileno(), 2)
        sys.stdout = sys.stderr = said
        try:
            for row in measure(dry, seconds):
                file.write(json.dumps(row, default=str) + "\n")
                file.flush()
        except Exception:
            traceback.print_exc()
            raise SystemExit(1) from None


def _end(work: Any) -> None:
    """End the process and all that it started."""
    with suppress(ProcessLookupError, PermissionError):
        if os.getpgid(work.pid) == work.pid:
            os.killpg(work.pid, signal.SIGKILL)
    work.kill()
    work.join()
