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
    assert len(bodies) == 25 and "lr=0.001" in bodies[0][1]
    assert "seed=" not in bodies[0][1], "a row is the mean over its seeds"
    assert page.count('href="0_size8_lr0.001_seed0/"') == 1
    assert page.count("the loss became inf") == 2
    assert re.search(r"Try again: <code>\S*rnnexp resume sweep --failed</code>", page)
    assert re.search(r"49_size128_lr0.1_seed1 <span class=\"pill[ ]?\">missing", page)
    curves = re.findall(r'class="curve c(\w)" data-key="(\w+)"', page)
    assert len(curves) == 49 and ("0", "t0r0") in curves and ("x", "t0r24") in curves
    assert page.count('class="curve ranked"') == 47


MAE = {"name": "mae_MW", "unit": "MW", "lower_is_better": True}


def test_everything_that_has_a_unit_shows_it(empty_folder: Path) -> None:
    for seed in (0, 1):
        lr = {"optimizer.lr": 0.1, "seed": seed, "monitor": "val/mae_MW", "smape": 60.0 + seed}
        write_run(empty_folder / "runs" / f"{seed}", lr, headline=[MAE])
        write_run(empty_folder / "runs" / f"other{seed}", lr | {"optimizer.lr": 1}, headline=[MAE])
    page = page_of(empty_folder / "runs")
    assert "60.50</span>" not in page and re.search(
        r'60\.50 <small class="deviation">± 0\.71</small> <small>MW<', page
    )
    assert '<text class="name" x="660.0" y="16" text-anchor="middle">mae in MW</text>' in page
    assert "<figcaption>mae in MW, validation" in page and "seed 0: 60.00 MW" in page
    page = page_of(empty_folder / "runs" / "0")
    assert "<figcaption>mae in MW, validation" in page and "60.00 <small>MW</small>" in page


def test_a_baseline_that_is_better_than_every_run_is_named(empty_folder: Path) -> None:
    naive = [3.0, 3.0, 3.5]
    for number in range(3):
        values = {"optimizer.lr": number + 1.0, "smape": 4.0 + number, "naive": naive[number]}
        write_run(empty_folder / "runs" / str(number), values)
    write_run(empty_folder / "runs" / "failed", status="failed")
    said = "A baseline is better than every run here: naive, smape 3.500 % against 4.000 %."
    page = page_of(empty_folder / "runs")
    assert said in page and '<td class="number">3.000 to 3.500</td>' in page
    assert "naive: 3.500" in page, "beside the best run"
    one = page_of(empty_folder / "runs" / "0")
    assert "than this run: naive, smape 3.000 % against 4.000 %." in one
    write_run(empty_folder / "runs" / "good", {"smape": 1.0, "optimizer.lr": 9.0})
    assert "A baseline is better" not in page_of(empty_folder / "runs")
    assert "A baseline is better" not in page_of(empty_folder / "runs" / "good")


def test_a_part_of_the_test_set_is_compared_with_no_baseline(empty_folder: Path) -> None:
    part = {"smape": 4.0, "trainer.limit_test_batches": 1}
    page = page_of(write_run(empty_folder / "runs" / "0", part))
    assert "tested with trainer.limit_test_batches=1, and the baselines on the whole" in page
    assert "A baseline is better" not in page and "the same test data" not in page
    assert "A baseline is better" not in page_of(empty_folder / "runs")


def test_a_table_of_one_row_has_no_filter(empty_folder: Path) -> None:
    write_run(empty_folder / "runs" / "0")
    assert '<input type="search"' not in page_of(empty_folder / "runs")


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
