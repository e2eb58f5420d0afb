"""Whole runs: trained on the GPU, tested and repeated there, and taken to a processor.

A rerun on the GPU must be identical. A rerun without one must say what is missing, or end with
different results in a different environment.
"""

import io
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import redirect_stderr, redirect_stdout
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from experiments.gpu.part import Row, last_line
from rnnexp import cli
from rnnexp.data.folders import place_of
from rnnexp.runs.folder.reading import read_run

QUIETLY = ["callbacks.progress_bar=null", "callbacks.figures=null"]
NAMES, REVIEWS = ["data.number=20"], ["data.per_class=10"]
LOAD = ["data.number=1", "data.days=60"]


class Experiment(NamedTuple):
    """words: after `rnnexp train`. epochs: of a training of a few seconds. tiny: further words for
    --dry."""

    words: list[str]
    epochs: int
    tiny: list[str]


EXPERIMENTS = {
    "quickstart": Experiment(["experiment=quickstart"], 4, LOAD),
    "quickstart, graphed": Experiment(
        ["experiment=quickstart", "model.recurrence.path=graphed"], 4, LOAD
    ),
    "quickstart_names": Experiment(["experiment=quickstart_names"], 8, NAMES),
    "quickstart_reviews": Experiment(["experiment=quickstart_reviews"], 3, REVIEWS),
    "quickstart_day_ahead": Experiment(["experiment=quickstart_day_ahead"], 2, LOAD),
    "one-hot, lazy rows": Experiment(
        ["experiment=sentiment_gru_onehot_works", "data=synthetic_reviews"], 1, REVIEWS
    ),
    "power_load": Experiment(["experiment=power_load_pmgru_short"], 1, LOAD),
}


class Answer(NamedTuple):
    """What a command said, and its exit code."""

    code: int
    said: str


Command = Callable[[Sequence[str], bool], Answer]  # words after `rnnexp`; whether it sees the GPU


def typed(words: Sequence[str], sees_gpu: bool) -> Answer:
    """A command in a process of its own, as a user types it."""
    hidden = {} if sees_gpu else {"CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [sys.executable, "-m", "rnnexp", *words],
        env=os.environ | hidden,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return Answer(done.returncode, done.stdout)


def called(words: Sequence[str], sees_gpu: bool) -> Answer:
    """A command in this process, which spares the imports. For --dry: there is no GPU to hide."""
    said = io.StringIO()
    with redirect_stdout(said), redirect_stderr(said):
        code = cli.main(words)
    return Answer(code, said.getvalue())


def measure(dry: bool, seconds: float) -> Iterator[Row]:
    command: Command = called if dry else typed
    # On a GPU the experiments run side by side: nothing is timed but to be looked at.
    at_once = 1 if dry else len(EXPERIMENTS)
    with TemporaryDirectory() as place, ThreadPoolExecutor(at_once) as pool:
        os.environ["RNNEXP_OUTPUTS"] = str(Path(place, "reruns"))
        started = {
            pool.submit(story, name, command, Path(place, str(number)), dry): name
            for number, name in enumerate(EXPERIMENTS)
        }
        for done in as_completed(started):
            try:
                yield done.result()
            except Exception as error:  # of one experiment
                why = f"{type(error).__name__}: {error}"
                yield {"experiment": started[done], "train": why, "right": "no"}


def story(name: str, command: Command, folder: Path, dry: bool) -> Row:
    """The row of an experiment. A step that fails ends it, with its last line."""
    start = time.monotonic()
    row: Row = {"experiment": name, "path": None}
    answer = command(["train", *overrides(name, dry), f"hydra.run.dir={folder}"], True)
    if answer.code:
        return row | {"train": failure(answer), "right": "no"}
    recorded = read_run(folder)
    row |= {"path": recorded.get("path"), "train": "completed"}
    tested = command(["test", str(folder)], True)
    row["test"] = "equal" if tested.code == 0 else failure(tested)
    predicted = command(["predict", str(folder), *inputs(folder, folder.parent)], False)
    row["predict on a processor"] = "done" if predicted.code == 0 else failure(predicted)
    elsewhere = command(["test", str(folder)], False)
    row["test on a processor"] = {0: "equal", 4: "different in a different environment"}.get(
        elsewhere.code, failure(elsewhere)
    )
    again = command(["rerun", str(folder)], True)
    row["rerun"] = verdict(again)
    without = command(["rerun", str(folder)], False)
    row["rerun on a processor"] = verdict(without)
    right = (
        tested.code == predicted.code == 0
        and elsewhere.code in (0, 4)
        and row["rerun"] == "identical"
        and is_right(without, dry)
    )
    return row | {"right": "yes" if right else "no", "seconds": round(time.monotonic() - start, 1)}


def overrides(name: str, dry: bool) -> list[str]:
    """The words after `rnnexp train`."""
    words, epochs, tiny = EXPERIMENTS[name]
    if name == "power_load" and (dry or not place_of("power_load", None).is_dir()):
        words = [*words, "data=synthetic_load"]
    if dry:
        sizes = [*tiny, "model.hidden_size=4", "trainer=cpu", "trainer.limit_train_batches=2"]
        return [*words, *sizes, "trainer.max_epochs=1", "determinism.threads=1", *QUIETLY]
    sizes = ["trainer=gpu", "trainer.limit_train_batches=100", f"trainer.max_epochs={epochs}"]
    return [*words, *sizes, "determinism.threads=2", *QUIETLY]


def inputs(folder: Path, place: Path) -> list[str]:
    """Words of `rnnexp predict`: a new text, or a file with a new series."""
    if (folder / "vocabulary.json").exists():
        return ["--text", "not a fine lamp"]
    file = place / f"{folder.name}_hourly.csv"
    first = datetime(2020, 1, 1)
    hours = [f"{first + timedelta(hours=hour)},{1000 + 37 * hour % 101}" for hour in range(24 * 30)]
    file.write_text("\n".join(["Datetime,NEW_MW", *hours, ""]), encoding="utf-8")
    return ["--csv", str(file)]


def verdict(answer: Answer) -> str:
    """What a rerun said: the verdict without the folder, or why there is none."""
    found = re.search(r"^verdict\s+(.*?)(?:: \S*)?$", answer.said, re.MULTILINE)
    if found and answer.code in (0, 4):
        return found[1]
    return failure(answer)


def is_right(without: Answer, dry: bool) -> bool:
    """Whether a rerun that sees no GPU ended as it must."""
    if dry:  # it had none before either
        return without.code == 0
    refused = without.code == 3 and "trainer.accelerator=cpu" in without.said
    return refused or (without.code == 4 and "a different environment" in without.said)


def failure(answer: Answer) -> str:
    return f"exit code {answer.code}: {last_line(answer.said)}"
