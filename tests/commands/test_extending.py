"""Mistakes in classes and configs of one's own (docs/extend.md): each is one sentence."""

import sys
from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
import torch

from rnnexp.cli import main
from rnnexp.data.series.raw import RawSeries
from rnnexp.data.series.source import SeriesSource
from rnnexp.data.text.source import DocumentSource
from rnnexp.errors import UserError
from rnnexp.runs.results import results
from rnnexp.tasks.answers import Rows
from rnnexp.tasks.metric import Metric
from tests.support.refusals import refused
from tests.support.shrink import QUIET, SYNTHETIC_LOAD, TINY

Capture = pytest.CaptureFixture[str]

MODULE = """
import torch
from rnnexp.nn.cells import MGU, Cell
from rnnexp.tasks.forecasting.task import Forecasting
from rnnexp.tasks.metric import AddedMetric
from rnnexp.tasks.task import Task

def function(output, target):
    return (output - target).mean()

class Each:
    def __call__(self, output, target):
        return output - target

class Float(Each):
    def __call__(self, output, target):
        return 0.5

class NotCalled:
    pass

class Bare(Forecasting):
    def __init__(self, network, spec, optimizer, scheduler=None):
        super().__init__(network, spec, optimizer, scheduler)

class Unfinished(Task):
    pass

class Narrow(MGU):
    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)

class Good(AddedMetric):
    lower_is_better = True
    def __call__(self, prediction, target):
        return (prediction - target).abs().max()

class Undecided(AddedMetric):
    def __call__(self, prediction, target):
        return 1.0

class Uncalled(AddedMetric):
    lower_is_better = True

class Unsaid(Cell):
    pass

class NoCell(torch.nn.Module):
    def __init__(self, input_size, hidden_size):
        super().__init__()

class Several(Good):
    def __call__(self, prediction, target):
        return prediction - target
"""
SMALL = [*TINY, *QUIET, *SYNTHETIC_LOAD]


@pytest.fixture(autouse=True)
def folder(empty_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a package of the user's."""
    (empty_folder / "owned").mkdir()
    (empty_folder / "owned" / "things.py").write_text(MODULE)
    monkeypatch.setenv("RNNEXP_CACHE", str(empty_folder / "cache"))
    monkeypatch.setattr("sys.path", sys.path[:])
    for name in [name for name in sys.modules if name.partition(".")[0] == "owned"]:
        monkeypatch.delitem(sys.modules, name)
    return empty_folder


def said_of(capture: Capture, *overrides: str) -> str:
    return refused(["train", *SMALL, *overrides, "--allow", "owned"], capture)


def write(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


@pytest.mark.parametrize("command", ["train", "rerun", "test", "predict"])
def test_a_package_that_is_not_there(command: str, folder: Path, capfd: Capture) -> None:
    said = refused([command, "seed=1", "--allow", "nosuchpackage"], capfd)
    assert "--allow nosuchpackage: there is no package or module of this name" in said
    assert f"the current folder ({folder})" in said and "PYTHONPATH" in said


def test_several_packages_at_once(capfd: Capture) -> None:
    assert "--allow absent:" in refused(["train", "--allow", "owned, absent"], capfd)
    assert "--allow : there is no" in refused(["train", "--allow", ""], capfd)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("task.loss=maee", "task.loss is 'maee', it must be 'mse' or 'mae' or 'huber' or a class"),
        ("task.loss={quantile: 1}", "task.loss is of the class dict: it must be one of mse, mae"),
        (
            "task.loss={_target_: owned.things.NotCalled}",
            "task.loss is of the class NotCalled: it must be one of mse, mae, huber, or name a",
        ),
        (
            "task.loss={_target_: owned.things.Each}",
            "task.loss gave a tensor of shape (",
        ),
        ("task.loss={_target_: owned.things.Float}", "task.loss gave 0.5: it must give a tensor"),
        (
            "task.loss={_target_: owned.things.function}",
            "owned.things.function is a function, and a config names classes alone: write a class",
        ),
        (
            "task.loss={_target_: owned.absent.Loss}",
            "task.loss._target_: cannot import owned.absent: No module named 'owned.absent'",
        ),
        (
            "task._target_=owned.things.Bare",
            "Bare has no argument task.loss; let its __init__ take it, or take **settings and pass "
            "them to super().__init__, or remove it with ~task.loss",
        ),
        (
            "+model.recurrence.cell={_target_: owned.things.Narrow, initial: hidden}",
            "Narrow has no argument model.recurrence.cell.initial; let its __init__ take it",
        ),
        (
            "model.recurrence.cell={_target_: owned.things.Narrow, _partial_: false}",
            "model.recurrence.cell: Narrow.__init__() missing 2 required positional arguments: "
            "'input_size' and 'hidden_size'; give them, or _partial_: true where they are given",
        ),
        (
            "+task.metrics={m: {_target_: owned.things.Each}}",
            "task.metrics.m is of the class Each: it must be a subclass of rnnexp.tasks.metric.",
        ),
        (
            "+task.metrics={m: {_target_: owned.things.Undecided}}",
            "task.metrics.m: Undecided must say lower_is_better = True, or False",
        ),
        (
            "+task.metrics={m: {_target_: owned.things.Several}}",
            "task.metrics.m must give one number, and not tensor([",
        ),
        (
            "+task.metrics={_target_: owned.things.Good}",
            "task.metrics must map names to metrics: write `NAME: {_target_: CLASS}`",
        ),
        (
            "+task.metrics={m: {_target_: owned.things.Uncalled}}",
            "Uncalled must implement __call__(prediction, target)",
        ),
        (
            "monitor=val/mape mode=max",
            "mode is max, but of val/mape the best value is the minimum: set mode=min",
        ),
        (
            "model.recurrence.cell={_target_: owned.things.Unsaid, _partial_: true}",
            "model: Unsaid must set `projections`, the number of input projections",
        ),
        (
            "model.recurrence.cell={_target_: owned.things.NoCell, _partial_: true}",
            "model: NoCell is not a cell (rnnexp.nn.cells.Cell)",
        ),
        ("model/recurence=gru", "there is no group model/recurence; did you mean model/recurrence"),
        ("model.hidden_size=", "model.hidden_size has no value, it must be int"),
        (
            "+task.metrics={mape: {_target_: owned.things.Good}}",
            "task.metrics.mape: the task already has a metric of this name, choose another name",
        ),
    ],
)
def test_a_class_that_is_not_what_it_must_be(override: str, said: str, capfd: Capture) -> None:
    assert said in said_of(
        capfd, *(override.split(" ") if override.startswith("mon") else [override])
    )


