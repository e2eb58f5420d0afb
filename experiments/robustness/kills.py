"""Kills runs and goes on with them: do they end as the run that was not killed, to the bit?

Every run is killed by SIGKILL at a moment of its own: after a random time, at a random step, while
a checkpoint is written, in a validation, in the test, while the results are written; some runs
several times. Other signals interrupt a run. Then `rnnexp resume` goes on. As a control, one run
goes on without its random states, and must end otherwise.
"""

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from experiments import study
from experiments.robustness.deaths import AfterSeconds, Death, Leaving, Noting, run_apart
from experiments.robustness.outcome import differences, outcome
from rnnexp import console

HERE = Path(__file__).parent
SMALL = ["trainer.accelerator=cpu", "determinism.threads=1", "callbacks.progress_bar=null"]
SMALL += ["callbacks.figures=null", "checkpoint.every_steps=5", "trainer.log_every_n_steps=1"]
LOAD = ["experiment=quickstart", "data.number=1", "data.days=90", "data.batch_size=2"]
LOAD += ["data.look_back=30", "data.chunking.length=40", "model.hidden_size=16"]
LOAD += ["trainer.max_epochs=4", *SMALL]
WORDS = ["experiment=sentiment_gru_onehot_works", "data=synthetic_reviews", "data.per_class=60"]
WORDS += ["data.max_tokens=30", "model.hidden_size=16", *SMALL]
NAMES = ["experiment=quickstart_names", "data.number=60", "data.batch_size=16", *SMALL]
NAMES += ["model.hidden_size=16", "trainer.max_epochs=4"]


@dataclass(frozen=True)
class Training:
    """What is trained. task: the class of its task. validates: whether it has validation data."""

    settings: list[str]
    task: str
    validates: bool = True


FORECASTING = "rnnexp.tasks.forecasting.task.Forecasting"
CLASSIFICATION = "rnnexp.tasks.classification.task.Classification"
TRAININGS = {
    "load, pmGRU, dropout": Training(
        [*LOAD, "model.num_layers=2", "model.dropout=0.3"], FORECASTING
    ),
    "load, GRU": Training([*LOAD, "model=gru"], FORECASTING),
    "sentiment, one-hot words, lazy rows": Training(WORDS, CLASSIFICATION, validates=False),
    "names": Training(NAMES, CLASSIFICATION),
}
BATCH = "rnnexp.callbacks.history.History.on_train_batch_end"
RECORD = "rnnexp.runs.folder.record.RunRecord"
RESULTS = {
    "digest": "digest.json",
    "predictions": "predictions.csv",
    "metrics": "metrics.json",
    "completed": "the end",
}
CONTROL = Leaving("rnnexp.process.determinism.restore_random_states")


@dataclass(frozen=True)
class Whole:
    """A run that nothing interrupts: its outcome, its steps, and the seconds of its training."""

    outcome: dict[str, Any]
    steps: int
    seconds: float


Moment = tuple[str, list[Any]]  # in words, and what is planted in one process after the other


