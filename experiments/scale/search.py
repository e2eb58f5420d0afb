"""Does a search survive a kill? Kills `rnnexp search` by SIGKILL in the middle of a trial, goes on
with two workers at once, and compares the study with its run folders."""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
from optuna.trial import FrozenTrial, TrialState

from experiments import study
from rnnexp import console
from rnnexp.process import cores
from rnnexp.process.machine import cpu_name

HERE = Path(__file__).parent
NAME = "killed"
# 18 combinations, fewer than the trials: some repeat the values of others.
SPACE = """\
optimizer.lr: {choices: [0.003, 0.01, 0.03]}
model: {choices: [gru, lstm, pmgru]}
model.hidden_size: {choices: [16, 32]}
"""
SETTINGS = ["experiment=quickstart_names", "determinism.threads=1", "logger=none"]
SETTINGS += ["trainer.accelerator=cpu", "callbacks.figures=null", "callbacks.progress_bar=null"]
PATIENCE = 600  # seconds for each of the two parts
ENDED = {TrialState.COMPLETE: "completed", TrialState.PRUNED: "pruned"}
COMPLETE = (TrialState.COMPLETE,)


@dataclass(frozen=True)
class Size:
    """trials: of the search. killed_after: runs that have ended before the kill."""

    trials: int
    killed_after: int
    settings: list[str]


FULL = Size(20, 7, ["trainer.max_epochs=12"])
QUICK = Size(4, 1, ["trainer.max_epochs=2", "data.number=60"])


@dataclass(frozen=True)
class Found:
    """What a search has left.

    trials: of the study. runs: run.json by the name of the folder. killed: the folder of the trial
    that was running at the kill. lines: of the trials that ended, of each worker that went on.
    listed: the runs of the leaderboard. rerun: the exit code of `rnnexp rerun` of the best trial.
    """

    trials: list[FrozenTrial]
    runs: dict[str, dict[str, Any]]
    killed: str
    lines: list[int]
    listed: int
    rerun: int


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small search; writes nothing")
    options = parser.parse_args(argv)
    size = QUICK if options.quick else FULL
    with tempfile.TemporaryDirectory() as place:
        found = killed_search(Path(place), size)
    wrong = faults(found, size.trials)
    text = table(found, size)
    console.show(text)
    if wrong:
        console.show(f"not as expected: {'; '.join(wrong)}")
    elif not options.quick:
        study.write_between_markers(HERE / "README.md", text, "search")
    return 1 if wrong else 0


def killed_search(place: Path, size: Size) -> Found:
    """Start a search below a folder, kill it, and go on with two workers at once."""
    (place / "conf" / "space").mkdir(parents=True)
    (place / "conf" / "space" / "mine.yaml").write_text(SPACE)
    folder = place / "outputs" / "search" / NAME
    search = ["search", "space=mine", *SETTINGS, *size.settings]
    search += ["--study", NAME, "--trials", str(size.trials)]

    first = start(place, *search)
    try:
        killed = running_after(first, folder, size.killed_after)
    finally:
        first.kill()
        first.communicate()
    workers = [start(place, *search) for _ in range(2)]
    said = [worker.communicate(timeout=PATIENCE)[0] for worker in workers]
    if any(worker.returncode for worker in workers):
        raise SystemExit(f"a worker failed:\n{said[0]}\n{said[1]}")

    trials = optuna.load_study(study_name=NAME, storage=f"sqlite:///{folder / 'study.db'}").trials
    done = [one for one in trials if one.state == TrialState.COMPLETE]
    best = min(done, key=lambda one: (one.value, one.number))
    rerun = start(place, "rerun", str(folder / best.user_attrs["folder"]))
    rerun.communicate(timeout=PATIENCE)
    return Found(
        trials,
        runs_in(folder),
        killed,
        [len(re.findall(rf"^\d+/{size.trials}  ", one, re.MULTILINE)) for one in said],
        listed(place, folder),
        rerun.returncode,
    )


def start(place: Path, *words: str) -> subprocess.Popen[str]:
    """`rnnexp WORDS` in a folder."""
    paths = os.pathsep.join([str(HERE.parents[1]), os.environ.get("PYTHONPATH", "")])
    own = {"PYTHONPATH": paths, "RNNEXP_OUTPUTS": str(place / "outputs"), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "rnnexp", *words],
        cwd=place,
        env=os.environ | own,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def running_after(search: subprocess.Popen[str], folder: Path, ended: int) -> str:
    """Wait until so many runs have ended and another one has trained an epoch; its folder."""
    deadline = time.monotonic() + PATIENCE
    while search.poll() is None and time.monotonic() < deadline:
        runs = runs_in(folder)
        begun = [name for name, run in runs.items() if run["status"] == "running"]
        begun = [name for name in begun if (folder / name / "history.csv").exists()]
        if begun and len(runs) - 1 >= ended:
            return begun[0]
        time.sleep(0.01)
    raise SystemExit("the search ended before it could be killed")


