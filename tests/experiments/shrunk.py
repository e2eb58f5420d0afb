"""Shrunk studies: their folders, and jobs that only write the record of a training."""

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf, open_dict

from experiments import study
from experiments.speed.fresh_process import Make
from experiments.speed.timing import Stopwatch, Work
from rnnexp.config import compose
from rnnexp.runs.build import build_data, task_class
from rnnexp.runs.folder.reading import read_config
from rnnexp.runs.folder.record import RunRecord
from rnnexp.runs.settings import resolve, with_monitor
from rnnexp.tasks.metric import Metric
from tests.support import REPOSITORY

TEXT = f"# Question\n\n{study.BEGIN}\nold\n{study.END}\n\n# Conclusion\n"


def study_folder(folder: Path, expected: str) -> Path:
    """A study's folder with a README and one expectation."""
    folder.mkdir()
    (folder / "README.md").write_text(TEXT)
    (folder / "expected.yaml").write_text(f"- {{{expected}}}")
    return folder


def own_environment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cache and data in a folder, and an empty current one. Child processes find our code. A config
    is composed and read once: that takes most of the time."""
    (folder / "empty").mkdir(exist_ok=True)
    monkeypatch.chdir(folder / "empty")
    monkeypatch.setattr(study, "compose", composed)
    monkeypatch.setattr(study, "read_config", read_once)
    monkeypatch.delenv("RNNEXP_OUTPUTS", raising=False)
    monkeypatch.delenv("RNNEXP_ALLOW", raising=False)
    monkeypatch.setenv("RNNEXP_CACHE", str(folder / "cache"))
    monkeypatch.setenv("RNNEXP_DATA", str(folder / "data"))
    paths = [str(REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))


def composed(overrides: Sequence[str]) -> DictConfig:
    return _composed(tuple(overrides)).copy()


@cache
def _composed(overrides: tuple[str, ...]) -> DictConfig:
    return compose(overrides)


_read: dict[bytes, DictConfig] = {}  # by what stands in the file


def read_once(folder: Path) -> DictConfig:
    path = folder / "config.yaml"
    text = path.read_bytes() if path.exists() else b""
    if text not in _read:
        _read[text] = read_config(folder)
    return _read[text]


def table_cells(line: str) -> list[str]:
    """The cells of a line of a Markdown table."""
    return [cell.strip() for cell in line.split("|")[1:-1]]


class Recorder:
    """Writes records of runs that were never trained.

    headline: the metric to compare runs by. results: returns the metrics of a run of this config,
    and writes what else the study reads into the record.
    """

    def __init__(
        self, headline: Metric, results: Callable[[DictConfig, RunRecord], dict[str, float]]
    ) -> None:
        self.headline, self.results = headline, results
        self._known: dict[str, tuple[DictConfig, dict[str, Any]]] = {}

    def write(
        self,
        folder: Path,
        overrides: Sequence[str],
        status: str = "completed",
        without: str = "",
        identity: str = "",
    ) -> None:
        """The record of one run.

        without: an option that did not exist when the run was made. identity: of the run's job, if
        there is one; then data that are known already are not read again.
        """
        folder.mkdir(parents=True)
        record = RunRecord(folder, ["rnnexp"])
        config, facts = self._read(overrides, identity)
        if without:
            parent, _, key = without.rpartition(".")
            with open_dict(config):
                del OmegaConf.select(config, parent)[key]
        record.config(config)
        record.save(
            **facts,
            headline=[self.headline.to_plain()],
            parameters=100 * config.model.hidden_size,
            device="some processor",
            threads=2,
            seconds={"train": 60.0},
            status=status,
        )
        record.digest({})
        record.metrics(self.results(config, record))

    def _read(self, overrides: Sequence[str], identity: str) -> tuple[DictConfig, dict[str, Any]]:
        """The config, and what run.json has of the data; read once for all seeds of a job."""
        seeds = [one for one in overrides if one.startswith("seed=")]
        others = [one for one in overrides if one not in seeds]
        key = json.dumps([others, json.loads(identity)[2]]) if identity else ""
        if key not in self._known:
            config = resolve(composed(others))
            data = build_data(config)
            monitor, _ = task_class(config).auto_monitor(data)
            config = with_monitor(composed(others), config, monitor)
            self._known[key] = config, {**data.facts(), "spec": data.spec.to_plain()}
        config, facts = self._known[key] if key else self._known.pop(key)
        config = config.copy()
        for seed in seeds:
            config.seed = int(seed.removeprefix("seed="))
        return config, facts


class Jobs:
    """Stands in for `study.train`: every job is recorded at once.

    asked: the overrides of the jobs so far, as text. Those in `hidden` are left out.
    """

    def __init__(self, recorder: Recorder, hidden: Sequence[str] = ()) -> None:
        self.recorder, self.hidden = recorder, hidden
        self.asked: list[str] = []

    def __call__(self, job: study.Job, folder: Path) -> int:
        self.asked.append(" ".join(one for one in job.overrides if one not in self.hidden))
        self.recorder.write(folder / f"run{len(self.asked)}", job.overrides, identity=job.identity)
        return 0


@dataclass(frozen=True)
class Whole:
    """A whole study, run once for many tests.

    code, said: exit code and standard output of the command. here: the study's folder, with README
    and figure. outputs: the run folders. asked: the jobs that were run.
    """

    code: int
    said: str
    here: Path
    outputs: Path
    asked: list[str]

    def leave_runs(self) -> None:
        """Copy the run folders to the current folder: they count as trained there."""
        shutil.copytree(self.outputs, "outputs")


def run_whole(
    folder: Path,
    jobs: Jobs,
    prepare: Callable[[Path, pytest.MonkeyPatch], Path],
    main: Callable[[list[str]], int],
    arguments: Sequence[str] = (),
) -> Whole:
    """Run a study in a folder. prepare: gives it its environment, and returns its own folder."""
    with pytest.MonkeyPatch.context() as monkeypatch, redirect_stdout(StringIO()) as said:
        here = prepare(folder, monkeypatch)
        monkeypatch.setattr(study, "train", jobs)
        code = main(list(arguments))
        return Whole(code, said.getvalue(), here, Path("outputs").absolute(), jobs.asked)


def without_pulse(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stopwatch multiplies nothing between the rounds, which takes most of a short test."""
    monkeypatch.setattr(Stopwatch, "_product", lambda self: None)


@contextmanager
def in_this_process(
    make: Make, arguments: Mapping[str, tuple[Any, ...]]
) -> Iterator[dict[str, Work]]:
    """Stands in for `fresh_process`, which takes seconds to start."""
    yield {name: make(*one) for name, one in arguments.items()}
