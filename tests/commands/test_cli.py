"""The command: its output, its exit codes, and launches with a job that fails."""

import itertools
import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import yaml
from omegaconf import DictConfig, OmegaConf

from rnnexp import __version__, cli, config
from rnnexp.config.targets import allowed_packages, locate
from rnnexp.errors import RunFailed, UserError
from rnnexp.nn.fast import choices
from rnnexp.runs.folder.record import recording
from tests.support import REPOSITORY

Capture = pytest.CaptureFixture[str]


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`python -m rnnexp ...` in a process of its own, in the current folder."""
    path = os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "-m", "rnnexp", *arguments],
        env=os.environ | {"PYTHONPATH": path} | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


# What needs no run ------------------------------------------------------------------------------


def test_help_is_quick_and_imports_nothing_heavy(empty_folder: Path) -> None:
    code = (
        "import sys; from rnnexp.cli import main; code = main(['--help']); "
        "heavy = {'torch', 'hydra', 'omegaconf', 'pandas', 'numpy', 'rich'} & set(sys.modules); "
        "assert not heavy, heavy; sys.exit(code)"
    )
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        answer = subprocess.run(
            [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True
        )
        seconds.append(time.perf_counter() - started)
    assert min(seconds) < 0.5
    assert all(f"\n  {name} " in answer.stdout for name in cli.commands())


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["--help"], 141), (["data", "list"], 141), (["train", "--help"], 0)],
)
def test_a_reader_that_has_gone_is_no_error(
    arguments: list[str], code: int, empty_folder: Path
) -> None:
    """Like `head`, which closes the pipe early."""
    command = [sys.executable, "-m", "rnnexp", *arguments]
    path = os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")])
    with subprocess.Popen(
        command,
        env=os.environ | {"PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == code


def test_no_arguments_is_help(capsys: Capture) -> None:
    assert cli.main([]) == 0
    without = capsys.readouterr().out
    assert cli.main(["--help"]) == 0
    assert capsys.readouterr().out == without != ""


def test_version(capsys: Capture) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"rnnexp {__version__}\n"


def test_unknown_command_offers_the_nearest(capsys: Capture) -> None:
    assert cli.main(["trian", "seed=1"]) == 2
    assert capsys.readouterr().err == "rnnexp: there is no command 'trian'; did you mean train?\n"


@pytest.mark.parametrize("name", ["test", "data", "doctor"])
def test_every_command_has_help(name: str, capsys: Capture) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main([name, "--help"])
    assert ended.value.code == 0
    assert f"usage: rnnexp {name}" in capsys.readouterr().out


def test_doctor(
    data_root: Path, empty_folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    monkeypatch.setenv("RNNEXP_DATA", str(data_root))
    assert cli.main(["doctor"]) == 0
    said = capfd.readouterr()
    assert said.err == ""
    facts = dict(line.split(maxsplit=1) for line in said.out.splitlines())
    assert facts["rnnexp"] == __version__
    assert facts["python"] == ".".join(map(str, sys.version_info[:3]))
    assert facts["RNNEXP_DATA"] == str(data_root)
    assert facts["power_load"] == "found"
    assert {"torch", "pytorch-lightning", "hydra-core", "cpu", "cuda", "threads"} <= set(facts)
    assert facts["auto"].startswith(f"for {choices.instruction_set()}; ")
    assert {"onednn_from", "group_sequences"} <= set(facts)


def test_doctor_without_data(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.delenv("RNNEXP_DATA", raising=False)
    assert cli.main(["doctor"]) == 0
    assert "not set" in capsys.readouterr().out


# train, without training ------------------------------------------------------------------------


def test_train_help_lists_groups_experiments_and_examples(
    empty_folder: Path, capfd: Capture
) -> None:
    assert cli.main(["train", "--help"]) == 0
    said = capfd.readouterr().out
    unwrapped = said.replace(",\n  ", ", ").splitlines()
    lines = dict(line.split(": ", 1) for line in unwrapped if ": " in line)
    assert "pmgru" in lines["model"].split(", ")
    assert "quickstart" in lines["experiment"].split(", ")
    assert "  rnnexp train -m seed=0,1,2" in said
    assert "_windows" not in said  # a config with shared settings is not an option
    assert "$" not in said and "Powered by Hydra" not in said
    assert max(map(len, said.splitlines())) <= 120
    assert list(empty_folder.iterdir()) == []


def test_cfg_job_resolve_is_the_config(
    empty_folder: Path, compose: Callable[..., DictConfig], capfd: Capture
) -> None:
    assert cli.main(["train", "--cfg", "job", "model=lstm", "--resolve", "seed=3"]) == 0
    said = capfd.readouterr().out
    expected = OmegaConf.to_container(compose("model=lstm", "seed=3"), resolve=True)
    assert yaml.safe_load(said) == expected
    assert "${" not in said
    assert list(empty_folder.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["model=pmgruu"], "did you mean pmgru?"),
        (["--help", "modle=gru"], "did you mean model?"),
        (["--cfg", "job", "trainer.max_epoch=3"], "did you mean trainer.max_epochs?"),
        (["+trainer.max_epoch=3"], "Trainer has no argument trainer.max_epoch; did you mean"),
        (["trainer.max_epochs=many"], "trainer.max_epochs is 'many', it must be int or null"),
        (["task.loss=maee"], "task.loss is 'maee', it must be 'mse' or 'mae' or 'huber'"),
        (["model=gru,lstm"], "add -m"),
        (["-m", "seed=1,2", "model=gru,lstmm"], "no option lstmm; did you mean lstm?"),
        (["-m", "optimizer=sgd,adam", "optimizer.momentum=0,1"], "optimizer.momentum"),
        (["--experimental-rerun", "job.pickle"], "does not support Hydra's --experimental-rerun"),
        (["--config-name", "other"], "does not support Hydra's --config-name"),
        (["--config-dir", "nowhere"], "nowhere does not exist"),
        (["-m", "--cfg", "job", "seed=1,2"], "show one config: remove --multirun"),
        (["--resolve"], "--resolve needs --cfg job"),
        (["+model.a={_target_: os.system}"], "model.a._target_: 'os.system' is not on the allow"),
    ],
)
def test_mistake_fails_before_any_work(
    arguments: list[str], expected: str, empty_folder: Path, capsys: Capture
) -> None:
    assert cli.main(["train", *arguments]) == 2
    said = capsys.readouterr()
    assert said.err.startswith("rnnexp: ") and expected in said.err
    assert said.err.count("\n") == 1 and said.out == ""
    assert list(empty_folder.iterdir()) == []


@pytest.mark.parametrize("arguments", [["seed=abc"], ["-m", "model=gru,lstmm"]])
def test_mistake_is_exit_code_two(arguments: list[str], empty_folder: Path) -> None:
    answer = command("train", *arguments)
    assert (answer.returncode, answer.stdout) == (2, "")
    assert answer.stderr.startswith("rnnexp: ") and answer.stderr.count("\n") == 1


# train, with a stand-in for the experiment ------------------------------------------------------


class Experiments:
    """Stands in for `rnnexp.runs.experiment.run`: the seed decides the outcome of a run. Only the
    record is real."""

    def __init__(self) -> None:
        self.runs: list[tuple[DictConfig, Path]] = []
        self.argv: list[list[str]] = []

    def run(self, composed: DictConfig, folder: Path, **facts: Any) -> float | None:
        self.runs.append((composed, folder))
        self.argv.append(sys.argv)
        logging.getLogger("a.module").info("a line for the log")
        assert list(folder.iterdir()) == [], "the record alone writes there"
        with recording(folder, sys.argv, composed, **facts) as record:
            match composed.seed:
                case 2:
                    raise UserError("seed 2 is a mistake")
                case 3:
                    raise RunFailed("seed 3 diverged")
                case 4:
                    raise ZeroDivisionError("seed 4 is a bug")
                case 5:
                    raise KeyboardInterrupt
            record.save(status="completed")
        return 0.5


@pytest.fixture
def experiments(monkeypatch: pytest.MonkeyPatch, empty_folder: Path) -> Iterator[Experiments]:
    stand_in = Experiments()
    monkeypatch.setattr("rnnexp.runs.experiment.run", stand_in.run)
    monkeypatch.setattr("sys.argv", ["rnnexp", "as", "typed"])
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield stand_in
    for handler in set(root.handlers) - set(handlers):
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)


def test_train_runs_the_composed_config_in_a_new_folder(
    experiments: Experiments, empty_folder: Path, capsys: Capture
) -> None:
    assert cli.main(["train", "seed=7", "model=gru"]) == 0
    assert cli.main(["train", "seed=7", "model=gru"]) == 0
    (composed, folder), (_, other) = experiments.runs
    assert composed == config.compose(["seed=7", "model=gru"])
    assert folder != other
    assert folder.parent == empty_folder / "outputs" / "quickstart"
    assert capsys.readouterr().out == "a line for the log\n" * 2
    assert experiments.argv == [["rnnexp", "as", "typed"]] * 2
    assert sys.argv == ["rnnexp", "as", "typed"]


def test_launches_in_the_same_second_have_folders_of_their_own(
    experiments: Experiments, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Single runs and sweeps, with a clock that advances by a microsecond per reading."""

    class Clock:
        looks = itertools.count()

        @classmethod
        def now(cls) -> datetime:
            return datetime(2026, 1, 2, 3, 4, 5, next(cls.looks))

    monkeypatch.setattr("hydra.core.utils.datetime", Clock)
    launches = []
    for flags in (["seed=0"], ["seed=0"], ["-m", "seed=0,1"], ["-m", "seed=0,1"]):
        experiments.runs.clear()
        assert cli.main(["train", *flags]) == 0
        launches.append({folder for _, folder in experiments.runs})
    assert [len(folders) for folders in launches] == [1, 1, 2, 2]
    assert len(set.union(*launches)) == 6
    assert "2026-01-02_03-04-05-" in str(launches[0]) and "2026-01-02_03-04-05-" in str(launches[3])


