"""The same sweep with the basic launcher and with joblib; both report two failures of four."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from rnnexp.cli import main
from tests.support import REPOSITORY

SWEEP = [
    "-m",
    "experiment=quickstart",
    "optimizer.lr=0.1,1e39,0.01,bad",  # 1e39 diverges, bad is no rate
    "trainer.gradient_clip_val=null",
    "optimizer=sgd",
    "trainer.max_epochs=1",
    "trainer.accelerator=cpu",
    "model.hidden_size=4",
    "data.number=1",
    "data.days=40",
    "data.look_back=30",
    "data.chunking.length=40",
    "data.batch_size=4",
    "determinism.threads=1",
    "callbacks.progress_bar=null",
    "callbacks.figures=null",
    "logger=none",
]
TWO = ["hydra.launcher.n_jobs=2"]


def losses(outputs: Path) -> dict[str, list[str]]:
    """The losses of every completed run, by its overrides."""
    found = {}
    for digest in sorted(outputs.rglob("digest.json")):
        run = json.loads((digest.parent / "run.json").read_text())
        found[run["overrides"][1]] = json.loads(digest.read_text())["losses"]
    return found


def check_what_was_said(said: str) -> None:
    assert "optimizer.lr is 'bad', it must be" in said
    assert "the training loss became" in said
    _, _, end = said.partition("rnnexp: 2 of 4 jobs failed:\n")
    named = end.splitlines()
    assert [re.findall(r"optimizer\.lr=(\S+)", line) for line in named] == [["1e+39"], ["bad"]]
    assert all(re.search(r"  in .*/[13]_quickstart_pmgru_\S*$", line) for line in named)


@pytest.mark.slow
def test_every_launcher_gives_the_same_results_and_the_same_failures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RNNEXP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("RNNEXP_OUTPUTS", str(tmp_path / "basic"))
    assert main(["train", *SWEEP]) == 1
    check_what_was_said(capfd.readouterr().err)

    paths = os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")])
    joblib = subprocess.run(
        [sys.executable, "-m", "rnnexp", "train", *SWEEP, "hydra/launcher=joblib", *TWO],
        env=os.environ | {"PYTHONPATH": paths, "RNNEXP_OUTPUTS": str(tmp_path / "joblib")},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert joblib.returncode == 1
    check_what_was_said(joblib.stderr)
    expected = losses(tmp_path / "basic")
    assert list(expected) == ["optimizer.lr=0.1", "optimizer.lr=0.01"]
    assert losses(tmp_path / "joblib") == expected