def runs_in(folder: Path) -> dict[str, dict[str, Any]]:
    """run.json of every run of a search, by the name of its folder."""
    return {path.parent.name: json.loads(path.read_text()) for path in folder.glob("*/run.json")}


def listed(place: Path, folder: Path) -> int:
    """How many runs `rnnexp leaderboard` lists: completed ones by seed, others by their number."""
    said, _ = start(place, "leaderboard", str(folder), "--json").communicate(timeout=PATIENCE)
    rows = json.loads(said)
    others = [int(one) for row in rows for one in re.findall(r"\d+", row["not completed"])]
    return sum(len(row["seeds"].split()) for row in rows) + sum(others)


# What must hold ---------------------------------------------------------------------------------


def faults(found: Found, trials: int) -> list[str]:
    """What is not as it must be, as sentences; empty if the search has survived."""
    numbers = [one.number for one in found.trials]
    wrong = []
    if numbers != list(range(trials)):
        wrong.append(f"the trials are {numbers}, not 0 to {trials - 1}")
    for one in found.trials:
        if one.state not in ENDED:
            wrong.append(f"trial {one.number} is {one.state.name}")
    wrong += [
        f"trial {one.number}: {why}" for one in found.trials for why in _of_folder(one, found)
    ]
    trained = Counter(str(sorted(one.params.items())) for one in _trained(found.trials, COMPLETE))
    wrong += [f"trained twice: {values}" for values, times in trained.items() if times > 1]
    own = {one.user_attrs["folder"] for one in _trained(found.trials)}
    wrong += [f"{name} belongs to no trial" for name in sorted(set(found.runs) - own)]
    resumed = [name for name, run in found.runs.items() if "resumed" in run]
    if resumed != [found.killed]:
        wrong.append(f"resumed: {resumed}, not only {found.killed}")
    if not all(found.lines):
        wrong.append(f"the two workers ended {found.lines} trials")
    if found.listed != len(found.runs):
        wrong.append(f"the leaderboard lists {found.listed} of {len(found.runs)} runs")
    if found.rerun:
        wrong.append(f"rnnexp rerun of the best trial: exit code {found.rerun}")
    return wrong


def _of_folder(one: FrozenTrial, found: Found) -> list[str]:
    """What is wrong with the run folder of a trial."""
    if one.state not in ENDED:
        return []
    run = found.runs.get(one.user_attrs.get("folder", ""))
    if run is None:
        return ["it has no run folder"]
    wrong = []
    if run["status"] != ENDED[one.state]:
        wrong.append(f"its run is {run['status']}, it is {ENDED[one.state]}")
    other = found.trials[run["trial"]["number"]]  # another one if its result was taken
    if other.params != one.params or other.value != one.value:
        wrong.append(f"it has the run of trial {other.number}, which differs")
    return wrong


def _trained(
    trials: Sequence[FrozenTrial], states: Sequence[TrialState] = tuple(ENDED)
) -> list[FrozenTrial]:
    """The trials with a run of their own: the others took the result of an equal one."""
    ended = [one for one in trials if one.state in states and "folder" in one.user_attrs]
    return [one for one in ended if one.user_attrs["folder"].startswith(f"{one.number}_")]


# The table --------------------------------------------------------------------------------------


def table(found: Found, size: Size) -> str:
    states = Counter(one.state for one in found.trials)
    own = len(_trained(found.trials))
    equal = sum(one.state in ENDED for one in found.trials) - own
    number = found.killed.partition("_")[0]
    pruned = f"{states[TrialState.COMPLETE]} completed, {states[TrialState.PRUNED]} pruned"
    rows = {
        f"trials in the study, of {size.trials}": f"{len(found.trials)}: {pruned}",
        "the trial in which it was killed": f"{number}, resumed",
        "trials that ended in each worker afterwards": " and ".join(map(str, found.lines)),
        "trials with a run folder of their own": str(own),
        "trials that took the result of an equal one": str(equal),
        "runs in the leaderboard": str(found.listed),
        "`rnnexp rerun` of the best trial": f"exit code {found.rerun}",
    }
    shown = pd.DataFrame({"what": list(rows), "found": list(rows.values())})
    text = study.markdown_table("A search that was killed once and continued by two", shown)
    return f"{text}\n{cpu_name()}, {len(cores.available())} cores."


if __name__ == "__main__":
    sys.exit(main())
