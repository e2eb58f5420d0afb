"""The leaderboard reads what it lists from run.json, and config.yaml only where it must."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments.scale.many import copy
from rnnexp.config import compose
from rnnexp.config.schema import plain
from rnnexp.errors import UserError
from rnnexp.runs.comparison.leaderboard import find_runs, tables
from rnnexp.runs.folder import reading
from rnnexp.runs.folder.reading import read_config, read_plain_config, read_run
from rnnexp.runs.folder.record import RunRecord
from tests.runs.test_leaderboard import write_run

RUNS, SEEDS = 300, 10


@pytest.fixture
def runs(empty_folder: Path) -> Path:
    facts: dict[str, Any] = {"headline": ["accuracy"], "files": {}}
    write_run(empty_folder / "like", ["experiment=quickstart_names"], 0.5, **facts)
    for number in range(RUNS):
        copy(empty_folder / "like", empty_folder / "runs" / f"run{number:05}", number)
    return empty_folder / "runs"


def edit_record(folder: Path, **facts: Any) -> None:
    run = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps(run | facts))


def test_no_config_is_parsed(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "read_config", None)
    monkeypatch.setattr(reading, "check_yaml", None)
    [table] = tables(find_runs([runs])).values()
    assert list(table.columns[:3]) == ["name", "optimizer.lr", "seeds"]
    assert len(table) == RUNS // SEEDS
    assert set(table["seeds"]) == {"0 1 2 3 4 5 6 7 8 9"}
    values = (np.arange(RUNS) % 97 / 97).reshape(-1, SEEDS)
    means = {round(0.001 * (one + 1), 6): mean for one, mean in enumerate(values.mean(axis=1))}
    found = dict(zip(table["optimizer.lr"], table["accuracy"], strict=True))
    assert found == pytest.approx(means)
    assert table["accuracy"].is_monotonic_decreasing


def test_a_record_of_an_earlier_version_gives_the_same_table(runs: Path) -> None:
    folders = [runs / f"run{number:05}" for number in range(2 * SEEDS)]
    [before] = tables(find_runs(folders)).values()
    for folder in folders[::3]:
        edit_record(folder, config=None)
    [after] = tables(find_runs(folders)).values()
    assert after.equals(before)


def test_an_edited_config_counts(runs: Path) -> None:
    path = runs / "run00000" / "config.yaml"
    path.write_text(path.read_text().replace("lr: 0.001", "lr: 0.5"))
    [entry] = find_runs([path.parent])
    assert entry.config["optimizer.lr"] == 0.5 and not entry.damage


@pytest.mark.parametrize(
    "overrides",
    [
        ["experiment=quickstart"],
        ["experiment=quickstart_reviews", "callbacks=early_stopping"],
        ["experiment=power_load_pmgru_lecture", "logger=none"],
        ["experiment=sentiment_best", "optimizer.lr=1e-5"],
    ],
)
def test_both_files_hold_the_same_config(overrides: list[str], empty_folder: Path) -> None:
    record = RunRecord(empty_folder, ["rnnexp"])
    record.config(compose(overrides))
    run = read_run(empty_folder)
    assert run["config"] is not None
    found = read_plain_config(empty_folder, run)
    expected = plain(read_config(empty_folder))
    assert json.dumps(found) == json.dumps(expected)  # in the same order
    # An earlier version did not have this group yet.
    del run["config"]["checkpoint"]["every_steps"]
    assert read_plain_config(empty_folder, run) == expected
    del run["config"]["checkpoint"]
    assert json.dumps(read_plain_config(empty_folder, run)) == json.dumps(expected)


def test_a_value_that_json_does_not_have_comes_from_config_yaml(empty_folder: Path) -> None:
    record = RunRecord(empty_folder, ["rnnexp"])
    record.config(compose(["trainer.gradient_clip_val=inf"]))
    run = read_run(empty_folder)
    assert run["config"] is None
    assert read_plain_config(empty_folder, run)["trainer"]["gradient_clip_val"] == float("inf")


@pytest.mark.parametrize(
    "config", [[], {"a\nb": 1}, {"a": [{"\x1b": 1}]}, {"values": list(range(30_000))}]
)
def test_what_is_no_config_is_damage(runs: Path, config: Any) -> None:
    edit_record(runs / "run00000", config=config)
    with pytest.raises(UserError, match=r"run\.json is damaged: config is .*printable lines"):
        read_run(runs / "run00000")


def test_runs_on_other_data_each_have_their_table(runs: Path) -> None:
    folders = [runs / f"run{number:05}" for number in range(4)]
    for folder, data in zip(folders, "abab", strict=True):
        edit_record(folder, fingerprints={"data": data * 64})
    edit_record(folders[3], split={"test": {"sha256": "0"}})
    titles = list(tables(find_runs(folders)))
    assert [title.count("test set") for title in titles] == [0, 1, 1]
