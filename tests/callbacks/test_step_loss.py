"""The loss of every 100 steps: in TensorBoard, on the console and in the figure."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
from matplotlib.figure import Figure
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from rnnexp import console
from rnnexp.callbacks import figures
from rnnexp.callbacks.history import History
from rnnexp.callbacks.step_loss import StepLoss
from rnnexp.config import compose
from rnnexp.runs.experiment import run

LONG = [
    *("data=synthetic_reviews", "model=gru", "model.hidden_size=4", "data.batch_size=1"),
    *("data.per_class=50", "data.validation_fraction=0", "monitor=null", "trainer.max_epochs=1"),
    *("trainer.accelerator=cpu", "determinism.threads=1", "name=long", "seed=3"),
]


def test_a_long_epoch_is_seen_on_its_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNNEXP_CACHE", str(tmp_path / "cache"))
    signed: list[Figure] = []
    sign = figures.sign

    def keep(figure: Figure, trainer: pl.Trainer) -> None:
        sign(figure, trainer)
        signed.append(figure)

    monkeypatch.setattr(figures, "sign", keep)
    folder = tmp_path / "with"
    with console.console.capture() as capture:
        run(compose(LONG), folder)
    losses = [float.fromhex(x) for x in json.loads((folder / "digest.json").read_text())["losses"]]
    assert len(losses) == 240
    means = [sum(losses[start : start + 100]) / 100 for start in (0, 100)]

    lines = [line for line in capture.get().splitlines() if line.startswith("epoch")]
    assert lines[:2] == [
        f"epoch 1/1, step {step}/240  train/loss {mean:.4g} (mean of 100 steps)"
        for step, mean in zip((100, 200), means, strict=True)
    ]
    assert lines[2].startswith("epoch 1/1  train/loss") and len(lines) == 3

    events = EventAccumulator(str(folder / "tensorboard")).Reload()
    scalars = events.Scalars("train/loss_of_100_steps")
    assert [one.step for one in scalars] == [100, 200]
    assert [one.value for one in scalars] == pytest.approx(means, rel=1e-6)

    (curve,) = [one for one in signed if one.axes[0].get_title() == "Loss by step"]
    assert np.asarray(curve.axes[0].lines[0].get_xdata()).size == 20
    assert {one.get_supxlabel() for one in signed} == {"long, seed 3\nfolder with"}
    assert len(signed) == len(list((folder / "figures").rglob("*.png"))) == 4

    nothing = ["callbacks.figures=null", "callbacks.progress_bar=null", "logger=none"]
    monkeypatch.setattr(StepLoss, "on_train_batch_end", lambda *_: None)
    run(compose([*LONG, *nothing]), tmp_path / "without")
    digests = [(tmp_path / one / "digest.json").read_bytes() for one in ("with", "without")]
    assert digests[0] == digests[1]


def test_without_a_line_per_epoch_there_are_none_within() -> None:
    for progress_bar, apart in ((None, 0), (object(), 100)):
        trainer: Any = SimpleNamespace(
            progress_bar_callback=progress_bar, max_epochs=-1, num_training_batches=240
        )
        step_loss = StepLoss(History())
        step_loss.on_train_start(trainer, pl.LightningModule())
        assert step_loss.apart == apart