def test_a_task_that_does_not_say_what_it_must(capfd: Capture) -> None:
    said = said_of(capfd, "task._target_=owned.things.Unfinished", "~task.loss", "~task.lightgbm")
    assert (
        "task._target_: owned.things.Unfinished must say sources (rnnexp.tasks.task.Task)" in said
    )


def test_code_that_cannot_be_imported(folder: Path, capfd: Capture) -> None:
    loss = "task.loss={_target_: owned.broken.Loss}"
    broken = folder / "owned" / "broken.py"
    broken.write_text("import torch\n\nclass Loss(:\n")
    assert f"import owned.broken: {broken}, line 3: SyntaxError: " in said_of(capfd, loss)
    broken.write_text("import torch\nLoss = torsh.nn.L1Loss\n")
    said = said_of(capfd, loss)
    assert f"import owned.broken: {broken}, line 2: NameError: name 'torsh' is not" in said


def test_losses_that_are_no_class_of_the_users(folder: Path) -> None:
    loss = "task.loss={_target_: torch.nn.SmoothL1Loss, beta: 0.5}"
    assert main(["train", *SMALL, loss]) == 0
    named = [*TINY, *QUIET, "data=synthetic_names", "data.number=20"]
    loss = "+task.loss={_target_: torch.nn.NLLLoss, weight: null}"
    assert main(["train", *named, loss]) == 0
    assert main(["train", *named]) == 0
    _, same, default = sorted(folder.glob("outputs/*/*"))
    assert (same / "digest.json").read_text() == (default / "digest.json").read_text()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            "# mine\n# @package _global_\ndefaults: [override /data: names]\n",
            "experiment/mine.yaml: its first line must be `# @package _global_`",
        ),
        (
            "# @package _global_\ndefaults: [override /task/loss: pinball]\n",
            "experiment/mine.yaml: nothing chose an option of task/loss to override: add it with "
            "`- /task/loss: OPTION`, above all entries with `override`",
        ),
        (
            "# @package _global_\ndefaults: [override /task/los: pinball]\n",
            "of task/los to override: there is no such group; did you mean task/loss?",
        ),
        (
            "# @package _global_\ndefaults: [override /data: names, /task/loss: pinball]\n",
            "experiment/mine.yaml: move `task/loss: pinball` above `override data` in the defaults",
        ),
    ],
)
def test_a_wrong_defaults_list(content: str, said: str, folder: Path, capfd: Capture) -> None:
    write(folder / "conf/task/loss/pinball.yaml", "_target_: owned.things.Each\n")
    write(folder / "conf/experiment/mine.yaml", content)
    assert said in said_of(capfd, "experiment=mine")


# Tasks ------------------------------------------------------------------------------------------

TASK = """
# @package _global_
task: {_target_: rnnexp.tasks.forecasting.task.Forecasting}
callbacks: {figures: null}
monitor: val/smape
mode: min
"""


