"""Rows of one-hot words in a whole run: the same as the dense step, catching up and clipped."""

import json
from pathlib import Path
from typing import Any

import pytest

from rnnexp.cli import main
from rnnexp.nn.fast import tables as lookup
from rnnexp.runs.folder.reading import read_digest, read_run
from tests.support.shrink import HERE, QUIET

RUN = [
    "train",
    "experiment=quickstart_reviews",
    "model/representation=one_hot",
    "model.hidden_size=8",
    "data.per_class=25",
    "data.batch_size=1",
    "trainer.max_epochs=2",
    "trainer.gradient_clip_val=0.05",
    *HERE,
    *QUIET,
    "trainer.precision=64-true",  # in single precision rounding grows over the steps
    "name=run",
]
SGD = ["optimizer=sgd", "optimizer.lr=0.03", "optimizer.weight_decay=0.01"]
# Idle moves are those of eps = 0.
ADAMW = ["optimizer=adamw", "optimizer.lr=0.01", "+optimizer.eps=1e-30"]
# And by how much the losses differ, at least, where rows are read as they lie: less in networks of
# which the last input alone has a short way to the loss.
TRAININGS = {
    "grunet, sgd": (["model=grunet", *SGD], 1e-3),
    "grunet, adamw": (["model=grunet", *ADAMW], 1e-3),
    "textnet": (["model=textnet", *SGD], 1e-4),
    "textnet_order2": (["model=textnet_order2", *SGD], 1e-4),
    "char RNN": (["model=textnet_slide", "model/readout=last_input", *SGD], 1e-4),
}


def trained(name: str, *overrides: str) -> tuple[list[float], dict[str, Any]]:
    """Every training loss, and the metrics of the test."""
    assert main([*RUN, f"paths.outputs={name}", *overrides]) == 0
    (folder,) = Path(name, "run").iterdir()
    assert read_run(folder)["path"] == "fused"
    losses = [float.fromhex(loss) for loss in read_digest(folder)["losses"]]
    return losses, json.loads((folder / "metrics.json").read_text())


def gap(losses: list[float], expected: list[float]) -> float:
    """The largest relative difference."""
    return max(abs(a - b) / b for a, b in zip(losses, expected, strict=True))


@pytest.mark.parametrize(("options", "least"), TRAININGS.values(), ids=TRAININGS)
def test_the_same_run_as_with_dense_gradients(
    empty_folder: Path, options: list[str], least: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    sparse, metrics = trained("sparse", *options)
    dense, expected = trained("dense", *options, "model.representation.sparse=false")
    assert gap(sparse, dense) < 1e-9
    assert metrics["test/nll"] == pytest.approx(expected["test/nll"], rel=1e-9)
    # With rows that are read as they lie it is another training.
    monkeypatch.setattr(lookup, "current_rows", lambda table, rows: table.index_select(0, rows))
    stale, _ = trained("stale", *options)
    assert gap(stale, dense) > least


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["optimizer=adam", "optimizer.weight_decay=0.1"], "weight_decay=0.1 of Adam"),
        (["optimizer=adamw", "+optimizer.amsgrad=true"], "amsgrad=True"),
    ],
)
def test_settings_of_which_idle_rows_cannot_keep_up_are_refused(
    empty_folder: Path, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """In one sentence, before the first step; with dense gradients they are fine."""
    run = [*RUN, "model=grunet", *options]
    assert main(run) == 2
    assert f"optimizer: {message} needs an update of every row" in capsys.readouterr().err
    assert main([*run, "model.representation.sparse=false", "trainer.max_epochs=1"]) == 0
