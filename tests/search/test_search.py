"""`rnnexp search`: a study of ordinary runs, whatever happens to its workers."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rnnexp.cli import main
from tests.support import REPOSITORY
from tests.support.shrink import HERE, NO_FIGURES, SYNTHETIC_LOAD

optuna = pytest.importorskip("optuna", reason="Optuna is not installed: pip install rnnexp[optuna]")

SPACE = """\
optimizer.lr: {low: 1e-3, high: 0.1, log: true}
model.hidden_size: {choices: [4]}
"""
FIXED = [
    *("optimizer=sgd", "trainer.gradient_clip_val=null", "trainer.max_epochs=3", "logger=none"),
    *(*HERE, *SYNTHETIC_LOAD, *NO_FIGURES, "data.batch_size=4"),
]
SEARCH = ["search", "space=mine", *FIXED, "--study", "s", "--trials", "6"]
PLACE = Path("outputs", "search", "s")
KILLED = """
import os, signal, sys
from rnnexp.callbacks.history import History
from rnnexp.cli import main

def on_train_epoch_end(self, *arguments):
    before(self, *arguments)
    epochs.append(self)
    if len(epochs) == 8:
        os.kill(os.getpid(), signal.SIGKILL)

epochs, before = [], History.on_train_epoch_end
History.on_train_epoch_end = on_train_epoch_end
sys.exit(main(sys.argv[1:]))
"""
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def here(empty_folder: Path) -> Path:
    write_space(SPACE)
    return empty_folder


def write_space(text: str) -> None:
    path = Path("conf", "space", "mine.yaml")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def environment() -> dict[str, str]:
    paths = os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")])
    return os.environ | {"PYTHONPATH": paths}


def runs() -> dict[int, dict[str, Any]]:
    """run.json of each run of the study, by the number of its trial."""
    found = [json.loads(path.read_text()) for path in PLACE.glob("*/run.json")]
    return {run["trial"]["number"]: run for run in found}


def trials() -> list[Any]:
    study = optuna.load_study(study_name="s", storage=f"sqlite:///{PLACE / 'study.db'}")
    return study.get_trials()


def told(argv: list[str], capsys: Capture) -> str:
    """The one sentence with which a search is refused."""
    assert main(argv) == 2
    said = capsys.readouterr().err
    assert re.fullmatch("rnnexp: .*\n", said)
    return said


def test_a_killed_search_goes_on_with_two_workers(here: Path, capsys: Capture) -> None:
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, *SEARCH], env=environment(), capture_output=True, check=False
    )
    assert killed.returncode == -9, killed.stderr
    before = {number: run["status"] for number, run in runs().items()}
    assert before == {0: "completed", 1: "completed", 2: "running"}
    values = [one.params for one in trials()]

    with subprocess.Popen(
        [sys.executable, "-m", "rnnexp", *SEARCH],
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert main(SEARCH) == 0
        said = capsys.readouterr().out + other.communicate()[0]
    assert other.returncode == 0

    assert sorted(map(int, re.findall(r"^(\d)/6 ", said, re.MULTILINE))) == [3, 4, 5, 6]
    found, recorded = trials(), runs()
    assert sorted(recorded) == [one.number for one in found] == list(range(6))
    assert [one.params for one in found][:3] == values
    assert len({str(one.params) for one in found}) == 6, "the sampler began again"
    assert len(list(PLACE.glob("*/run.json"))) == 6
    assert "resumed" in recorded[2] and not any("resumed" in recorded[n] for n in (0, 1, 3, 4, 5))
    assert not list(PLACE.glob(".worker_*"))
    for one in found:
        overrides = [f"{key}={value}" for key, value in one.params.items()]
        assert recorded[one.number]["overrides"][-2:] == overrides
        assert recorded[one.number]["trial"] == {"study": "s", "number": one.number}

    # The objective is the monitored metric of the best checkpoint, and never the test set's.
    done = [one for one in found if one.state == optuna.trial.TrialState.COMPLETE]
    for one in done:
        metrics = json.loads((PLACE / one.user_attrs["folder"] / "metrics.json").read_text())
        assert one.value == metrics["val/smape"] != metrics["test/smape"]
    best = min(done, key=lambda one: one.value)
    folder = PLACE / best.user_attrs["folder"]
    assert f"rnnexp rerun {folder}" in said
    assert (PLACE / "history.png").exists()

    assert main(["rerun", str(folder)]) == 0
    assert "identical" in capsys.readouterr().out
    assert main(["leaderboard", str(PLACE), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 6

    # Typed again, nothing is left to do.
    times = {path: path.stat().st_mtime_ns for path in PLACE.glob("*/*")}
    assert main(SEARCH) == 0
    assert times == {path: path.stat().st_mtime_ns for path in PLACE.glob("*/*")}
    # Another search is no part of this study.
    assert "began without seed=1" in told([*SEARCH, "seed=1"], capsys)
    write_space(SPACE.replace("0.1", "0.2"))
    assert "optimizer.lr" in told(SEARCH, capsys)


def test_a_bad_trial_is_pruned_and_counted(
    here: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rnnexp.search import study

    monkeypatch.setattr(study, "STARTUP", 1)
    write_space("optimizer.lr: {choices: [0.05, 1e-9, 1e39]}\n")  # learns, does not, diverges
    assert main([*SEARCH[:-1], "7"]) == 0
    said = capsys.readouterr().out
    assert re.search(rf"^a page       \S*rnnexp report {PLACE}$", said, re.MULTILINE)
    statuses = [run["status"] for run in runs().values()]
    assert {"completed", "pruned", "failed"} == set(statuses)

    # A trial with the values of a completed one takes its result.
    complete = [one for one in trials() if one.state == optuna.trial.TrialState.COMPLETE]
    assert len({one.user_attrs["folder"] for one in complete}) == statuses.count("completed")
    assert len(trials()) == 7 and "7 trials: " in said

    records = {path.parent: json.loads(path.read_text()) for path in PLACE.glob("*/run.json")}
    pruned = next(path for path, run in records.items() if run["status"] == "pruned")
    run = records[pruned]
    assert run["pruned_after"] in (1, 2)
    assert len((pruned / "history.csv").read_text().splitlines()) == run["pruned_after"] + 1
    assert not (pruned / "metrics.json").exists()
    assert f"{pruned.name}  pruned after epoch {run['pruned_after']}" in said
    assert "failed: the training loss became" in said

    assert main(["leaderboard", str(PLACE), "--json"]) == 0
    rows = {row["optimizer.lr"]: row for row in json.loads(capsys.readouterr().out)}
    assert re.fullmatch(r"\d pruned", rows[1e-9]["not completed"]) and not rows[1e-9]["seeds"]
    assert "'pruned': only a completed run" in _refused_rerun(pruned, capsys)
    assert "is a search, which goes on when" in told(["resume", str(PLACE)], capsys)
    # Its run can still be finished by itself.
    assert main(["resume", str(pruned)]) == 0
    run = json.loads((pruned / "run.json").read_text())
    assert run["status"] == "completed" and "pruned_after" not in run


def _refused_rerun(folder: Path, capsys: Capture) -> str:
    assert main(["rerun", str(folder)]) == 3
    return capsys.readouterr().err


def test_ctrl_c_leaves_a_trial_that_goes_on_and_a_larger_number_adds_some(
    here: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rnnexp.callbacks.history import History

    def interrupted(self: object, *arguments: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(History, "on_train_epoch_start", interrupted)
        assert main([*SEARCH[:-1], "1"]) == 130
    assert "go on        " in capsys.readouterr().out
    assert [run["status"] for run in runs().values()] == ["interrupted"]
    assert main([*SEARCH[:-1], "2"]) == 0
    assert [run["status"] for run in runs().values()] == ["completed"] * 2


def test_a_mistake_of_every_trial_is_one_sentence_at_once(here: Path, capsys: Capture) -> None:
    write_space("model/readout: {choices: [last_hidden]}\n")
    said = told(SEARCH, capsys)
    assert "space/mine.yaml: model/readout=last_hidden: model: data/chunking=every_step" in said
    csv = ["data=series_csv", "data.root=nowhere", "data.datetime_column=t"]
    write_space(SPACE)
    assert "nowhere: the file cannot be read" in told(["search", "space=mine", *csv], capsys)
    assert not list(PLACE.glob("*/run.json"))
    assert "optimizer.lrr; did you mean optimizer.lr?" in told([*SEARCH, "optimizer.lrr=1"], capsys)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "a search needs one space"),
        (["space=mihne"], "there is no such space; did you mean mine?"),
        (["space=mine", "optimizer.lr=0.1"], "optimizer.lr is given and space/mine.yaml varies it"),
        (["space=mine", "seed=0,1"], "seed=0,1 has several values"),
        (["space=mine", "sweep=seeds"], "type rnnexp train"),
        (["space=mine", "monitor=null"], "a search needs a metric"),
        (["space=mine", "hydra.run.dir=x"], "in paths.outputs=FOLDER"),
        (["space=mine", "--trials", "0"], "--trials 0: it must be at least 1"),
        (["space=mine", "--study", "a/b"], "it must be the name of a folder"),
        (["space=mine", "--storage", "here.db"], "--storage: the study cannot be opened there"),
    ],
)
def test_wrong_words(here: Path, words: list[str], sentence: str, capsys: Capture) -> None:
    said = told(["search", *words], capsys)
    assert sentence in said


def test_without_optuna(here: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "pip install 'rnnexp[optuna]'" in told(SEARCH, capsys)


def test_the_address_of_the_storage_is_not_recorded() -> None:
    from rnnexp.search.trials import without_passwords

    secret = "mysql://me:secret@host/db"
    for words in (["--storage", secret, "x"], [f"--storage={secret}", "x"]):
        assert "secret" not in " ".join(without_passwords(words))
        assert without_passwords(words)[-1] == "x"
