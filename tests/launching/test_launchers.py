"""The same sweep by the basic launcher and by joblib: two of four jobs fail, and that is said."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import REPOSITORY

SWEEP = [
    "-m",
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


def sweep(place: Path, *launcher: str) -> tuple[int, str, dict[str, list[str]]]:
    """Exit code, what was said on stderr, and the losses of every completed run by its rate."""
    place.mkdir()
    answer = subprocess.run(
        [sys.executable, "-m", "rnnexp", "train", *SWEEP, *launcher],
        cwd=place,
        env=os.environ
        | {
            "PYTHONPATH": os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")]),
            "RNNEXP_CACHE": str(place / "cache"),
            "RNNEXP_OUTPUTS": str(place / "outputs"),
        },
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    losses = {}
    for digest in sorted((place / "outputs").rglob("digest.json")):
        run = json.loads((digest.parent / "run.json").read_text())
        losses[run["overrides"][0]] = json.loads(digest.read_text())["losses"]
    return answer.returncode, answer.stderr, losses


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_every_launcher_gives_the_same_results_and_the_same_failures(tmp_path: Path) -> None:
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    basic = sweep(tmp_path / "basic")
    joblib = sweep(tmp_path / "joblib", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    for code, said, losses in (basic, joblib):
        assert code == 1
        _, _, end = said.partition("rnnexp: 2 of 4 jobs failed:\n")
        named = end.splitlines()
        assert [re.findall(r"optimizer\.lr=(\S+)", line) for line in named] == [["1e+39"], ["bad"]]
        assert all(re.search(r"  in .*/[13]_quickstart$", line) for line in named)
        assert "optimizer.lr is 'bad', it must be" in said
        assert "the training loss became" in said
        assert list(losses) == ["optimizer.lr=0.1", "optimizer.lr=0.01"]
    assert basic[2] == joblib[2]
