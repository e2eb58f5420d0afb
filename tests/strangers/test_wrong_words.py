"""Words that the command line does not know: one sentence with what to type instead."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from rnnexp.cli import main
from rnnexp.config import groups
from tests.support import REPOSITORY

Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("train hydra/launcher=submitit_slurm", "type pip install 'rnnexp[slurm]'"),
        ("train hydra/launcher=dask", "choose from basic, joblib, local, ray, slurm, submitit"),
        ("train hydra/launcher=joblibb", "did you mean joblib?"),
        ("train hydra/sweeper=optuna", "list the values of each key"),
        ("train hydra.launcher.n_jobs=2", "choose another with hydra/launcher=joblib"),
        ("train hydra.sweep.dirr=x", "did you mean hydra.sweep.dir?"),
        ("train ~model", "every run needs model, change it with model=OPTION"),
        ("train ~data", "every run needs data, change it with data=OPTION"),
        ("train ~task", "every run needs task"),
        ("train ~scheduler", "choose from constant, cosine, one_cycle"),
        ("train ~seed", "change it with seed=VALUE"),
        ("train ~monitor", "change it with monitor=VALUE"),
        ("train ~hydra", "change it with its settings: hydra.KEY=VALUE"),
        ("train data.horizon=0", "data.horizon is 0: it must be at least 1"),
        ("train data.look_back=-5", "data.look_back is -5: it must be at least 1"),
        ("train data.timezone=Mars/Base", "there is no such zone"),
        ("train data.conditioning.harmonics=-1", "harmonics is -1"),
        (
            "train data.horizon=24 data.look_back=168 model/network=horizon_recursive",
            "a recursive forecast has no quantiles",
        ),
        ("train seed=-1", "seed is -1: it must be 0 or more"),
        (
            "train data=series_csv",
            "add data.datetime_column=VALUE data.root=VALUE",
        ),
        ("train --shell-completion", 'type eval "$(rnnexp completion bash)"'),
        ("train --multirn", "does not know --multirn; did you mean --multirun?"),
        ("tran", "did you mean train?"),
        ("leaderboard --csw", "did you mean --csv?"),
        ("data lst", "did you mean list?"),
        ("config schma", "did you mean schema?"),
        ("doctor b", "rnnexp doctor does not know b"),
        ("test", "the following arguments are required: DIR"),
        ("rerun one/run another/run", "rerun takes one folder, not another/run as well"),
    ],
)
def test_the_sentence_says_what_to_type(
    words: str, sentence: str, empty_folder: Path, capsys: Capture
) -> None:
    assert main(words.split()) == 2
    said = capsys.readouterr()
    assert said.err.startswith("rnnexp: ") and sentence in said.err
    assert said.err.count("\n") == 1 and said.out == ""
    assert list(empty_folder.iterdir()) == []


def test_a_launcher_that_rnnexp_has_an_extra_for(
    empty_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    files = groups.files
    monkeypatch.setattr(
        groups, "files", lambda group: ["basic"] if group == "hydra/launcher" else files(group)
    )
    monkeypatch.setattr(
        "hydra._internal.config_loader_impl.ConfigLoaderImpl._load_configuration_impl",
        missing_launcher,
    )
    assert main(["train", "hydra/launcher=joblib"]) == 2
    assert "joblib is not installed: type pip install 'rnnexp[joblib]'" in capsys.readouterr().err


def missing_launcher(*_: object, **__: object) -> None:
    from hydra.errors import MissingConfigException

    raise MissingConfigException("not found", missing_cfg_file="hydra/launcher/joblib")


def test_a_run_of_no_epochs(empty_folder: Path, capsys: Capture) -> None:
    assert main(["train", "trainer.max_epochs=0"]) == 2
    assert "trainer.max_epochs is 0: it must be at least 1" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["test", "rerun", "predict", "data", "leaderboard", "doctor"])
def test_help_does_not_import_torch(name: str) -> None:
    code = (
        "import sys; from rnnexp.cli import main\n"
        f"try: main(['{name}', '--help'])\n"
        "finally: assert not {'torch', 'pandas', 'scipy'} & set(sys.modules)"
    )
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert time.perf_counter() - started < 5  # about 0.3 where nothing else runs
