"""What studies share, and the study of power load: what is run, what is kept, what is written."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from omegaconf import DictConfig

from experiments import study
from experiments.power_load import study as power_load
from rnnexp import cli
from rnnexp.errors import UserError
from rnnexp.process.locks import locked
from rnnexp.runs.comparison.leaderboard import find_runs
from rnnexp.runs.folder.reading import LOCK
from rnnexp.runs.folder.record import RunRecord
from rnnexp.tasks.metric import Metric
from tests.experiments.shrunk import (
    TEXT,
    Jobs,
    Recorder,
    own_environment,
    study_folder,
    table_cells,
)
from tests.support import REPOSITORY
from tests.support.load_files import write_load_files

SMALL = ["data.look_back=30", "data.batch_size=16", "trainer.accelerator=cpu"]
OURS, LECTURE = "power_load_pmgru", "power_load_pmgru_lecture"


@pytest.fixture(autouse=True)
def place(empty_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Small data, and a folder of the study's own."""
    own_environment(tmp_path, monkeypatch)
    write_load_files(tmp_path / "data" / "power_load")
    here = study_folder(
        tmp_path / "power_load", f"runs: name={OURS}, metric: smape, expected: 2.0, tolerance: 0.01"
    )
    monkeypatch.setattr(power_load, "HERE", here)
    monkeypatch.setattr(power_load, "require_lightgbm", lambda: None)
    monkeypatch.setattr(power_load, "lightgbm_rows", lambda run: [])
    monkeypatch.setattr(power_load, "EXPERIMENTS", [OURS, LECTURE])
    # The small files are too short for the lecture's batches and for windows of 128 hours.
    original = study.plan
    monkeypatch.setattr(study, "plan", lambda e, s, o: original(e, s, [*o, *SMALL]))
    return here


def results(config: DictConfig, record: RunRecord) -> dict[str, float]:
    """sMAPE is 1 + seed."""
    tested = {"smape": 1.0 + config.seed, "mae_MW": 10.0, "rmse_MW": 20.0}
    baseline = {"smape": 3.25, "mae_MW": 30.0, "rmse_MW": 40.0}
    return {f"test/{name}": value for name, value in tested.items()} | {
        f"baseline/naive/{name}": value for name, value in baseline.items()
    }


@pytest.fixture
def recorder() -> Recorder:
    return Recorder(Metric("smape", "", lower_is_better=True), results)


