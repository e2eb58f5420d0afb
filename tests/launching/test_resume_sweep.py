"""A sweep that was interrupted is finished by `rnnexp resume SWEEP_DIR`."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf

from rnnexp.callbacks.history import History
from rnnexp.cli import main
from rnnexp.launching import launch, sweep
from rnnexp.process.locks import locked
from tests.support import REPOSITORY
from tests.support.runs import Kept
from tests.support.shrink import NO_FIGURES, SYNTHETIC_LOAD, TINY

TRAINED = [
    *("optimizer=sgd", "trainer.gradient_clip_val=null"),
    *(*TINY, *SYNTHETIC_LOAD, "data.batch_size=4", *NO_FIGURES),
]
SWEEP = ["train", "-m", "seed=0,1", "optimizer.lr=0.1,1e39,0.01", *TRAINED]  # 1e39 diverges
KILLED = """
import os, signal, sys
from rnnexp.callbacks.history import History
from rnnexp.cli import main

def on_train_batch_end(self, *arguments):
    begun.add(self)
    if len(begun) == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    return before(self, *arguments)

begun, before = set(), History.on_train_batch_end
History.on_train_batch_end = on_train_batch_end
sys.exit(main(sys.argv[1:]))
"""
Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    """A sweep of six jobs, of which two fail, killed in its fourth."""

    def make(place: Path) -> None:
        paths = os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")])
        cache = str(place.parent / "cache")
        killed = subprocess.run(
            [sys.executable, "-c", KILLED, *SWEEP, f"hydra.sweep.dir={place / 'sweep'}"],
            env=os.environ | {"PYTHONPATH": paths, "RNNEXP_CACHE": cache},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert killed.returncode == -9, killed.stderr

    return Kept(tmp_path_factory.mktemp("swept") / "kept", make)


@pytest.fixture
def killed(kept: Kept, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RNNEXP_CACHE", str(kept.place.parent / "cache"))
    monkeypatch.delenv("RNNEXP_ALLOW", raising=False)
    return kept.restored() / "sweep"


def statuses(folder: Path) -> list[str]:
    return [one.status for one in sweep.outcomes(folder)]


def times(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def refused(capsys: Capture, *argv: object, code: int = 2) -> str:
    assert main(["resume", *map(str, argv)]) == code
    said = capsys.readouterr().err
    assert re.fullmatch("rnnexp: .*\n", said)
    return said


def changed(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads((folder / "sweep.json").read_text())
    change(content)
    (folder / "sweep.json").write_text(json.dumps(content))


def test_what_is_missing_is_run_and_the_rest_stays(killed: Path, capsys: Capture) -> None:
    before = ["completed", "failed", "completed", "interrupted", "missing", "missing"]
    assert statuses(killed) == before
    jobs = [one.folder for one in sweep.outcomes(killed)]
    untouched = [times(folder) for folder in jobs[:3]]

    assert main(["resume", str(killed)]) == 1
    shown = capsys.readouterr()
    done = ["completed", "failed", "completed", "completed", "failed", "completed"]
    assert statuses(killed) == done
    assert [times(folder) for folder in jobs[:3]] == untouched
    labels = ["pmgru_lr0.1_seed", "pmgru_lr1e+39_seed", "pmgru_lr0.01_seed"] * 2
    names = [f"{number}_quickstart_{one}{number // 3}" for number, one in enumerate(labels)]
    assert sorted(path.name for path in killed.iterdir() if path.is_dir()) == names
    listed = shown.err.partition("rnnexp: 2 of 6 jobs failed:\n")[2].splitlines()
    assert [line.rpartition("  in ")[2] for line in listed] == [str(jobs[1]), str(jobs[4])]
    assert f"rnnexp resume {killed} --failed" in shown.out

    assert main(["leaderboard", str(killed), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    ranked = {row["optimizer.lr"]: (row["seeds"], row["not completed"]) for row in rows}
    assert ranked == {0.1: ("0 1", ""), 0.01: ("0 1", ""), 1e39: ("", "2 failed")}
    runs = [json.loads((folder / "run.json").read_text()) for folder in jobs]
    assert [run["job"] for run in runs] == list(range(6))
    assert [run["label"] for run in runs] == [name.partition("quickstart_")[2] for name in names]

    # The same numbers as without an interruption.
    for number, rate in ((3, 0.1), (5, 0.01)):
        alone = Path("alone", str(number))
        again = ["train", "seed=1", f"optimizer.lr={rate}", *TRAINED, f"hydra.run.dir={alone}"]
        assert main(again) == 0
        digests = [(folder / "digest.json").read_text() for folder in (alone, jobs[number])]
        assert digests[0] == digests[1]
    capsys.readouterr()

    # Failed jobs are tried again where this is asked for, and nothing else.
    untouched = [times(jobs[number]) for number in (0, 2, 3, 5)]
    assert main(["resume", str(killed), "--failed"]) == 1
    assert capsys.readouterr().err.count("the training loss became") == 2
    assert statuses(killed) == done
    assert [times(jobs[number]) for number in (0, 2, 3, 5)] == untouched
    assert "resumed" in json.loads((jobs[4] / "run.json").read_text())


def test_ctrl_c_names_the_command_that_finishes_the_sweep(
    empty_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    """Twice: in the sweep, and in its resumption. The user has named the folders, and the same
    overrides are two jobs."""
    begun: list[object] = []

    def interrupted(self: object, *arguments: Any) -> None:
        if self not in begun:
            begun.append(self)
        if len(begun) in (2, 3):
            raise KeyboardInterrupt

    monkeypatch.setattr(History, "on_train_batch_end", interrupted)
    own = "hydra.sweep.subdir=jobs/${hydra.job.num}/${hydra:job.override_dirname}"
    names = "hydra.job.config.override_dirname.exclude_keys"
    overrides = ["seed=0,0,1", *TRAINED, "hydra.sweep.dir=all", own]
    excluded = ",".join(one.partition("=")[0] for one in ["experiment=", *TRAINED])
    assert main(["train", "-m", *overrides, f"{names}=[{excluded}]"]) == 130
    assert "rnnexp resume all\n" in capsys.readouterr().out
    assert statuses(Path("all")) == ["completed", "interrupted", "missing"]
    assert main(["resume", "all"]) == 130
    assert "rnnexp resume all\n" in capsys.readouterr().out
    assert main(["resume", "all"]) == 0
    assert statuses(Path("all")) == ["completed"] * 3
    assert sorted(Path("all").glob("jobs/*/*/run.json")) == [
        Path(f"all/jobs/{number}/seed={seed}/run.json") for number, seed in enumerate((0, 0, 1))
    ]
    assert main(["resume", "all"]) == 0
    assert "all 3 jobs of all are completed" in capsys.readouterr().out


def test_a_process_whose_job_was_interrupted_begins_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A worker of a parallel launcher is given the next job before the launcher hears of it."""
    begun: list[int] = []

    def interrupted(config: DictConfig, job: int) -> None:
        begun.append(job)
        raise KeyboardInterrupt

    number = SimpleNamespace(get=lambda: SimpleNamespace(job=SimpleNamespace(num=3)))
    monkeypatch.setattr(launch, "HydraConfig", number)
    monkeypatch.setattr(launch, "_run", interrupted)
    monkeypatch.setattr(launch, "_interrupted", Event())
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            launch.job(OmegaConf.create())
    assert begun == [3]


