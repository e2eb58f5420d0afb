"""Do all launchers give the same results and the same failures, and what does each cost? Runs one
sweep with each launcher that is installed, then one with jobs that fail."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from experiments import study
from rnnexp import console
from rnnexp.process import cores
from rnnexp.process.machine import cpu_name

HERE = Path(__file__).parent
LAUNCHERS = {  # -> overrides for two jobs at once
    "basic": [],
    "local": ["hydra.launcher.jobs=2"],
    "joblib": ["hydra.launcher.n_jobs=2"],
    "ray": [],
    "submitit_local": ["hydra.launcher.timeout_min=30"],
}
SWEEP = ["experiment=quickstart_names", "determinism.threads=1", "logger=none"]
SEEDS, EPOCHS = 8, 90
FAILING = ["optimizer.lr=0.01,bad", "seed=0,1"]
MOST = 0.6  # of the time of basic, for local on two cores


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", metavar="NAME", choices=LAUNCHERS, action="append")
    parser.add_argument("--quick", action="store_true", help="one epoch; writes nothing")
    options = parser.parse_args(argv)
    names = options.only or list(LAUNCHERS)
    rows: list[dict[str, str]] = []
    digests: dict[str, dict[str, str]] = {}
    missed: list[str] = []
    with tempfile.TemporaryDirectory() as place:
        for name in names:
            epochs = 1 if options.quick else EPOCHS
            jobs = [f"seed={','.join(map(str, range(SEEDS)))}", f"trainer.max_epochs={epochs}"]
            seconds, code, folder, said = sweep(name, jobs, Path(place) / name)
            if "is not installed" in said:
                console.show(f"{name} is not installed")
                continue
            digests[name] = {path.parent.name: path.read_text() for path in found(folder)}
            first = next(iter(digests.values()))
            training = sum(training_seconds(folder))
            _, failing_code, folder, said = sweep(name, FAILING, Path(place) / f"{name}_failing")
            rows.append(
                {
                    "launcher": name,
                    "wall time, s": f"{seconds:.1f}",
                    "training, s": f"{training:.1f}",
                    "of basic": f"{seconds / float(rows[0]['wall time, s']):.2f}" if rows else "1",
                    "results": str(len(digests[name])),
                    "digests": "equal" if digests[name] == first else "OTHER",
                    "of 4 with 2 that fail": f"{len(found(folder))}, exit code {failing_code}",
                }
            )
            console.show(str(rows[-1]))
            wrong = code != 0 or len(digests[name]) != SEEDS or "OTHER" in rows[-1].values()
            named = said.count("optimizer.lr=bad") == 2 and len(found(folder)) == 2
            if wrong or failing_code != 1 or not named:
                missed.append(name)
    text = study.markdown_table(f"A sweep of {SEEDS} jobs", pd.DataFrame(rows))
    text += f"\n{cpu_name()}, {len(cores.available())} cores."
    console.show(text)
    local = next((float(row["of basic"]) for row in rows if row["launcher"] == "local"), 0.0)
    if not options.quick and local > MOST:
        missed.append(f"local takes {local} of the time of basic, more than {MOST}")
    if not options.quick and not options.only:
        study.write_between_markers(HERE / "README.md", text)
    if missed:
        console.show(f"not as expected: {', '.join(missed)}")
    return 1 if missed else 0


def sweep(name: str, jobs: list[str], folder: Path) -> tuple[float, int, Path, str]:
    """Run a sweep. Returns seconds, exit code, its folder, and what was said of failures."""
    overrides = [*SWEEP, *jobs, f"hydra/launcher={name}", *LAUNCHERS[name]]
    command = [sys.executable, "-m", "rnnexp", "train", "-m", *overrides]
    began = time.perf_counter()
    done = subprocess.run(
        [*command, f"hydra.sweep.dir={folder}"],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    _, _, failures = done.stderr.partition("jobs failed:")
    said = done.stderr if "is not installed" in done.stderr else failures
    return time.perf_counter() - began, done.returncode, folder, said


def found(folder: Path) -> list[Path]:
    return sorted(folder.glob("*/digest.json"))


def training_seconds(folder: Path) -> list[float]:
    runs: list[dict[str, Any]] = [
        json.loads(path.with_name("run.json").read_text()) for path in found(folder)
    ]
    return [run["seconds"]["train"] for run in runs]


if __name__ == "__main__":
    sys.exit(main())