@pytest.fixture
def trained(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The jobs that were run."""
    jobs = Jobs(recorder, hidden=SMALL)
    monkeypatch.setattr(study, "train", jobs)
    return jobs.asked


def job_of(experiment: str, seed: int) -> str:
    return f"experiment={experiment} seed={seed}"


# The whole study --------------------------------------------------------------------------------


def test_the_whole_study_writes_table_and_figure(place: Path, trained: list[str]) -> None:
    assert power_load.main(["--lightgbm"]) == 0
    assert trained == [job_of(name, s) for name in (OURS, LECTURE) for s in (0, 1, 2)]
    text = (place / "README.md").read_text()
    before, _, rest = text.partition(study.BEGIN)
    table, _, after = rest.partition(study.END)
    assert (before, after) == ("# Question\n\n", "\n\n# Conclusion\n")
    assert "old" not in table and "2 series, 174 windows" in table
    rows = [table_cells(line) for line in table.splitlines()]
    found = {row[0]: row[1:] for row in rows if row}
    head = found["name"]
    ours = dict(zip(head, found[OURS], strict=True))
    assert ours["smape"] == "2.000 ± 1.0"  # 1, 2 and 3
    assert (ours["seeds"], ours["parameters"]) == ("0 1 2", "12,800")
    baseline = dict(zip(head, found["naive"], strict=True))
    assert (baseline["smape"], baseline["seeds"], baseline["parameters"]) == ("3.250", "", "")
    assert "Trained on: some processor, threads: 2." in table
    assert (place / "smape.png").stat().st_size > 5000


def test_a_missed_expectation_is_code_1(
    place: Path, trained: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    path = place / "expected.yaml"
    path.write_text(path.read_text().replace("2.0,", "2.5,"))
    assert power_load.main(["--lightgbm"]) == 1
    assert "missed" in capsys.readouterr().out


def test_a_part_of_the_study_is_shown_and_not_written(
    place: Path, trained: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    parts = [[], ["--lightgbm", "--only", OURS], ["--lightgbm", "--seeds", "0,1"],
             ["--lightgbm", "optimizer.lr=0.5", "--seeds", "0,1,2"]]  # fmt: skip
    for part in parts:
        assert power_load.main(part) == 0
        assert "only the whole study" in capsys.readouterr().out
    assert (place / "README.md").read_text() == TEXT
    assert len([job for job in trained if "optimizer.lr=0.5" in job]) == 6


# What is run, and what is kept ------------------------------------------------------------------


def test_what_is_completed_is_kept(trained: list[str]) -> None:
    assert power_load.main(["--only", OURS, "--seeds", "0"]) == 0
    assert power_load.main(["--only", OURS, LECTURE, "--seeds", "0,1"]) == 0
    assert trained == [job_of(OURS, 0), job_of(OURS, 1), job_of(LECTURE, 0), job_of(LECTURE, 1)]


def test_fresh_starts_again_beside_the_old_runs(trained: list[str]) -> None:
    part = ["--only", OURS, "--seeds", "0"]
    assert power_load.main(part) == 0
    assert power_load.main([*part, "--fresh"]) == 0
    assert power_load.main(part) == 0
    assert trained == [job_of(OURS, 0)] * 2
    assert len(find_runs([Path("outputs")])) == 2


def test_other_data_or_settings_are_another_run(trained: list[str], tmp_path: Path) -> None:
    part = ["--only", OURS, "--seeds", "0"]
    assert power_load.main(part) == 0
    assert power_load.main(["optimizer.lr=0.5", *part]) == 0
    write_load_files(tmp_path / "data" / "power_load", hours=950)
    assert power_load.main(part) == 0
    assert len(trained) == 3


def test_runs_made_elsewhere_count(trained: list[str], recorder: Recorder, tmp_path: Path) -> None:
    overrides = (f"experiment={OURS}", *SMALL)
    recorder.write(tmp_path / "there/a", (*overrides, "seed=1"))
    recorder.write(tmp_path / "there/b", (*overrides, "seed=2", "model.hidden_size=7"))
    recorder.write(tmp_path / "there/c", (*overrides, "seed=0"), status="failed")
    there = ["--runs", str(tmp_path / "there")]
    assert power_load.main(["--only", OURS, *there]) == 0
    assert trained == [job_of(OURS, 0), job_of(OURS, 2)]


def test_a_run_from_before_an_option_is_known_where_the_default_is_asked_for(
    trained: list[str], recorder: Recorder, tmp_path: Path
) -> None:
    """EveryStep's activation is identity by default."""
    key = "model.readout.activation"
    recorder.write(tmp_path / "there/a", (f"experiment={OURS}", *SMALL, "seed=0"), without=key)
    there = ["--runs", str(tmp_path / "there"), "--only", OURS, "--seeds", "0"]
    assert power_load.main(there) == 0
    assert trained == []
    assert power_load.main([f"{key}=tanh", *there]) == 0
    assert len(trained) == 1


def test_a_failed_job_is_named_and_the_others_run(
    place: Path,
    trained: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    good = study.train

    def train(job: study.Job, folder: Path) -> int:
        return 1 if "seed=1" in job.overrides else good(job, folder)

    monkeypatch.setattr(study, "train", train)
    assert power_load.main([]) == 1
    said = capsys.readouterr()
    assert "2 of 6 jobs have no completed run" in said.err
    assert said.err.count("seed=1") == 2
    assert "2.000" in said.out  # the table of what there is
    assert (place / "README.md").read_text() == TEXT
    monkeypatch.setattr(study, "train", good)
    assert power_load.main([]) == 0
    assert sorted(trained[4:]) == sorted(job_of(name, 1) for name in (OURS, LECTURE))


def test_where_every_job_fails_there_is_no_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study, "train", lambda job, folder: 1)
    assert power_load.main(["--only", OURS]) == 1


def test_an_interrupted_study_goes_on_where_it_was(
    trained: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    good = study.train

    def train(job: study.Job, folder: Path) -> int:
        if "seed=2" in job.overrides:
            raise KeyboardInterrupt
        return good(job, folder)

    monkeypatch.setattr(study, "train", train)
    assert power_load.main(["--only", OURS]) == 130
    assert "completed runs are not run again" in capsys.readouterr().err
    monkeypatch.setattr(study, "train", good)
    assert power_load.main(["--only", OURS]) == 0
    assert trained == [job_of(OURS, seed) for seed in (0, 1, 2)]


def test_a_job_is_not_run_twice_at_once(
    trained: list[str], recorder: Recorder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    overrides = (f"experiment={OURS}", *SMALL, "seed=1")
    recorder.write(tmp_path / "there/a", overrides, status="running")
    there = ["--runs", str(tmp_path / "there"), "--only", OURS]
    with locked(tmp_path / "there/a" / LOCK):
        assert power_load.main(there) == 2
    assert "there/a is a job of this study that is still running" in capsys.readouterr().err
    assert trained == []


@pytest.mark.slow
def test_jobs_are_trained_in_processes_of_their_own(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """But for the one that fails: its exit code is the same in this process."""

    def in_this_process(command: list[str], env: dict[str, str]) -> SimpleNamespace:
        monkeypatch.setenv("RNNEXP_OUTPUTS", env["RNNEXP_OUTPUTS"])
        python, _, package, *arguments = command
        assert (python, package) == (sys.executable, "rnnexp")
        return SimpleNamespace(returncode=cli.main(arguments))

    shrunk = ["model.hidden_size=4", "data.chunking.length=40", "determinism.threads=1"]
    shrunk += ["logger=none"]
    part = ["--only", OURS, "--seeds", "0"]
    assert power_load.main(["trainer.max_epochs=1", *shrunk, *part]) == 0
    [entry] = find_runs([Path("outputs")])
    assert entry.status == "completed"
    assert entry.folder.parts[:3] == ("outputs", "studies", "power_load")
    monkeypatch.setattr(study, "subprocess", SimpleNamespace(run=in_this_process))
    assert power_load.main(["trainer.max_epochs=-1", *shrunk, *part]) == 1
    said = capfd.readouterr()
    assert "failed with exit code 2" in said.out
    assert "1 of 1 jobs have no completed run" in said.err


# Mistakes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["model.hiden_size=3"], "the config has no key model.hiden_size"),
        (["data.root=nowhere"], "data.root=nowhere: there is no such folder"),
        (["--runs", "nowhere"], "there is no folder nowhere"),
    ],
)
def test_a_mistake_is_one_sentence(
    trained: list[str],
    arguments: list[str],
    sentence: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert power_load.main(arguments) == 2
    assert sentence in capsys.readouterr().err
    assert trained == []


@pytest.mark.parametrize(
    "edit", [lambda t: t.replace(study.END, ""), lambda t: t.replace(study.BEGIN, study.END)]
)
def test_a_table_needs_its_place(place: Path, edit: Callable[[str], str]) -> None:
    path = place / "README.md"
    path.write_text(edit(TEXT))
    with pytest.raises(UserError, match=r"README.md has no markers for the table"):
        study.write_between_markers(path, "new")
    assert path.read_text() == edit(TEXT)


def test_the_readme_of_every_study_has_a_place_for_its_table(tmp_path: Path) -> None:
    folders = [path.parent for path in (REPOSITORY / "experiments").glob("*/study.py")]
    assert folders
    for folder in folders:
        copy = tmp_path / f"{folder.name}.md"
        copy.write_text((folder / "README.md").read_text())
        place = "time loop, avx512" if folder.name == "speed" else "table"
        study.write_between_markers(copy, "a table of no row", place)
        assert "a table of no row" in copy.read_text()
        assert folder.name in (REPOSITORY / "experiments/README.md").read_text()
