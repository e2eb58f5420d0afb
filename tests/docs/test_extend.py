"""docs/extend.md: its files are written, its commands are run, and what they make is looked at."""

import json
import re
import runpy
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

import rnnexp
from rnnexp.cli import main
from tests.support import REPOSITORY

PAGE = (REPOSITORY / "docs" / "extend.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE))
NAME = re.compile(r"^# (\S+\.(?:py|yaml))$", re.MULTILINE)
BLOCKS = re.findall(r"```(?:python|yaml)\n(.*?)```", PAGE, re.DOTALL)
FILES = {name[1]: block for block in BLOCKS if (name := NAME.search(block))}

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module", autouse=True)
def _place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The current folder, with all files of the page."""
    folder = tmp_path_factory.mktemp("extend")
    for name, content in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr("sys.path", sys.path[:])
        patch.delenv("RNNEXP_OUTPUTS", raising=False)
        patch.setenv("RNNEXP_CACHE", str(folder / "cache"))
        yield


@pytest.fixture(autouse=True)
def _allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """For what the tests load. The commands of the page are run without it."""
    monkeypatch.setenv("RNNEXP_ALLOW", "mylab")


# The page's commands ----------------------------------------------------------------------------


class Section:
    """A section of the page whose commands have been run. said: what they printed. runs: the
    folders of the runs that they made, in their order.

    DIR is the first of these, or the folder that is given.
    """

    def __init__(self, name: str, capture: Capture, folder: Path | None = None) -> None:
        before = runs()
        capture.readouterr()
        for line in blocks(name, "sh").replace("\\\n", "").splitlines():
            run_line(line, folder)
            folder = folder or runs()[len(before)]
        self.said = capture.readouterr().out
        self.runs = runs()[len(before) :]
        assert {load(run).record["status"] for run in self.runs} <= {"completed"}
        for shown in blocks(name, "text").splitlines():
            assert words(shown) in words(self.said), f"{shown!r} was not printed"


def blocks(section: str, language: str) -> str:
    return "".join(re.findall(rf"```{language}\n(.*?)```", SECTIONS[section], re.DOTALL))


def runs() -> list[Path]:
    found = [path.parent for path in Path("outputs").rglob("run.json")]
    return sorted(found, key=lambda run: json.loads((run / "run.json").read_text())["started"])


def run_line(line: str, folder: Path | None) -> None:
    """A command line as a shell runs it."""
    program, *arguments = [str(folder) if word == "DIR" else word for word in shlex.split(line)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RNNEXP_ALLOW", "")
        if "=" in program:
            patch.setenv(*program.split("="))
            program, *arguments = arguments
        if program == "rnnexp":
            assert main(arguments) == 0
        else:
            assert program == "python"
            patch.setattr("sys.argv", arguments)
            runpy.run_path(arguments[0])


def words(said: str) -> str:
    """Without frames and widths, and without what may be otherwise on another processor: figures,
    and which class is the likeliest."""
    said = re.sub(r"[-+]?\d+\.\d[\de-]*|\b(broken|balanced)\b", "#", said)
    return " ".join(re.sub(r"[\u2500-\u257f]", " ", said).split())


def load(run: Path) -> Any:
    return rnnexp.load(run)


# Its sections -----------------------------------------------------------------------------------


def test_series(capfd: Capture) -> None:
    [run] = map(load, Section("Series", capfd).runs)
    assert run.metrics["test/smape"] < run.metrics["baseline/naive/smape"]
    assert {"test/mae_m", "test/smape/north", "test/smape/south"} <= set(run.metrics)


def test_documents(capfd: Capture) -> None:
    [run] = map(load, Section("Documents", capfd).runs)
    assert run.metrics["test/accuracy"] > 0.6
    assert set(run.predictions["target"]) == {"broken", "balanced"}


def test_a_cell(capfd: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    run, again = map(load, Section("A cell", capfd).runs)
    assert type(run.network.recurrence.layers[0]).__name__ == "Leaky"
    assert run.record["path"] == "plain" and again.metrics == run.metrics
    assert list(run.record["code"]["allowed"]) == ["mylab"]
    assert run.record["code"]["allowed"]["mylab"], "a package without __init__.py has a hash too"

    # The list is the user's: nothing in the run folder lets the class in.
    monkeypatch.setenv("RNNEXP_ALLOW", "")
    assert main(["rerun", str(run.folder)]) == 2
    assert "mylab.cells.Leaky" in capfd.readouterr().err


def test_a_readout(capfd: Capture) -> None:
    [run] = map(load, Section("A readout", capfd).runs)
    assert run.network.readout.v.weight.shape == (1, run.config.model.hidden_size)
    assert run.metrics["test/accuracy"] > 0.6


def test_a_loss(capfd: Capture) -> None:
    run, same = map(load, Section("A loss", capfd).runs)
    assert run.metrics == same.metrics
    run.data.setup()
    [batch] = run.data.val_dataloader()
    with torch.no_grad():
        output = run.network(batch.values, batch.calendar, batch.series, last=True)
    error = run.network.scale(batch.target, batch.values[:, -1:, 0], batch.series) - output
    expected = torch.where(error > 0, 0.9 * error, -0.1 * error).mean().item()
    assert run.metrics["val/loss"] == pytest.approx(expected, rel=1e-5)


def test_a_metric(capfd: Capture) -> None:
    [run] = map(load, Section("A metric", capfd).runs)
    off = (run.predictions["prediction"] - run.predictions["target"]).abs()
    assert run.metrics["test/within_10_cm"] == pytest.approx((off <= 0.1).mean(), abs=0.01)
    assert 0 < run.metrics["baseline/ridge/within_10_cm"] <= 1
    assert run.record["headline"][-1]["name"] == "within_10_cm"
    history = pd.read_csv(run.folder / "history.csv")
    assert 0 < history["val/within_10_cm"].max() <= 1


def test_a_callback(capfd: Capture) -> None:
    [run] = Section("A callback", capfd).runs
    norms = pd.read_csv(run / "norms.csv", names=["epoch", "name", "norm"])
    assert list(norms["epoch"].unique()) == list(range(10)) and (norms["norm"] > 0).all()


def test_a_sweep(capfd: Capture) -> None:
    section = Section("A sweep", capfd)
    cells = [load(run).config.model.recurrence.cell._target_ for run in section.runs]
    assert sorted(cells) == 3 * ["mylab.cells.Leaky"] + 3 * ["rnnexp.nn.cells.Vanilla"]
    assert all("test/within_10_cm" in load(run).metrics for run in section.runs)


def test_from_python(capfd: Capture) -> None:
    run_line("rnnexp train data=tides trainer.max_epochs=1 --allow mylab", None)
    section = Section("From Python", capfd, folder=runs()[-1])
    computed, recorded = map(json.loads, re.findall(r"\[.+?\]", section.said))
    assert len(computed) == 3 and computed == pytest.approx(recorded)


def test_a_task(capfd: Capture) -> None:
    run, _ = map(load, Section("A task", capfd).runs)
    assert 0 < run.metrics["test/bits"] < 2, "a uniform choice among four brackets"
    assert run.predictions["bits"].mean() == pytest.approx(run.metrics["test/bits"], rel=1e-5)
    assert run.spec.vocabulary == 5 and type(run.network).__module__ == "mylab.next_token"


def test_every_section_is_tested_and_linked() -> None:
    assert len(FILES) == PAGE.count("```python") + PAGE.count("```yaml")
    assert max(map(len, PAGE.splitlines())) <= 100
    for title in SECTIONS:
        assert f"test_{title.lower().replace(' ', '_')}" in globals()
        assert f"](#{title.lower().replace(' ', '-')})" in PAGE
