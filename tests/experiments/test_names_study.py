"""The study of last names on small files: what is trained, what its tables and its figure show."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from omegaconf import DictConfig

from experiments import study
from experiments.names import study as names
from rnnexp.runs.comparison.leaderboard import find_runs
from rnnexp.runs.folder.record import RunRecord
from rnnexp.tasks.metric import Metric
from tests.experiments.shrunk import (
    TEXT,
    Jobs,
    Recorder,
    Whole,
    own_environment,
    run_whole,
    study_folder,
)
from tests.support.name_files import ENDINGS, write_name_files

LANGUAGES = list(ENDINGS)


def prepare(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of the study's own; names in small files."""
    own_environment(folder, monkeypatch)
    write_name_files(folder / "data" / "names")
    here = study_folder(
        folder / "study",
        'runs: "name=names_gru,data.split=names", metric: accuracy, expected: 0.6, '
        "tolerance: 0.001",
    )
    monkeypatch.setattr(names, "HERE", here)
    return here


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return prepare(tmp_path, monkeypatch)


def results(config: DictConfig, record: RunRecord) -> dict[str, float]:
    """By rows accuracies of 0.7, 0.8 and 0.9, by names 0.2 less; the first language is always told,
    the others never."""
    accuracy = (0.7 if config.data.split == "rows" else 0.5) + 0.1 * config.seed
    metrics = {f"test/{name}": accuracy for name in names.METRICS}
    metrics |= {f"test/recall/{one}": float(one == LANGUAGES[0]) for one in LANGUAGES}
    tested = LANGUAGES[:1] + LANGUAGES[1:2] * 3 + LANGUAGES[2:] * 2
    record.predictions(pd.DataFrame({"target": tested}))
    return metrics | {"baseline/ngrams/accuracy": 0.45, "baseline/a_guess/accuracy": 0}


def shrunk_jobs() -> Jobs:
    return Jobs(Recorder(Metric("accuracy", "", lower_is_better=False), results))


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The jobs that were run."""
    jobs = shrunk_jobs()
    monkeypatch.setattr(study, "train", jobs)
    return jobs.asked


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    return run_whole(tmp_path_factory.mktemp("whole"), shrunk_jobs(), prepare, names.main)


def test_the_whole_study_writes_a_table_a_split_and_a_figure(whole: Whole) -> None:
    assert whole.code == 0
    ours = [
        f"experiment={name} data.split={split}" for name in names.OURS for split in names.SPLITS
    ]
    asked = [*ours, "experiment=names_char_rnn data.split=rows"]
    assert whole.asked == [f"{one} seed={seed}" for one in asked for seed in (0, 1, 2)]

    before, _, rest = (whole.here / "README.md").read_text().partition(study.BEGIN)
    table, _, after = rest.partition(study.END)
    assert (before, after) == ("# Question\n\n", "\n\n# Conclusion\n")
    by_rows, by_names = table.split("Split `names`")
    assert by_rows.count("| 0.8000 ± 0.10 | 0.8000 ± 0.10 |") == 3
    assert by_names.count("| 0.6000 ± 0.10 | 0.6000 ± 0.10 |") == 2
    assert "names_char_rnn" in by_rows and "names_char_rnn" not in by_names
    assert by_rows.count("| ngrams |") == by_names.count("| ngrams |") == 1
    assert (whole.here / "names.png").stat().st_size > 20_000
    assert "met" in whole.said


def test_a_missed_expectation_is_code_1(
    place: Path, whole: Whole, trained: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole.leave_runs()
    monkeypatch.setattr(names, "draw", lambda runs, rows: Figure())
    path = place / "expected.yaml"
    path.write_text(path.read_text().replace("0.6,", "0.7,"))
    assert names.main([]) == 1
    assert trained == []


def test_a_part_is_shown_and_not_written(
    place: Path, trained: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert names.main(["--only", names.LECTURE, "--seeds", "1"]) == 0
    shown = capsys.readouterr().out
    assert "only the whole study" in shown and "Split names" not in shown
    assert (place / "README.md").read_text() == TEXT
    assert trained == ["experiment=names_char_rnn data.split=rows seed=1"]


def test_the_figure_shows_every_seed_and_every_language(whole: Whole) -> None:
    runs = find_runs([whole.outputs])
    rows = {split: names.rows_of(runs, split) for split in names.SPLITS}
    accuracies, languages = names.draw(runs, rows).axes
    found = [np.sort(np.asarray(line.get_xdata())).tolist() for line in accuracies.lines]
    assert found.count(pytest.approx([70, 80, 90])) == 3
    assert found.count(pytest.approx([50, 60, 70])) == 2
    assert found.count([45]) == found.count([0]) == 2  # the baselines, on each split
    labels = [label.get_text() for label in accuracies.get_yticklabels()]
    assert sorted(labels[:3]) == ["names best", "names char rnn", "names gru"]
    assert labels[3:] == ["ngrams", "a guess"]

    # The most frequent one of the test first.
    labels = [label.get_text() for label in languages.get_yticklabels()]
    assert labels == ["Finnish, 3", "Italian, 2", "Welsh, 2", "Czech, 1"]
    widths = [[bar.get_width() for bar in bars] for bars in languages.containers]
    assert widths == [[0, 0, 0, 100]] * 3