def test_a_job_that_had_hardly_begun_begins_anew(killed: Path) -> None:
    changed(killed, lambda content: content.update(jobs=content["jobs"][:4]))
    last = sweep.outcomes(killed)[3].folder
    (last / "run.json").unlink()
    (last / "history.csv").write_text("old\n")
    assert main(["resume", str(killed)]) == 1
    assert statuses(killed)[3] == "completed"
    assert "old" not in (last / "history.csv").read_text()


def test_a_running_sweep_is_left_alone(killed: Path, capsys: Capture) -> None:
    last = sweep.outcomes(killed)[3].folder
    for place, who in ((killed / ".sweep_lock", "its jobs"), (last / ".lock", str(last))):
        with locked(place):
            said = refused(capsys, killed)
        assert f"{killed} is in use: another process is running {who}" in said
    run = json.loads((last / "run.json").read_text())
    (last / "run.json").write_text(json.dumps(run | {"host": "elsewhere"}))
    assert f"{last} runs on another computer" in refused(capsys, killed)


def test_a_sweep_is_finished_as_it_began(killed: Path, capsys: Capture) -> None:
    assert "is a sweep, which is finished as it began" in refused(
        capsys, killed, "trainer.max_epochs=3"
    )
    done = sweep.outcomes(killed)[0].folder
    assert "--failed is for a sweep" in refused(capsys, done, "--failed")
    assert "--config-dir is for a sweep" in refused(capsys, done, "--config-dir", ".")
    argv = [*SWEEP, f"hydra.sweep.dir={killed}"]
    assert main(argv) == 2
    assert "already holds a sweep" in capsys.readouterr().err


def test_folders_without_a_sweep(killed: Path, tmp_path: Path, capsys: Capture) -> None:
    first = sweep.failures(killed)[0].folder
    (killed / "sweep.json").unlink()
    said = refused(capsys, killed)
    assert "has neither run.json nor sweep.json" in said and f"resume {first}\n" in said
    assert "there is no folder" in refused(capsys, tmp_path / "nowhere")
    (tmp_path / "nothing").mkdir()
    assert "is not a run folder" in refused(capsys, tmp_path / "nothing")
    assert list((tmp_path / "nothing").iterdir()) == []


