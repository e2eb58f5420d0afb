"""A sweep of three jobs on a cluster: one succeeds, one fails, and the process of one is killed."""

import os
from pathlib import Path

import pytest

from rnnexp.cli import main
from rnnexp.runs.folder.reading import read_run
from tests.support import REPOSITORY
from tests.support.shrink import QUIET, SYNTHETIC_LOAD, TINY

KILLER = """
import os, signal
from pathlib import Path
import pytorch_lightning as pl

class Killer(pl.Callback):
    def __init__(self, rate):
        self.rate = rate

    def on_train_epoch_start(self, trainer, module):
        if self.rate == 0.03 and trainer.current_epoch == 1:
            mark = Path(__file__).with_name("killed")
            if not mark.exists():
                mark.touch()
                os.kill(os.getpid(), signal.SIGKILL)
"""
SWEEP = [
    *("train", "-m", "experiment=quickstart", *SYNTHETIC_LOAD, *TINY, *QUIET),
    *("trainer.max_epochs=2", "optimizer.lr=0.01,bad,0.03", "hydra.sweep.dir=sweep"),
    *("+callbacks.killer={_target_: killer.Killer, rate: '${optimizer.lr}'}", "--allow", "killer"),
]


def check_a_sweep_with_a_lost_worker(
    words: list[str],
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> str:
    """Run it in a folder with these words, and check its results. Returns its output."""
    (place / "killer.py").write_text(KILLER)
    paths = [str(place), str(REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    monkeypatch.setenv("RNNEXP_ALLOW", "")  # --allow sets it
    monkeypatch.setenv("RNNEXP_CACHE", str(place / "cache"))
    monkeypatch.syspath_prepend(place)
    assert main([*SWEEP, *words]) == 1
    said = capfd.readouterr()
    assert (place / "killed").exists()
    runs = {
        run["overrides"][-2]: run
        for run in (read_run(path.parent) for path in Path("sweep").glob("*/run.json"))
    }
    statuses = {rate: run["status"] for rate, run in runs.items()}
    completed = {"optimizer.lr=0.01": "completed", "optimizer.lr=0.03": "completed"}
    assert statuses == completed | {"optimizer.lr=bad": "failed"}
    assert [rate for rate, run in runs.items() if "resumed" in run] == ["optimizer.lr=0.03"]
    assert "rnnexp: 1 of 3 jobs failed:" in said.err and said.err.count("optimizer.lr=bad") == 1
    assert "optimizer.lr is 'bad'" in said.out
    assert "3/3  " in said.out
    return said.out
