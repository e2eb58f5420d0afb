"""Run folders of earlier versions, kept in tests/golden, can still be read.

`earlier_forecasting` and `earlier_classification` are the quickstarts, shrunk, as they were before
the package was sorted into rooms: their classes have other names today.
"""

import json
import re
import shutil
from pathlib import Path

import pytest
import torch

import rnnexp
from rnnexp.cli import main
from rnnexp.nn.fast import choices
from rnnexp.process.code import versions
from rnnexp.process.machine import cpu_name
from rnnexp.runs.comparison.leaderboard import find_runs
from rnnexp.runs.folder.old_names import translated_config
from tests.support import GOLDEN
from tests.support.load_files import load_table, write_load_file

Capture = pytest.CaptureFixture[str]
EARLIER = ["earlier_forecasting", "earlier_classification"]


@pytest.fixture(params=EARLIER)
def kept(request: pytest.FixtureRequest) -> Path:
    return GOLDEN / str(request.param)


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RNNEXP_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("RNNEXP_OUTPUTS", raising=False)


def is_the_machine_of(folder: Path) -> bool:
    """Whether identical bits can be expected: same processor, kernels and versions."""
    run = json.loads((folder / "run.json").read_text())
    here = {"device": cpu_name(), "kernels": choices.description(), "versions": versions()}
    return all(run[name] == here[name] for name in here)


def computes_in_float64(folder: Path) -> bool:
    """Forecasts were rounded to float32 when the folder was made, and are float64 today: the same
    training, whose results differ from the eighth digit on."""
    return "forecasting" in folder.name


def check_digits(said: str) -> None:
    """Every metric that differs has nearly the recorded value."""
    metrics = re.findall(r"different +\S+: (\S+) then, (\S+) now", said)
    assert metrics
    for then, now in metrics:
        assert float(now) == pytest.approx(float(then), rel=1e-5)


def test_a_rerun_is_identical_in_another_environment_and_the_code_is_named(
    kept: Path, capfd: Capture
) -> None:
    code = main(["rerun", str(kept)])
    said = capfd.readouterr().out
    assert "environment   code of rnnexp:" in said
    if is_the_machine_of(kept) and computes_in_float64(kept):
        assert code == 4 and "different results in a different environment (" in said
        assert "training losses differ" not in said and "order of the batches" not in said
        tensors = re.findall(r"weights: (\d+) of \d+ tensors differ, first (\S+)", said)
        assert tensors == [("1", "network.scaling.minimum")] * 2
        check_digits(said)
    elif is_the_machine_of(kept):
        assert code == 0 and "verdict       identical, also in another environment" in said
    else:  # another processor may round differently; the verdict names it
        assert code in (0, 4)


def test_a_test_gives_the_recorded_metrics(kept: Path, capfd: Capture) -> None:
    code = main(["test", str(kept)])
    said = capfd.readouterr().out
    if is_the_machine_of(kept) and computes_in_float64(kept):
        assert code == 4
        check_digits(said)
    elif is_the_machine_of(kept):
        assert code == 0 and "to the bit" in said
    else:
        assert code in (0, 4)


def test_its_network_and_data_come_back(kept: Path) -> None:
    run = rnnexp.load(kept)
    before = {name: weight.clone() for name, weight in run.network.state_dict().items()}
    run.data.setup("fit")
    assert run.data.spec == run.spec
    checkpoint = torch.load(kept / "checkpoints" / "best.ckpt", weights_only=True)
    for name, weight in before.items():
        assert torch.equal(weight, checkpoint["state_dict"][f"network.{name}"]), name


def test_it_predicts_from_its_folder_alone(kept: Path, tmp_path: Path, capfd: Capture) -> None:
    folder = shutil.copytree(kept, tmp_path / "kept")
    if "forecasting" in kept.name:
        path = write_load_file(tmp_path, "SYNTHETIC1", load_table(200, seed=0, level=9000.0))
        given = ["--csv", str(path)]
    else:
        given = ["--text", "Kosval"]
    assert main(["predict", str(folder), *given]) == 0
    said = capfd.readouterr().out
    assert "SYNTHETIC1" in said or "likeliest" in said


def test_the_leaderboard_knows_which_way_is_better(capfd: Capture) -> None:
    entries = {entry.folder.name: entry for entry in find_runs([GOLDEN])}
    assert entries["earlier_forecasting"].lower_is_better
    assert not entries["earlier_classification"].lower_is_better
    for name in EARLIER:
        assert not entries[name].damage and entries[name].status == "completed"
        assert f"test/{entries[name].headline[0]}" in entries[name].metrics


def test_the_path_of_a_recurrence_in_earlier_words() -> None:
    """So that a repetition takes the same one, whatever `auto` would be now."""

    def path(**settings: bool | str) -> str:
        node = {"_target_": "rnnexp.nn.recurrence.CellRecurrence", **settings}
        found = translated_config({"model": {"recurrence": node}})["model"]["recurrence"]
        assert not {"fused", "compiled"} & set(found)
        return str(found["path"])

    assert path() == path(fused=True, compiled=False) == "fused"
    assert path(fused=False) == "plain" and path(fused=True, compiled=True) == "compiled"
    assert path(path="torch") == "torch"
