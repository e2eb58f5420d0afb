"""The leaderboard, on run folders written by hand."""

import json
from pathlib import Path
from typing import Any

import pytest

from rnnexp.cli import main
from rnnexp.config import compose
from rnnexp.leaderboard import find_runs, tables, to_markdown
from rnnexp.record import RunRecord


def write_run(
    folder: Path, overrides: list[str], smape: float | None, status: str = "completed", **facts: Any
) -> None:
    folder.mkdir(parents=True)
    record = RunRecord(folder, ["rnnexp"])
    record.config(compose(overrides))
    known = {
        "fingerprints": {"data": "a" * 64},
        "headline": ["smape"],
        "spec": {"title": "2 series"},
    }
    record.save(**(known | {"seconds": {"train": 2.0}, "status": status} | facts))
    if smape is not None:
        record.metrics({"test/smape": smape})


@pytest.fixture
def runs(empty_folder: Path) -> Path:
    """Two networks with two seeds each, one of them failed with a third; one still `running`."""
    place = empty_folder / "outputs"
    for model, values in {"pmgru": (1.0, 1.4), "gru": (0.9, 1.1)}.items():
        for seed, smape in enumerate(values):
            write_run(place / f"{model}{seed}", [f"model={model}", f"seed={seed}"], smape)
    write_run(place / "gru2", ["model=gru", "seed=2"], None, status="failed")
    write_run(place / "rnn0", ["model=rnn"], None, status="running", pid=2**22 + 1)
    return place


def test_seeds_are_one_row_best_first(runs: Path) -> None:
    [(title, table)] = tables(find_runs([runs])).items()
    assert title == "2 series (data aaaaaaaa)"
    assert table["model.recurrence.backend"].tolist()[0] == "GRU"
    assert table["smape"].tolist()[:2] == pytest.approx([1.0, 1.2])
    assert table["smape sd"].tolist()[:2] == pytest.approx([0.02**0.5, 0.08**0.5])
    assert table["seeds"].tolist() == ["0 1", "0 1", ""]
    assert table["not completed"].tolist() == ["1 failed", "", "1 interrupted"]


def test_a_repeated_seed_counts_once(runs: Path) -> None:
    write_run(runs / "zz_pmgru1_again", ["model=pmgru", "seed=1"], 1.4)
    [table] = tables(find_runs([runs])).values()
    assert table["seeds"].tolist() == ["0 1", "0 1", ""]
    assert table["smape"].tolist()[:2] == pytest.approx([1.0, 1.2])


def test_only_what_differs_is_a_column(runs: Path) -> None:
    [table] = tables(find_runs([runs])).values()
    assert "optimizer.lr" not in table.columns
    write_run(runs / "other", ["model=gru", "optimizer.lr=0.5"], 3.0)
    [table] = tables(find_runs([runs])).values()
    assert sorted(set(table["optimizer.lr"])) == [0.02, 0.5]
    assert "data.batch_size" not in table.columns


def test_other_data_are_another_table(runs: Path) -> None:
    write_run(runs / "other", [], 0.1, fingerprints={"data": "b" * 64})
    assert [len(table) for table in tables(find_runs([runs])).values()] == [3, 1]


def test_forms(runs: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["leaderboard", "--json"]) == 0
    rows = json.loads(capfd.readouterr().out)
    assert rows[0]["smape"] == pytest.approx(1.0) and rows[2]["smape"] is None
    assert main(["leaderboard", "--csv", str(runs)]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert lines[0].startswith("name,") and len(lines) == 4
    assert main(["leaderboard", "--markdown"]) == 0
    said = capfd.readouterr().out
    assert "| quickstart |" in said and "| 1 failed | 1 ± 0.1414 |" in said
    assert main(["leaderboard"]) == 0
    assert "1 interrupted" in capfd.readouterr().out.replace("\n", " ")
    assert to_markdown("t", next(iter(tables(find_runs([runs])).values()))).startswith("**t**")


def test_a_console_table_can_be_read(runs: Path, capfd: pytest.CaptureFixture[str]) -> None:
    many = ["data=power_load", "task.loss=mse", "optimizer.lr=0.5", "model.hidden_size=3"]
    write_run(runs / "other", many, 3.0)
    assert main(["leaderboard"]) == 0
    said = capfd.readouterr().out
    assert "differing too, in --csv:" in said
    assert max(map(len, said.splitlines())) <= 120


def test_nothing_to_show(empty_folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["leaderboard"]) == 2
    assert "there is no folder outputs" in capfd.readouterr().err
    (empty_folder / "outputs").mkdir()
    assert main(["leaderboard"]) == 2
    assert "there is no run in outputs" in capfd.readouterr().err


def test_compare_by_hand(empty_folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Differences 0.1, 0.2, 0.3: mean 0.2, deviation 0.1, t(2) = 4.3027, half width 0.2484."""
    place = empty_folder / "outputs"
    for seed, (a, b) in enumerate([(1.0, 1.1), (2.0, 2.2), (3.0, 3.3)]):
        write_run(place / f"a{seed}", ["name=a", f"seed={seed}"], a)
        write_run(place / f"b{seed}", ["name=b", f"seed={seed}"], b)
        write_run(place / f"c{seed}", ["name=c", f"seed={seed}"], a - 0.5 - seed / 1000)
    assert main(["leaderboard", "--compare", "name=a", "name=b"]) == 0
    said = capfd.readouterr().out.replace("\n", " ")
    assert "+0.2, 95 % interval -0.04841 to +0.4484" in said
    assert "neither is shown to be better" in said
    assert main(["leaderboard", "--compare", "name=a", "name=c"]) == 0
    assert "name=c is better" in capfd.readouterr().out


def test_compare_needs_pairs(runs: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write_run(runs / "single", ["name=single"], 1.0)
    write_run(runs / "other", ["name=other"], 1.0, fingerprints={"data": "b" * 64})
    write_run(runs / "other1", ["name=other", "seed=1"], 1.0, fingerprints={"data": "b" * 64})
    cell = "model.recurrence.cell=MGU,name=quickstart"
    for group, sentence in {
        "name=single": "1 seeds in common",
        "name=nobody": "no completed run is name=nobody",
        "nam=x": "no run has the key nam; did you mean name?",
        "name=other": "not run on the same data",
    }.items():
        assert main(["leaderboard", "--compare", cell, group]) == 2
        assert sentence in capfd.readouterr().err


def test_check(runs: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    line = "{runs: 'model.recurrence.cell=MGU', metric: %s, expected: %s, tolerance: 0.01}"
    path = tmp_path / "expected.yaml"
    path.write_text("- " + line % ("smape", 1.205))
    assert main(["leaderboard", "--check", str(path)]) == 0
    assert "met" in capfd.readouterr().out
    for metric, expected in (("smape", 1.3), ("accuracy", 1.2)):
        path.write_text("- " + line % (metric, expected))
        assert main(["leaderboard", "--check", str(path)]) == 1
        assert "missed" in capfd.readouterr().out
    path.write_text("- {runs: 'name=nobody', metric: smape, expected: 1, tolerance: 1}")
    assert main(["leaderboard", "--check", str(path)]) == 1
    path.write_text("nonsense")
    assert main(["leaderboard", "--check", str(path)]) == 2