def test_of_launches_at_the_same_time_one_gets_the_folder(tmp_path: Path) -> None:
    together = threading.Barrier(8)

    def launch(number: int) -> str:
        together.wait()
        try:
            with recording(tmp_path / "run", [str(number)], OmegaConf.create()):
                together.wait(timeout=10)  # all attempts start before one ends
        except UserError as error:
            together.wait(timeout=10)
            return str(error)
        return str(number)

    with ThreadPoolExecutor(8) as pool:
        said = list(pool.map(launch, range(8)))
    refused = [sentence for sentence in said if "already holds a run" in sentence]
    assert len(refused) == 7
    [winner] = set(said) - set(refused)
    assert json.loads((tmp_path / "run/run.json").read_text())["argv"] == [winner]


def test_outputs_can_lie_elsewhere(
    experiments: Experiments, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RNNEXP_OUTPUTS", str(tmp_path / "else where"))
    assert cli.main(["train"]) == 0
    assert experiments.runs[0][1].parent == tmp_path / "else where" / "quickstart"


@pytest.mark.parametrize(
    ("seed", "code", "said"),
    [
        (2, 2, "rnnexp: seed 2 is a mistake\n"),
        (3, 1, "rnnexp: seed 3 diverged\n"),
        (5, 130, "rnnexp: interrupted\n"),
    ],
)
def test_single_run_that_fails(
    seed: int, code: int, said: str, experiments: Experiments, capsys: Capture
) -> None:
    assert cli.main(["train", f"seed={seed}"]) == code
    assert capsys.readouterr().err == said


def test_bug_keeps_its_traceback(experiments: Experiments, capsys: Capture) -> None:
    assert cli.main(["train", "seed=4"]) == 1
    said = capsys.readouterr().err
    assert "Traceback" in said and 'raise ZeroDivisionError("seed 4 is a bug")' in said


def test_failing_jobs_do_not_stop_a_sweep(
    experiments: Experiments, empty_folder: Path, capsys: Capture
) -> None:
    assert cli.main(["train", "seed=range(1,5)", "-m", "model=gru,lstm"]) == 1
    assert [run.seed for run, _ in experiments.runs] == [1, 1, 2, 2, 3, 3, 4, 4]
    folders = [folder for _, folder in experiments.runs]
    [launch] = (empty_folder / "outputs" / "multirun").iterdir()
    labels = [f"{model}_seed{seed}" for seed in range(1, 5) for model in ("gru", "lstm")]
    assert [f.name for f in folders] == [f"{n}_quickstart_{x}" for n, x in enumerate(labels)]
    assert {folder.parent for folder in folders} == {launch}
    end = capsys.readouterr().err.split("rnnexp: 6 of 8 jobs failed:\n")[1].splitlines()
    assert len(end) == 6
    for line, (run, folder), model in zip(
        end, experiments.runs[2:], ["gru", "lstm"] * 3, strict=True
    ):
        assert f"seed={run.seed} model={model}" in line and str(folder) in line


def test_a_job_with_a_wrong_value_does_not_stop_the_others(experiments: Experiments) -> None:
    """A wrong job fails in its own folder. If all jobs are wrong, none is started."""
    assert (
        cli.main(["train", "-m", "optimizer.lr=0.1,bad,0.2"]) == 0
    )  # the stand-in accepts all values
    assert [run.optimizer.lr for run, _ in experiments.runs] == [0.1, "bad", 0.2]
    assert cli.main(["train", "-m", "optimizer.lr=bad,worse"]) == 2
    assert len(experiments.runs) == 3


def test_sweep_over_experiments_lies_in_one_folder(experiments: Experiments) -> None:
    names = ["power_load_gru", "quickstart"]
    assert cli.main(["train", "-m", f"experiment={','.join(names)}"]) == 0
    assert [folder.name for _, folder in experiments.runs] == [
        f"{n}_{x}_{model}_seed0"
        for n, (x, model) in enumerate(zip(names, ("gru", "pmgru"), strict=True))
    ]
    assert len({folder.parent for _, folder in experiments.runs}) == 1


def test_interrupt_ends_a_sweep(experiments: Experiments) -> None:
    assert cli.main(["train", "-m", "seed=1,5,7"]) == 130
    assert [run.seed for run, _ in experiments.runs] == [1, 5]


def test_conf_here_and_config_dir(experiments: Experiments, empty_folder: Path) -> None:
    for folder, name in (("conf", "here"), ("more", "there")):
        path = empty_folder / folder / "experiment" / f"{name}.yaml"
        path.parent.mkdir(parents=True)
        path.write_text(f"# @package _global_\nname: {name}\n")
    assert cli.main(["train", "experiment=here"]) == 0
    assert cli.main(["train", "--config-dir", "more", "experiment=there"]) == 0
    assert cli.main(["train", "-m", "--config-dir=more", "experiment=here,there"]) == 0
    assert [run.name for run, _ in experiments.runs] == ["here", "there", "here", "there"]


def test_allow_a_package_of_the_users(
    experiments: Experiments, empty_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setattr("sys.path", sys.path[:])
    (empty_folder / "users_own.py").write_text("class Extra:\n    pass\n")
    target = "+callbacks.extra={_target_: users_own.Extra}"
    assert cli.main(["train", target]) == 2
    assert "a class of your own package needs --allow PACKAGE" in capsys.readouterr().err
    monkeypatch.setenv("RNNEXP_ALLOW", "another")
    assert cli.main(["train", target, "--allow", "users_own"]) == 0
    assert len(experiments.runs) == 1


def test_a_package_in_the_environment_may_lie_in_the_current_folder(
    experiments: Experiments, empty_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.path", sys.path[:])
    (empty_folder / "in_environment.py").write_text("class Extra:\n    pass\n")
    monkeypatch.setenv("RNNEXP_ALLOW", "in_environment")
    assert cli.main(["train", "+callbacks.extra={_target_: in_environment.Extra}"]) == 0
    assert len(experiments.runs) == 1


# Arguments of the other commands ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "function"),
    [
        ("test", "rnnexp.commands.test.evaluate"),
        ("rerun", "rnnexp.commands.rerun.rerun"),
        ("predict", "rnnexp.commands.predict.predict"),
    ],
)
def test_whatever_builds_a_run_may_be_allowed_a_package(
    command: str, function: str, empty_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed = []

    def built(*_: object) -> int:
        allowed.append(allowed_packages())
        assert locate({"_target_": "users_own.Extra"}, "key").__name__ == "Extra"
        return 0

    (empty_folder / "users_own.py").write_text("class Extra:\n    pass\n")
    monkeypatch.setattr(function, built)
    monkeypatch.setattr("sys.path", sys.path[:])
    monkeypatch.setenv("RNNEXP_ALLOW", "another")
    assert cli.main([command, "a/folder", "--allow", "users_own"]) == 0
    assert set(allowed[0]) >= {"another", "users_own"}


def test_test_hands_the_folder_over(monkeypatch: pytest.MonkeyPatch) -> None:
    evaluate = Mock(return_value=1)
    monkeypatch.setattr("rnnexp.commands.test.evaluate", evaluate)
    assert cli.main(["test", "a/folder", "data.root=here"]) == 1
    evaluate.assert_called_once_with(Path("a/folder"), ["data.root=here"])


@pytest.mark.parametrize(
    ("arguments", "function", "expected"),
    [
        (["list"], "list_sources", ()),
        (["fetch", "power_load"], "fetch_source", ("power_load", None)),
        (
            ["check", "power_load", "data.root=x"],
            "check_source",
            ("power_load", ["data.root=x"]),
        ),
        (
            ["convert", "reviews", "new", "--to", "lecture", "data.root=x"],
            "convert_source",
            ("reviews", Path("new"), ["data.root=x"], "lecture"),
        ),
    ],
)
def test_data_hands_over(
    arguments: list[str], function: str, expected: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in = Mock(return_value=0)
    monkeypatch.setattr(f"rnnexp.commands.data.{function}", stand_in)
    assert cli.main(["data", *arguments]) == 0
    stand_in.assert_called_once_with(*expected)
