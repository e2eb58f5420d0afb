"""What does a GPU do with rnnexp? In at most eight minutes on one GPU: the tests that need it,
whole runs and their repetition, the feed, other precisions, and the speed of the paths. Every part
runs in a process of its own; one that fails or takes too long stops no other."""

import argparse
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from experiments import study
from experiments.gpu import feed, part, paths, precision, runs, suite
from experiments.gpu.part import Outcome, Part, Row
from rnnexp import console
from rnnexp.errors import UserError
from rnnexp.files import write_json

HERE = Path(__file__).parent
WHOLE = 460.0  # seconds, of eight minutes


def facts(dry: bool, seconds: float) -> Iterator[Row]:
    """The card and the versions, or nothing if torch finds no GPU."""
    from rnnexp.process.code import versions
    from rnnexp.process.machine import cpu_name

    card, cuda = "", {}
    if torch.cuda.is_available():
        torch.zeros(1, device="cuda")  # a GPU that cannot be used says so here
        card = torch.cuda.get_device_name()
        cuda = {"cuda": torch.version.cuda, "cudnn": str(torch.backends.cudnn.version())}
    yield {
        "card": card,
        "processor": cpu_name(),
        "versions": versions() | {"python": platform.python_version()} | cuda,
    }


FACTS = Part("facts", "The machine", facts, seconds=60)
# What is short comes first; the speed of the paths takes what is left, and says what it left out.
PARTS = (
    Part("tests", "The tests that need a GPU", suite.measure, seconds=90),
    Part("runs", "Whole runs", runs.measure, seconds=130),
    Part("feed", "The feed", feed.measure, seconds=45),
    Part("precision", "Precision", precision.measure, seconds=75),
    Part(
        "paths",
        f"Multiples of {paths.YARDSTICK}'s time: forward, training step",
        paths.measure,
        seconds=300,
        table=paths.table,
    ),
)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--dry",
        action="store_true",
        help="everything on the processor at toy sizes, written into a temporary folder",
    )
    parser.add_argument(
        "--only", nargs="+", metavar="PART", choices=[one.name for one in PARTS], default=[]
    )
    options = parser.parse_args(argv)
    return study.exit_code(lambda: check(options.dry, options.only))


def check(dry: bool, only: Sequence[str] = ()) -> int:
    """Run the parts and write the tables. Returns 1 if a part was not finished or a row is wrong.

    Raises:
        UserError: there is no GPU, and the check is not dry.
    """
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        outputs = os.environ.get("RNNEXP_OUTPUTS")
        os.environ["RNNEXP_OUTPUTS"] = str(place / "outputs")
        try:
            known = part.run(FACTS, FACTS.seconds, dry, place)
            if known.reason:
                raise UserError(f"the machine cannot be examined: {known.reason}")
            machine = known.rows[0]
            if not dry and not machine["card"]:
                raise UserError("torch finds no GPU here: add --dry to try everything without one")
            outcomes = []
            for one in PARTS:
                if only and one.name not in only:
                    continue
                left = WHOLE - (time.monotonic() - start)
                print(f"{one.name}: at most {min(left, one.seconds):.0f} s", flush=True)
                outcomes.append(
                    part.run(one, left, dry, place)
                    if left > 1
                    else Outcome(one, [], "no time left")
                )
                print(f"  {outcomes[-1].reason or 'finished'}", flush=True)
        finally:
            os.environ.pop("RNNEXP_OUTPUTS")
            if outputs is not None:
                os.environ["RNNEXP_OUTPUTS"] = outputs
    minutes = (time.monotonic() - start) / 60
    written = HERE
    if dry or only:
        written = Path(tempfile.mkdtemp(prefix="rnnexp-gpu-"))
        shutil.copy(HERE / "README.md", written)
    write(written, machine, outcomes, minutes, dry)
    return 1 if any(map(is_wrong, outcomes)) else 0


def write(
    folder: Path, machine: dict[str, Any], outcomes: list[Outcome], minutes: float, dry: bool
) -> None:
    """Write README.md and result.json, and show the tables."""
    now = datetime.now(UTC).replace(tzinfo=None).isoformat(" ", "minutes")
    speed = [row for one in outcomes if one.part.name == "paths" for row in one.rows]
    passed, why = paths.graphed_passes(speed)
    where = machine["card"] or machine["processor"]
    versions = ", ".join(f"{name} {value}" for name, value in machine["versions"].items())
    kind = "A dry run at toy sizes, which says nothing about a GPU: run" if dry else "Measured"
    add = f": add {machine['card']!r} to CHECKED in rnnexp/nn/fast/cards.py" if passed else ""
    text = "\n".join(
        [
            f"{kind} in {minutes:.1f} minutes on {where}, {now} UTC ({versions}).\n",
            *(one.text() for one in outcomes),
            f"The graphed path {'may be' if passed else 'is not to be'} taken by path=auto on this "
            f"card: {why}{add}.",
        ]
    )
    study.write_between_markers(folder / "README.md", text)
    result = {
        **machine,
        "date": now,
        "dry": dry,
        "minutes": round(minutes, 2),
        "graphed": {"passed": passed, "why": why},
        "parts": {one.part.name: one.to_plain() for one in outcomes},
    }
    write_json(folder / "result.json", result)
    console.show_markdown(text)
    console.show(f"written: {folder / 'README.md'} and {folder / 'result.json'}")


def is_wrong(outcome: Outcome) -> bool:
    """Whether a part was not finished, a run was not right, or a test failed."""
    wrong = [row for row in outcome.rows if row.get("right") == "no" or row.get("failed")]
    return outcome.reason is not None or bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
