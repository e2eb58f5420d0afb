"""The figures of a run, drawn again from its folder, and those of many runs for a paper."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

import rnnexp
from rnnexp.callbacks.figures import sign_as
from rnnexp.cli import main
from rnnexp.runs.comparison.leaderboard import find_runs
from rnnexp.runs.figures.learning_curves import COLOURS, _label, curves_of, learning_curves
from rnnexp.runs.figures.of_run import figures_of
from rnnexp.runs.figures.paper import COLUMN, PAGE, fit, paper, save
from tests.support.shrink import QUIET, SYNTHETIC_LOAD, TINY

Capture = pytest.CaptureFixture[str]

REVIEWS = ["data=synthetic_reviews", "data.per_class=20", "model=gru"]
NAMES = ["data=synthetic_names", "data.number=20", "model=gru"]
LOAD = ["data=synthetic_load", *SYNTHETIC_LOAD]
AHEAD = [*LOAD, "task=horizon", "data.horizon=6", "data.test_windows=4", "model=gru"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RNNEXP_CACHE", str(tmp_path / "cache"))
    return tmp_path


@pytest.mark.parametrize("settings", [REVIEWS, NAMES, LOAD, AHEAD], ids=" ".join)
def test_from_the_folder_alone_come_the_pictures_that_the_run_saved(
    here: Path, settings: list[str]
) -> None:
    rnnexp.run([*settings, *TINY, "hydra.run.dir=run"])
    saved = {path.relative_to("run/figures").with_suffix("").as_posix(): path for path in pngs()}
    drawn = figures_of(Path("run"))
    assert set(drawn) == set(saved) and "loss" in drawn
    for name, figure in drawn.items():
        sign_as(figure, signed(Path("run")), "run")
        figure.savefig(here / "again.png", dpi=110)
        assert np.array_equal(imread(here / "again.png"), imread(saved[name])), name


def pngs() -> Iterator[Path]:
    return Path("run/figures").rglob("*.png")


def signed(folder: Path) -> str:
    loaded = rnnexp.load(folder)
    return f"{loaded.config.name}, {loaded.record.get('label') or f'seed {loaded.config.seed}'}"


def test_a_sweep_has_a_band_over_the_seeds_of_each_setting(here: Path, capsys: Capture) -> None:
    sweep = ["-m", "model.hidden_size=2,4", "seed=0,1,2", "hydra.sweep.dir=sweep"]
    small = [*LOAD, *TINY, *QUIET, "trainer.max_epochs=2"]
    assert main(["train", *small, *sweep]) == 0
    entries = find_runs([Path("sweep")])
    curves = curves_of(entries)
    assert sorted(curve.label for curve in curves) == ["hidden_size=2", "hidden_size=4"]
    assert [curve.values("train/loss").shape for curve in curves] == [(3, 2)] * 2
    means = {
        f"hidden_size={size}": np.mean(
            [e.metrics["test/smape"] for e in entries if e.config["model.hidden_size"] == size]
        )
        for size in (2, 4)
    }
    assert [curve.label for curve in curves] == sorted(means, key=means.__getitem__)
    figure = learning_curves(entries)
    left, right = figure.axes
    (best, _) = left.get_lines()
    assert np.asarray(best.get_ydata()) == pytest.approx(curves[0].values("train/loss").mean(0))
    assert right.get_ylabel() == "validation smape, %"
    assert len(left.collections) == 2 and "3 seeds" in str(figure.get_suptitle())

    capsys.readouterr()
    assert main(["figures", "sweep"]) == 0
    printed = capsys.readouterr()
    assert printed.err.count("has no figures") == 6
    assert re.findall(r"written +(\S+)", printed.out) == ["figures/learning_curves.pdf"]
    text = Path("figures/learning_curves.pdf").read_bytes()
    assert text.startswith(b"%PDF") and b"/Type3" not in text and b"/FontFile2" in text


@pytest.mark.parametrize(
    ("column", "label"),
    [
        ("val/smape", "validation smape, %"),
        ("val/mae_MW", "validation mae, MW"),
        ("val/macro_f1", "validation macro f1"),
        ("val/loss", "validation loss"),
    ],
)
def test_a_metric_has_its_unit_once(column: str, label: str) -> None:
    assert _label(column, {"smape": "%", "mae_MW": "MW", "macro_f1": ""}) == label


def test_of_many_settings_the_best_have_a_colour(here: Path) -> None:
    rnnexp.run([*LOAD, *TINY, *QUIET, "hydra.run.dir=runs/a"])
    (one,) = find_runs([Path("runs")])
    many: list[Any] = []
    for number in range(len(COLOURS) + 3):
        config = one.config | {"model.hidden_size": number}
        many.append(type(one)(**(vars(one) | {"config": config, "choices": {}})))
    (legend,) = learning_curves(many).legends
    texts = [text.get_text() for text in legend.get_texts()]
    assert len(texts) == len(COLOURS) + 1 and texts[-1] == "the other 3"


@pytest.mark.parametrize(("width", "target"), [(9, COLUMN), (14, PAGE)])
def test_a_figure_is_as_wide_as_a_column_or_the_page(
    tmp_path: Path, width: float, target: float
) -> None:
    with paper():
        figure = Figure(figsize=(width, 4), layout="constrained")
        figure.subplots().plot([1, 2], label="a label of\ntwo lines")
        figure.legend(loc="outside right upper")
        fit(figure)
        save(figure, tmp_path / "a" / "one.svg")
        save(figure, tmp_path / "two.svg")
    assert figure.get_size_inches()[0] == pytest.approx(target)
    assert figure.legends[0].get_texts()[0].get_text() == "a label of two lines"
    one = (tmp_path / "a" / "one.svg").read_bytes()
    assert one == (tmp_path / "two.svg").read_bytes() and b"<text" not in one


def test_what_cannot_be_drawn_is_one_sentence(here: Path, capsys: Capture) -> None:
    rnnexp.run([*LOAD, *TINY, "hydra.run.dir=run"])
    capsys.readouterr()
    assert main(["figures", "nowhere"]) == 2
    assert "there is no folder nowhere" in capsys.readouterr().err
    text = Path("run/predictions.csv").read_text()
    Path("run/predictions.csv").write_text(text.replace("timestamp", "time", 1))
    assert main(["figures", "run", "--format", "svg"]) == 2
    assert "run: its predictions.csv" in capsys.readouterr().err
    assert not Path("figures").exists()