def test_another_config_than_it_was(killed: Path, tmp_path: Path, capsys: Capture) -> None:
    """A ./conf or --config-dir of the user's may have been changed since the sweep began."""
    last = sweep.outcomes(killed)[4]

    def change(content: dict[str, Any]) -> None:
        content["jobs"][last.number]["config_sha256"] = "0"
        content.update(config_dir="/gone", allowed=["mine"])

    changed(killed, change)
    before = times(killed)
    said = refused(capsys, killed, code=3)
    assert f"job {last.number} of {killed} would not be what it was" in said
    assert f"resume {killed} --config-dir /gone --allow mine" in said
    assert times(killed).items() <= before.items() | {(killed, killed.stat().st_mtime_ns)}
    assert main(["resume", str(killed), "--on-other-ground"]) == 1
    assert statuses(killed)[5] == "completed"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{ half", "is damaged: it is not valid JSON"),
        ("[]", "it is not a JSON object"),
        ("{}", "it has no argv"),
        ('{"jobs": ' + "[" * 200_000, "it is nested more than"),
    ],
)
def test_damaged(killed: Path, text: str, sentence: str, capsys: Capture) -> None:
    (killed / "sweep.json").write_text(text)
    assert sentence in refused(capsys, killed)


STRANGE = [
    ("hydra.sweep.dir=/elsewhere", "leaves Hydra's own settings alone"),
    ("+hydra.job_logging.formatters.simple.class=os.system", "leaves Hydra's own settings alone"),
    ("hydra/job_logging=disabled", "leaves Hydra's own settings alone"),
    ("+data@hydra.callbacks.mine=names", "leaves Hydra's own settings alone"),
    ("name=${oc.env:TOKEN}", "refers to other keys alone"),
    (r"name=$\{oc.env\:TOKEN\}", "refers to other keys alone"),
    ("name='${${seed}:TOKEN}'", "refers to other keys alone"),
    ("seed=1,2", "has several values"),
    ("experiment=../../../theirs", "names options of config groups alone"),
    ("+callbacks=[default,../../theirs]", "names options of config groups alone"),
    ("model.recurrence._target_=os.system", "is not on the allow-list"),
    ("+callbacks.x={_target_: pytorch_lightning.callbacks.Timer}", "callbacks.x"),
    ("+model.x=http://elsewhere/x", "holds no address"),
]


@pytest.mark.parametrize(("override", "sentence"), STRANGE)
def test_overrides_of_a_stranger(
    killed: Path, override: str, sentence: str, capsys: Capture, tmp_path: Path
) -> None:
    (tmp_path / "theirs.yaml").write_text("# @package _global_\nhydra: {job: {chdir: true}}\n")

    def change(content: dict[str, Any]) -> None:
        content["jobs"] = [content["jobs"][4]]
        content["jobs"][0]["overrides"].append(override)

    changed(killed, change)
    before = set(killed.parent.rglob("*"))
    assert main(["resume", str(killed), "--on-other-ground"]) in (1, 2)
    assert sentence in capsys.readouterr().err
    new = set(killed.parent.rglob("*")) - before
    assert all(path.is_relative_to(killed) for path in new)


@pytest.mark.parametrize(
    ("key", "text", "sentence"),
    [
        ("folder", "../elsewhere", "which stays inside the folder"),
        ("folder", "/elsewhere", "which stays inside the folder"),
        ("folder", "${oc.env:HOME}", "holds a $"),
        ("label", "${oc.env:TOKEN}", "holds a $"),
        ("folder", "link", "leads out of"),
    ],
)
def test_places_of_a_stranger(
    killed: Path, tmp_path: Path, key: str, text: str, sentence: str, capsys: Capture
) -> None:
    (tmp_path / "target").mkdir()
    (killed / "link").symlink_to(tmp_path / "target")
    changed(killed, lambda content: content["jobs"][4].update({key: text}))
    assert sentence in refused(capsys, killed)
    assert list((tmp_path / "target").iterdir()) == []


def test_settings_of_hydra_of_a_stranger(killed: Path, capsys: Capture, tmp_path: Path) -> None:
    """They are named and left out, but for an installed launcher."""
    strange = ["hydra.launcher._target_=os.system", "hydra.searchpath=[/theirs]"]
    strange += ["hydra.output_subdir=x", "hydra/launcher=theirs", "hydra.launcher.n_jobs=2"]
    needless = ["hydra.sweep.dir=/elsewhere", "hydra.sweep.subdir=x", "+hydra.job.name=x"]

    def change(content: dict[str, Any]) -> None:
        content["jobs"] = content["jobs"][5:]
        content["hydra"] = [*strange, "hydra/launcher=basic", *needless]

    changed(killed, change)
    main(["resume", str(killed)])
    said = " ".join(capsys.readouterr().out.split())
    assert f"not taken from sweep.json: {', '.join(strange)}" in said.replace("\n", " ")
    assert (killed / "5_quickstart_pmgru_lr0.01_seed1" / "run.json").exists()