def moments(one: Training, whole: Whole, draw: random.Random) -> Iterator[Moment]:
    """When one training after the other is killed."""
    checkpoints = whole.steps // 5

    def step() -> Death:
        return Death(BATCH, draw.randint(1, whole.steps))

    def written(after: bool) -> Death:
        return Death("os.fsync", draw.randint(1, checkpoints), after=after)

    result = draw.choice(list(RESULTS))
    yield "after a random time", [AfterSeconds(draw.uniform(0, whole.seconds))]
    yield "after a random step", [step()]
    yield "after a random step", [step()]
    yield "while a checkpoint is written", [written(after=False)]
    yield (
        "between the names of two checkpoints",
        [Death("os.replace", draw.randint(2, checkpoints), "previous.ckpt", after=True)],
    )
    if one.validates:
        yield "in a validation", [Death(f"{one.task}.validation_step", draw.randint(1, 4))]
    yield "in the test", [Death(f"{one.task}.test_step")]
    yield f"before {RESULTS[result]} is recorded", [Death(f"{RECORD}.{result}")]
    early = Death(BATCH, draw.randint(1, whole.steps // 2))
    again = Death(BATCH, draw.randint(1, whole.steps // 4))
    yield "three times in a row", [early, again, Death(f"{one.task}.test_step")]


def signals(whole: Whole, draw: random.Random) -> Iterator[Moment]:
    """When other signals come."""
    for name in ("SIGTERM", "SIGINT", "SIGHUP"):
        number = getattr(signal, name)
        yield (
            f"{name} after a random step",
            [Death(BATCH, draw.randint(1, whole.steps), signal=number)],
        )


class Study:
    """Trains in a folder, which is removed afterwards.

    rows: of the table. kills: how many times SIGKILL has ended a process. missed: what did not end
    as it must.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows: list[dict[str, str]] = []
        self.kills = 0
        self.missed: list[str] = []
        self._number = 0

    def whole(self, one: Training) -> Whole:
        """Train without an interruption."""
        folder, _ = self._train(one, [])
        found = outcome(folder)
        seconds = json.loads((folder / "run.json").read_text())["seconds"]["train"]
        return Whole(found, len(found["digest.json: losses"]), seconds)

    def interrupted(self, name: str, one: Training, whole: Whole, moment: Moment) -> None:
        """Train, interrupt, go on, and compare: a row of the table."""
        said, plants = moment
        folder, where = self._train(one, plants)
        code = run_apart(["resume", str(folder)], log=self.folder / "log.txt")
        found = differences(whole.outcome, outcome(folder)) if code == 0 else [f"exit code {code}"]
        self._row(name, said, folder, where, f"no: {', '.join(found)}" if found else "yes")
        if found:
            self.missed.append(f"{name}, {said}: {', '.join(found)}")

    def control(self, name: str, one: Training, whole: Whole) -> None:
        """Go on without the random states: the end must be another one."""
        folder, where = self._train(one, [Death(BATCH, whole.steps // 2)])
        code = run_apart(["resume", str(folder)], CONTROL, log=self.folder / "log.txt")
        found = differences(whole.outcome, outcome(folder)) if code == 0 else []
        is_other = "digest.json: losses" in found
        said = "control: goes on without its random states"
        self._row(name, said, folder, where, "no, as it must be" if is_other else "yes: wrong")
        if not is_other:
            self.missed.append(f"{name}, {said}: it ends as if it had them")

    def _train(self, one: Training, plants: list[Any]) -> tuple[Path, list[str]]:
        """Train, and after each interruption but the last one go on. Returns the run folder, and
        where each process was when it ended."""
        self._number += 1
        folder, where = self.folder / str(self._number), []
        argv = ["train", *one.settings, f"hydra.run.dir={folder}"]
        for plant in plants or [None]:
            place = self.folder / "place.txt"
            place.unlink(missing_ok=True)
            planted = [] if plant is None else [plant]
            code = run_apart(argv, *planted, Noting(place), log=self.folder / "log.txt")
            self.kills += code == -signal.SIGKILL
            if plant is not None and code == 0:
                where.append("it had ended before")
            elif place.exists() and place.read_text():
                where.append(place.read_text().split()[-1])
            else:
                where.append("no step yet")
            argv = ["resume", str(folder)]
        return folder, where

    def _row(self, name: str, said: str, folder: Path, where: list[str], equal: str) -> None:
        resumed = json.loads((folder / "run.json").read_text()).get("resumed", [])
        row = {
            "task": name,
            "interrupted": said,
            "after epoch.step": "; ".join(where),
            "goes on at": "; ".join(map(_place, resumed)) or "was completed",
            "equal": equal,
        }
        self.rows.append(row)
        print(f"{len(self.rows)}: {', '.join(row.values())}", flush=True)


def _place(resumed: dict[str, Any]) -> str:
    if resumed.get("anew"):
        return "the beginning"
    if resumed["trained"]:
        return "the test"
    return f"{resumed['epoch'] + 1}.{resumed['batch'] + 1}"


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seed", type=int, default=0, help="of the moments; default: 0")
    parser.add_argument("--only", metavar="TASK", nargs="+", choices=TRAININGS, default=[])
    options = parser.parse_args(argv)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as place:
        os.environ["RNNEXP_CACHE"] = str(Path(place) / "cache")
        found = Study(Path(place))
        for name in options.only or TRAININGS:
            one, draw = TRAININGS[name], random.Random(f"{options.seed} {name}")
            whole = found.whole(one)
            for moment in moments(one, whole, draw):
                found.interrupted(name, one, whole, moment)
            if one is next(iter(TRAININGS.values())):
                for moment in signals(whole, draw):
                    found.interrupted(name, one, whole, moment)
                found.control(name, one, whole)
    equal = sum(row["equal"] == "yes" for row in found.rows)
    interrupted = sum("control" not in row["interrupted"] for row in found.rows)
    title = (
        f"{found.kills} kills by SIGKILL; of {interrupted} interrupted runs, {equal} end as the "
        "run that was not"
    )
    text = study.markdown_table(title, pd.DataFrame(found.rows))
    console.show_markdown(text)
    print(f"{time.monotonic() - started:.0f} s")
    for sentence in found.missed:
        print(f"study: {sentence}", file=sys.stderr)
    if options.only or options.seed:
        print("README.md stays as it is: only the whole study writes its table there")
    elif not found.missed:
        study.write_between_markers(HERE / "README.md", text)
    return 1 if found.missed else 0


if __name__ == "__main__":
    sys.exit(study.exit_code(main))
