"""The study of gating, shrunk: what is trained, what its table and its figure show."""

from collections.abc import Sequence
from pathlib import Path
from threading import Barrier

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from omegaconf import DictConfig, OmegaConf

from experiments import study
from experiments.gating import study as gating
from rnnexp.callbacks.gradient_flow import GRADIENT_FLOW_CSV
from rnnexp.config import config_dir
from rnnexp.runs.comparison.leaderboard import find_runs
from rnnexp.runs.folder.record import RunRecord
from rnnexp.tasks.metric import Metric
from tests.experiments.shrunk import (
    TEXT,
    Jobs,
    Recorder,
    Whole,
    composed,
    own_environment,
    run_whole,
    study_folder,
    table_cells,
)

SMALL = ["data.number=40", "trainer.max_epochs=1", "model.hidden_size=4"]
EVERY_CELL = [*gating.UNGATED, *gating.GATED]
CELLS = ["vanilla", "mgu2", "lstm_cell"]


def prepare(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of the study's own; few cells, two distances."""
    own_environment(folder, monkeypatch)
    here = study_folder(
        folder / "gating",
        'runs: "name=lstm_cell,model.recurrence.forget_bias=5.0,data.distance=7", '
        "metric: accuracy, expected: 0.9, tolerance: 0.001",
    )
    monkeypatch.setattr(gating, "HERE", here)
    monkeypatch.setattr(gating, "DISTANCES", [3, 7])
    monkeypatch.setattr(gating, "UNGATED", CELLS[:1])
    monkeypatch.setattr(gating, "GATED", CELLS[1:])
    return here


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return prepare(tmp_path, monkeypatch)


def results(config: DictConfig, record: RunRecord) -> dict[str, float]:
    """With a forget bias, accuracies of 0.8, 0.9 and 1 and a gradient that halves every step.
    Without one, accuracies of 0.4, 0.5 and 0.6 and a gradient that starts from twice as much, falls
    to a tenth every step, and is zero after the training."""
    kept, distance = config.model.recurrence.forget_bias > 0, config.data.distance
    steps = np.arange(distance + 1)
    before = 0.5**steps if kept else 2 * 0.1**steps
    after = 1e-3 * before if kept else 0 * before
    both = {0: before, 1: after}
    rows = [(e, d, norm) for e, norms in both.items() for d, norm in enumerate(norms)]
    table = pd.DataFrame(rows, columns=["epochs", "distance", "gradient_norm"])
    table.to_csv(record.folder / GRADIENT_FLOW_CSV, index=False)
    return {"test/accuracy": (0.8 if kept else 0.4) + 0.1 * config.seed}


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
    return run_whole(tmp_path_factory.mktemp("whole"), shrunk_jobs(), prepare, gating.main)


def test_the_whole_study_trains_every_cell_and_writes_table_and_figure(
    whole: Whole,
) -> None:
    assert whole.code == 0
    assert len(whole.asked) == len(set(whole.asked)) == (3 + 1) * 2 * 3
    before, _, rest = (whole.here / "README.md").read_text().partition(study.BEGIN)
    table, _, after = rest.partition(study.END)
    assert (before, after) == ("# Question\n\n", "\n\n# Conclusion\n")
    assert "old" not in table and "Trained on: some processor, threads: 2." in table

    reached, left = table.split("**What is left")
    lines = [table_cells(line) for line in reached.splitlines() if line.startswith("|")][2:]
    assert [line[0] for line in lines] == [*CELLS, "lstm_cell"]
    assert [line[1] for line in lines] == [gating.NO_GATE, gating.HALF, gating.HALF, gating.KEPT]
    as_drawn, kept = ["0.500 ± 0.100"] * 2, ["0.900 ± 0.100"] * 2
    assert [line[2:] for line in lines] == [as_drawn] * 3 + [kept]

    lines = [table_cells(line) for line in left.splitlines() if line.startswith("|")][2:]
    assert [line[2:] for line in lines] == [["1e-07", "1e-07"]] * 3 + [["8e-03", "8e-03"]]
    assert "gradient over 7 words" in left
    assert (whole.here / "gating.png").stat().st_size > 20_000
    assert "met" in whole.said


def test_a_missed_expectation_is_code_1(
    place: Path, trained: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a study of one cell."""
    monkeypatch.setattr(gating, "DISTANCES", [7])
    monkeypatch.setattr(gating, "UNGATED", [])
    monkeypatch.setattr(gating, "GATED", ["lstm_cell"])
    monkeypatch.setattr(gating, "draw", lambda rows: Figure())
    path = place / "expected.yaml"
    path.write_text(path.read_text().replace("0.9,", "0.95,"))
    assert gating.main([]) == 1


def test_a_part_is_shown_and_not_written_and_is_not_trained_again(
    place: Path,
    trained: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gating, "DISTANCES", [7])
    part = ["--only", "mgu2", "lstm_cell", "--seeds", "0"]
    assert gating.main(part) == 0
    assert "only the whole study" in capsys.readouterr().out
    assert (place / "README.md").read_text() == TEXT
    assert len(trained) == 3
    assert gating.main([*part, "--at-once", "2"]) == 0
    assert len(trained) == 3
    assert gating.main([*part, "optimizer.lr=0.5"]) == 0
    assert len(trained) == 6


def test_every_cell_of_the_config_group_is_in_the_study() -> None:
    files = sorted((config_dir() / "model/recurrence").glob("[!_]*.yaml"))
    cells = [one.stem for one in files if "TorchRecurrence" not in one.read_text()]
    variants = [name for name in cells if name.startswith("textnet") and name != "textnet_order2"]
    assert sorted(EVERY_CELL) == sorted(set(cells) - set(variants))


def test_what_the_study_fixes_is_the_same_for_all_cells() -> None:
    """But for the cell itself, and the bias of its gate."""
    configs = [composed(one) for one in gating.trainings(CELLS, []) if "data.distance=3" in one]
    assert len(configs) == 4
    for config in configs:
        del config.model.recurrence, config.name
    assert len({OmegaConf.to_yaml(config) for config in configs}) == 1


def rows(groups: Sequence[str]) -> list[gating.Row]:
    found = []
    for number, group in enumerate(groups):
        row = gating.Row(f"cell{number}", group)
        for distance in (3, 7):
            row.accuracy[distance] += [0.5, 1.0]
            curve = np.array([0.5**k for k in range(distance + 1)])
            row.before[distance] += [curve, 4 * curve]
            row.after[distance] += [curve, curve]
        found.append(row)
    return found


def test_the_mean_of_curves_is_geometric() -> None:
    (row,) = rows([gating.HALF])
    assert row.left(row.before, 3) == pytest.approx([2, 1, 0.5, 0.25])
    row.after[3].append(np.zeros(4))
    assert row.left(row.after, 3).tolist() == [0, 0, 0, 0]
    assert np.isnan(row.left(row.after, 9)).all() and np.isnan(row.mean(9))


def test_the_figure_has_a_curve_and_a_line_of_numbers_for_every_row() -> None:
    before, after, numbers = gating.draw(rows(list(gating.COLORS))).axes
    assert [line.get_color() for line in before.lines] == list(gating.COLORS.values())
    assert np.size(before.lines[0].get_xdata()) == 8  # of the longest distance
    assert before.get_yscale() == after.get_yscale() == "log"
    assert [text.get_text() for text in numbers.texts if text.get_text() == "75"] == ["75"] * 6
    assert [text.get_text() for text in numbers.texts if "keeps" in text.get_text()] == list(
        gating.COLORS
    )
    assert [label.get_text() for label in numbers.get_yticklabels()] == ["cell0", "cell1", "cell2"]
    shades = {patch.get_facecolor() for patch in numbers.patches if isinstance(patch, Rectangle)}
    assert len(shades) == 3


@pytest.mark.slow
def test_jobs_are_trained_in_processes_of_their_own_at_the_same_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two jobs wait for each other. One of them is enough to see that a process trains it."""
    monkeypatch.setattr(gating, "DISTANCES", [3])
    both, in_a_process, recorded = Barrier(2), study.train, shrunk_jobs()

    def train(job: study.Job, folder: Path) -> int:
        both.wait(timeout=60)
        is_kept = "model.recurrence.forget_bias=5.0" in job.overrides
        return (in_a_process if is_kept else recorded)(job, folder)

    monkeypatch.setattr(study, "train", train)
    part = ["--only", "lstm_cell", "--seeds", "0", "--at-once", "2"]
    assert gating.main([*SMALL, *part]) == 0
    entries = find_runs([Path("outputs/studies/gating")])
    assert [entry.status for entry in entries] == ["completed"] * 2
    assert all((entry.folder / GRADIENT_FLOW_CSV).exists() for entry in entries)
