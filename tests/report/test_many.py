"""The page of a sweep, of a search, of a back-test and of all runs below a folder."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from rnnexp.cli import main
from rnnexp.launching import sweep
from tests.report.handwritten import page_of, refusal, write_run

Capture = pytest.CaptureFixture[str]
HIDDEN, RATES, SEEDS = (8, 16, 32, 64, 128), (0.001, 0.003, 0.01, 0.03, 0.1), (0, 1)


def write_sweep(place: Path, failed: int = 0) -> Path:
    """A sweep of 50 jobs; the last ones fail, and one of these leaves no record."""
    grid = [(size, rate, seed) for size in HIDDEN for rate in RATES for seed in SEEDS]
    jobs = []
    for number, (size, rate, seed) in enumerate(grid):
        overrides = [f"model.hidden_size={size}", f"optimizer.lr={rate}", f"seed={seed}"]
        folder = place / f"{number}_size{size}_lr{rate}_seed{seed}"
        jobs.append(
            {"overrides": overrides, "label": "", "folder": folder.name, "config_sha256": ""}
        )
        facts = {"job": number, "overrides": overrides}
        if number >= len(grid) - failed:
            facts |= {"status": "failed", "error": "the loss became inf"}
        if number < len(grid) - 1 or not failed:
            values = {"model.hidden_size": size, "optimizer.lr": rate, "seed": seed}
            write_run(folder, values | {"smape": 1 + 1 / size + rate + seed / 100}, **facts)
    content: dict[str, Any] = {
        "argv": ["rnnexp", "train", "-m"],
        "started": "2026-01-01T00:00:00+00:00",
    }
    content |= {"config_dir": None, "allowed": [], "hydra": [], "jobs": jobs}
    (place / sweep.FILE).write_text(json.dumps(content))
    return place


def test_a_sweep_of_fifty(empty_folder: Path) -> None:
    place = write_sweep(empty_folder / "sweep", failed=3)
    page = page_of(place)
    assert len(page.encode()) < 2_000_000
    assert "sweep of 50 jobs" in page and "47 completed" in page and "2 failed" in page
    assert "Best: <strong>hidden_size 128, lr 0.001</strong>" in page
    bodies = re.findall(r'<tbody data-key="(\w+)" data-text="([^"]*)"', page)
    assert len(bodies) == 25 and "lr=0.001" in bodies[0][1] and "seed=1" in bodies[0][1]
    assert page.count('href="0_size8_lr0.001_seed0/"') == 1
    assert page.count("the loss became inf") == 2
    assert re.search(r"49_size128_lr0.1_seed1 <span class=\"pill[ ]?\">missing", page)
    curves = re.findall(r'class="curve c(\w)" data-key="(\w+)"', page)
    assert len(curves) == 49 and ("0", "t0r0") in curves and ("x", "t0r24") in curves
    assert page.count('class="curve ranked"') == 47


def test_a_sweep_whose_jobs_left_nothing(empty_folder: Path) -> None:
    place = empty_folder / "sweep"
    write_sweep(place)
    for run in place.glob("*/run.json"):
        run.unlink()
    page = page_of(place)
    assert page.count("missing") >= 50 and "Leaderboard" not in page


def test_a_damaged_run_hides_no_other(empty_folder: Path, capsys: Capture) -> None:
    for name in ("good", "bad"):
        write_run(empty_folder / "runs" / name)
    (empty_folder / "runs" / "bad" / "run.json").write_text("[")
    page = page_of(empty_folder / "runs")
    assert "1 completed" in page and "1 damaged" in page and "is not valid JSON" in page
    write_sweep(empty_folder / "sweep")
    (empty_folder / "sweep" / sweep.FILE).write_text("[]")
    assert "sweep.json is damaged" in refusal(capsys, empty_folder / "sweep")


def test_what_follows_from_auto_is_no_setting_of_a_sweep(empty_folder: Path) -> None:
    write_run(empty_folder / "runs" / "a", {"optimizer.lr": 0.1, "monitor": "val/loss"})
    write_run(empty_folder / "runs" / "b", {"optimizer.lr": 0.2}, status="failed")
    page = page_of(empty_folder / "runs")
    assert ">lr</button>" in page and ">monitor</button>" not in page


def test_a_search_has_its_study(empty_folder: Path, capsys: Capture) -> None:
    optuna = pytest.importorskip("optuna")
    place = empty_folder / "search"
    for number in range(4):
        write_run(place / f"{number}_gru", {"optimizer.lr": 0.01 * (number + 1)})
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(storage=f"sqlite:///{place / 'study.db'}", study_name="search")
    for number in range(4):
        trial = study.ask()
        trial.suggest_float("optimizer.lr", 0.01, 0.1)
        trial.set_user_attr("metric", "val/<b>")
        study.tell(trial, 1.0 + number)
    before = (place / "study.db").read_bytes()
    page = page_of(place)
    assert "search: 4 trials: 4 completed" in page and "val/&lt;b&gt;" in page
    assert "Monitored metric by trial" in page and "Leaderboard" in page
    assert (place / "study.db").read_bytes() == before and "study.db-journal" not in page
    (place / "study.db").write_bytes(before[:4096] + b"\0" * 4096)
    assert "study.db cannot be read as the study search" in refusal(capsys, place)


def test_a_back_test(empty_folder: Path, capsys: Capture) -> None:
    place = empty_folder / "backtest"
    place.mkdir()
    content = {
        "status": "completed",
        "run": {"digest": "a", "name": "mine"},
        "steps": {"horizon": 2},
    }
    (place / "backtest.json").write_text(json.dumps(content))
    (place / "metrics.json").write_text('{"backtest/mase": 0.5, "baseline/naive/mase": 2.0}')
    (place / "by_step.csv").write_text("step,mase\n1,0.25\n2,0.75\n")
    (place / "by_series.csv").write_text("series,mase\na&b,0.5\n")
    page = page_of(place)
    assert "mase by step" in page and "a&amp;b" in page and "naive" in page and "2.000" in page
    (place / "by_step.csv").write_text("step,mase\n1,0.25,3\n")
    assert "by_step.csv is damaged" in refusal(capsys, place)


def test_a_sweep_names_the_command(empty_folder: Path, capsys: Capture) -> None:
    from rnnexp.commands.leaderboard import show_sweep

    write_run(empty_folder / "sweep" / "a")
    show_sweep(empty_folder / "sweep", [], 1)
    said = capsys.readouterr().out
    assert re.search(r"a page       \S*rnnexp report sweep", said)
    assert main(["report", "sweep"]) == 0
