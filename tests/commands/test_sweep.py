"""A sweep as a user starts it: in a separate process, with jobs that fail."""

import json
import os
import re
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest

from rnnexp.cli import main
from tests.support import REPOSITORY
from tests.support.shrink import NO_FIGURES, SYNTHETIC_LOAD, TINY

UNLUCKY = """
from pytorch_lightning.callbacks import Callback

class Unlucky(Callback):
    def on_train_start(self, trainer, task):
        if trainer.optimizers[0].defaults["lr"] == 13:
            raise ZeroDivisionError("planted")
"""
SWEEP = [
    "-m",
    "optimizer.lr=0.1,13,0.01,1e39,0.001,0.0001",  # 13 triggers the bug, 1e39 diverges
    "optimizer=sgd",
    "trainer.gradient_clip_val=null",
    *TINY,
    *SYNTHETIC_LOAD,
    "data.batch_size=4",
    *NO_FIGURES,
    "--allow=unlucky",
    "+callbacks.unlucky={_target_: unlucky.Unlucky}",
]


def test_two_of_six_jobs_fail(empty_folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (empty_folder / "unlucky.py").write_text(UNLUCKY)
    paths = os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")])
    cache = str(empty_folder / "cache")
    answer = subprocess.run(
        [sys.executable, "-m", "rnnexp", "train", *SWEEP],
        env=os.environ | {"PYTHONPATH": paths, "RNNEXP_CACHE": cache},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert answer.returncode == 1

    [launch] = (empty_folder / "outputs/multirun").iterdir()
    rates = ["0.1", "13", "0.01", "1e+39", "0.001", "0.0001"]
    labels = [f"pmgru_lr{rate}_seed0" for rate in rates]
    folders = [launch / f"{number}_quickstart_{label}" for number, label in enumerate(labels)]
    assert sorted(path for path in launch.iterdir() if path.is_dir()) == folders
    runs = [json.loads((folder / "run.json").read_text()) for folder in folders]
    good, bad = "completed", "failed"
    assert [run["status"] for run in runs] == [good, bad, good, bad, good, good]
    assert [(f / "metrics.json").exists() for f in folders] == [r["status"] == good for r in runs]

    # Each failure is in the log of its own run before the next one begins.
    logs = [(folder / "log.txt").read_text() for folder in folders]
    assert "Traceback" in logs[1] and "ZeroDivisionError: planted" in logs[1]
    assert "the training loss became" in logs[3] and "Traceback" not in logs[3]
    assert not any("planted" in log or "became" in log for log in [*logs[:1], logs[2], *logs[4:]])
    for number in (1, 3):
        begun = datetime.fromisoformat(runs[number + 1]["started"]).timestamp()
        assert (folders[number] / "log.txt").stat().st_mtime <= begun + 0.001

    # The end of the output names both failures with their overrides.
    _, _, end = answer.stderr.partition("rnnexp: 2 of 6 jobs failed:\n")
    named = end.splitlines()
    assert len(named) == 2
    for line, number in zip(named, (1, 3), strict=True):
        assert line.endswith(f" in {folders[number]}")
    assert [re.findall(r"optimizer\.lr=(\S+)", line) for line in named] == [["13"], ["1e+39"]]

    assert main(["leaderboard", "--json"]) == 0
    rows = json.loads(capfd.readouterr().out)
    shown = {row["optimizer.lr"]: (row["seeds"], row["not completed"]) for row in rows}
    ranked, failed = ("0", ""), ("", "1 failed")
    assert shown == dict.fromkeys([0.1, 0.01, 0.001, 0.0001], ranked) | {13: failed, 1e39: failed}
    smape = [row["smape"] for row in rows]
    assert smape[:4] == sorted(smape[:4]) and smape[4:] == [None, None]