def test_a_task_without_a_readout_and_without_a_network(folder: Path, capfd: Capture) -> None:
    write(folder / "conf/task/mine.yaml", TASK)
    assert said_of(capfd, "task=mine").endswith(
        "the task mine has no readout: choose one with model/readout=OPTION, or in the task's "
        "YAML (`- override /model/readout: OPTION`, if its first line is "
        "`# @package _global_`), or put one into "
        "conf/model/readout/mine.yaml\n"
    )
    assert said_of(capfd, "task=mine", "model/readout=every_step").endswith(
        "the task mine has no network: name its class in the task's YAML (`model: {_target_: "
        "CLASS}`), or in conf/model/network/mine.yaml, below `# @package model`\n"
    )
    write(folder / "conf/model/readout/mine.yaml", "defaults: [every_step]\n")
    network = "# @package model\n_target_: rnnexp.tasks.forecasting.network.Forecaster\n"
    write(folder / "conf/model/network/mine.yaml", network)
    assert main(["train", *SMALL, "task=mine", "--allow", "owned"]) == 0


def test_another_readout_that_does_not_exist(capfd: Capture) -> None:
    said = said_of(capfd, "model/readout=last_hiden")
    assert "the group model/readout has no option last_hiden; did you mean last_hidden?" in said


def test_a_group_of_the_users_without_its_plus_sign(folder: Path, capfd: Capture) -> None:
    write(folder / "conf/task/loss/squared.yaml", "_target_: torch.nn.MSELoss\n")
    said = said_of(capfd, "task/loss=squared")
    assert "the group task/loss is not in the defaults list: write +task/loss=OPTION" in said
    assert main(["train", *SMALL, "+task/loss=squared"]) == 0


# What a class may leave out ---------------------------------------------------------------------


def test_sources_that_do_not_read_new_data() -> None:
    class Made(SeriesSource):
        def __init__(self) -> None:
            pass

    class Written(DocumentSource):
        def __init__(self) -> None:
            pass

    with pytest.raises(
        UserError, match=r"Made cannot read a file: implement SeriesSource.read_files"
    ):
        Made().read_files([Path("a.csv")])
    with pytest.raises(UserError, match=r"Written cannot tokenise a text"):
        Written().tokens_of("a text")


def test_a_series_of_arrays_is_sorted_and_has_a_fingerprint() -> None:
    time = np.array(["2024-01-02", "2024-01-01"], dtype="datetime64[D]")
    one = RawSeries.from_arrays("one", time, np.array([2, 1]))
    assert one.time.tolist() == sorted(one.time.tolist()) and one.values.tolist() == [[1.0], [2.0]]
    assert one.fingerprint == RawSeries.from_arrays("x", time[::-1], np.array([1, 2])).fingerprint
    assert one.fingerprint != RawSeries.from_arrays("one", time, np.array([2, 3])).fingerprint


def test_a_baseline_without_one_of_the_metrics_leaves_its_place_empty() -> None:
    class Tested:
        headline: Sequence[Metric] = [Metric("a", "", True), Metric("b", "", True)]
        predictions: ClassVar = {"prediction": torch.zeros(3)}
        ceilings = ()

        class spec:
            title, tested, things = "3 things", 3, "things"

        def tables(self) -> list[Any]:
            return []

    table: Any
    [table] = results(Tested(), {"test/a": 1.0, "test/b": 2.0}, {"baseline/rule/a": 3.0})  # type: ignore[arg-type]
    assert table.rows[1] == ["rule", "3", ""]


def test_answers_of_rows() -> None:
    rows = Rows(pd.DataFrame({"text": ["a\nb"], "share": [0.123456], "number": [7]}))
    assert rows.notes == [] and rows.table().rows == [("a b", "0.1235", "7")]
    assert [column.numbers for column in rows.table().columns] == [False, True, True]


# The leaderboard --------------------------------------------------------------------------------


def test_the_leaderboard_by_a_metric_of_the_users(folder: Path, capfd: Capture) -> None:
    added = "+task.metrics={worst: {_target_: owned.things.Good}, absent: null}"
    sweep = ["train", *SMALL, "-m", "seed=0,1", "--allow", "owned"]
    assert main([*sweep, "model=pmgru,gru", added, "monitor=val/worst"]) == 0
    assert main([*sweep, "model=rnn"]) == 0  # without it
    capfd.readouterr()
    assert main(["leaderboard", "--metric", "worst", "--csv"]) == 0
    table = pd.read_csv(StringIO(capfd.readouterr().out))
    columns = list(map(str, table))
    assert columns.index("worst") < columns.index("smape") and "absent" not in columns
    assert table["worst"].isna().tolist() == [False, False, True]
    assert table["worst"][0] <= table["worst"][1]
    assert not any("metrics" in column for column in columns), "a metric changes no training"

    compare = ["leaderboard", "--metric", "worst", "--compare", "model.recurrence.cell=MGU"]
    assert main([*compare, "model.recurrence.backend=GRU"]) == 0
    assert (
        "worst, model.recurrence.backend=GRU minus model.recurrence.cell=MGU: "
        in capfd.readouterr().out
    )
    assert main([*compare, "model.recurrence.cell=Vanilla"]) == 2
    said = capfd.readouterr().err
    assert "that are model.recurrence.cell=Vanilla do not all have the metric worst" in said
    assert main(["leaderboard", "--metric", "worse"]) == 2
    assert "no run has the metric worse; did you mean worst?" in capfd.readouterr().err
