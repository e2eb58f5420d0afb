"""The study of one-hot words against embeddings: its trainings, its table, its picture."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from experiments import study
from experiments.sentiment import one_hot
from rnnexp.config import check, compose
from rnnexp.runs.comparison.leaderboard import Entry
from rnnexp.runs.settings import resolve

WORKS = "sentiment_gru_onehot_works"


def entry(folder: Path, name: str, seed: int, accuracy: float, memory: int | None) -> Entry:
    """A completed run of ten seconds an epoch, over 400 reviews."""
    run: dict[str, Any] = {"parameters": 1_000_000, "split": {"training": {"documents": 400}}}
    if memory:
        run["peak_memory_bytes"] = memory
    folder.mkdir()
    (folder / "run.json").write_text(json.dumps(run))
    return Entry(
        folder=folder,
        status="completed",
        damage="",
        seed=seed,
        config={"name": name, "trainer.max_epochs": 2},
        data="d",
        title="reviews",
        headline=["accuracy"],
        lower_is_better=False,
        metrics={"test/accuracy": accuracy, "baseline/nb_svm/accuracy": 0.85},
        seconds=20.0,
    )


@pytest.fixture
def runs(tmp_path: Path) -> list[Entry]:
    return [
        entry(tmp_path / "c", "sentiment_best", 0, 0.9, None),
        entry(tmp_path / "d", "sentiment_gru_embeddings", 0, 0.5, None),
        entry(tmp_path / "a", WORKS, 0, 0.80, 2 * 10**9),
        entry(tmp_path / "b", WORKS, 1, 0.84, 10**9),
    ]


def test_costs_are_means_in_the_order_of_the_table(runs: list[Entry]) -> None:
    works, vectors = one_hot.costs(runs)
    assert (works.name, works.seeds, works.parameters) == (WORKS, [0, 1], 1_000_000)
    assert (works.memory, works.epoch, works.review) == (2e9, 10.0, 0.025)
    assert works.accuracy == pytest.approx(0.82)
    assert works.deviation == pytest.approx(0.04 / math.sqrt(2))
    assert vectors.name == "sentiment_gru_embeddings"
    assert math.isnan(vectors.memory) and math.isnan(vectors.deviation)
    assert one_hot.costs(runs[:1]) == []


def test_the_table_has_every_cost_and_the_baselines(runs: list[Entry]) -> None:
    text = one_hot.table(one_hot.costs(runs), one_hot.baselines(runs))
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert rows[2] == (
        "| one-hot | 2 x 512 | ours | 1,000,000 | 2.00 | 10 | 25 | 0.8200 ± 0.0283 | 0 1 |"
    )
    assert rows[3].startswith("| GloVe | 2 x 200 | the lecture's | 1,000,000 |  | 10 |")
    assert text.rstrip().endswith("Baselines on the words of our trainings: nb_svm 0.8500.")
    assert "Baselines" not in one_hot.table(one_hot.costs(runs), {})
    assert one_hot.baselines(runs[:2]) == {}


def test_the_picture_shows_what_was_measured_and_what_was_not(runs: list[Entry]) -> None:
    figure = one_hot.draw(one_hot.costs(runs), one_hot.baselines(runs))
    texts = [[text.get_text() for text in axes.texts] for axes in figure.axes]
    assert texts == [["1.0", "1.0"], ["2.00", "not recorded"], ["25", "25"], ["82.0", "50.0"]]
    assert "nb_svm" in figure.axes[3].get_xlabel()
    assert "dashed" not in one_hot.draw(one_hot.costs(runs), {}).axes[3].get_xlabel()


@pytest.mark.parametrize("name", one_hot.TRAININGS)
def test_every_training_is_a_config_of_its_name(name: str) -> None:
    overrides = [*one_hot.TRAININGS[name].overrides, f"name={name}", "trainer.accelerator=cpu"]
    config = resolve(compose(overrides))
    check(config)
    assert config.name == name
    is_one_hot = "OneHotTokens" in config.model.representation._target_
    assert is_one_hot == one_hot.TRAININGS[name].words.startswith("one-hot")


class Completed:
    """In the place of trainings: what is asked for, and some runs."""

    def __init__(self, runs: list[Entry], monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[tuple[str, list[int]]] = []
        monkeypatch.setattr(study, "jobs_of", self.jobs_of)
        monkeypatch.setattr(study, "complete", lambda *arguments: (runs, []))
        monkeypatch.setattr(study, "trained_on", lambda runs: "Trained on: some processor.")

    def jobs_of(self, trainings: list[tuple[str, ...]], seeds: list[int]) -> list[study.Job]:
        (overrides,) = trainings
        self.asked.append((next(one for one in overrides if one.startswith("name=")), list(seeds)))
        return []


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    page = "# Question\n<!-- one-hot: begin -->\nold\n<!-- one-hot: end -->\n# Conclusion\n"
    (tmp_path / "README.md").write_text(page)
    expect(tmp_path, 0.82)
    monkeypatch.setattr(one_hot, "HERE", tmp_path)
    return tmp_path


def expect(here: Path, accuracy: float) -> None:
    (here / "expected_one_hot.yaml").write_text(
        f"- {{runs: name={WORKS}, metric: accuracy, expected: {accuracy}, tolerance: 0.01}}"
    )


def test_the_whole_study_writes_table_and_figure(
    here: Path, runs: list[Entry], monkeypatch: pytest.MonkeyPatch
) -> None:
    completed = Completed(runs[1:], monkeypatch)
    assert one_hot.main([]) == 0
    assert [name for name, _ in completed.asked] == [f"name={name}" for name in one_hot.TRAININGS]
    assert all(seeds == [0] for _, seeds in completed.asked)
    page = (here / "README.md").read_text()
    assert "old" not in page and "| one-hot | 2 x 512 | ours |" in page
    assert "Trained on: some processor." in page and page.endswith("# Conclusion\n")
    assert (here / "one_hot.png").read_bytes().startswith(b"\x89PNG")
    expect(here, 0.9)
    assert one_hot.main([]) == 1


def test_a_part_is_shown_and_not_written(
    here: Path, runs: list[Entry], monkeypatch: pytest.MonkeyPatch
) -> None:
    Completed(runs[1:], monkeypatch)
    before = (here / "README.md").read_text()
    assert one_hot.main(["--only", WORKS]) == 0
    assert (here / "README.md").read_text() == before
