"""Lazy optimisers in whole runs on one-hot words: equal to dense updates, with clipping."""

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
    "trainer.precision=64-true",  # in single precision, rounding errors grow over the steps
    "name=run",
]
SGD = ["optimizer=sgd", "optimizer.lr=0.03", "optimizer.weight_decay=0.01"]
# Idle steps are exact for eps = 0.
ADAMW = ["optimizer=adamw", "optimizer.lr=0.01", "+optimizer.eps=1e-30"]
# For each training, a lower bound on the difference of the losses if outdated rows are read. It is
# smaller for readouts of the last input.
TRAININGS = {
    "grunet, sgd": (["model=grunet", *SGD], 1e-3),
    "grunet, adamw": (["model=grunet", *ADAMW], 1e-3),
    "textnet": (["model=textnet", *SGD], 1e-4),
    "textnet_order2": (["model=textnet_order2", *SGD], 1e-4),
    "char RNN": (["model=textnet_slide", "model/readout=last_input", *SGD], 1e-4),
}


def trained(name: str, *overrides: str) -> tuple[list[float], dict[str, Any]]:
    """All training losses, and the test metrics."""
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
    # Reading outdated rows changes the training.
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
def test_settings_that_do_not_allow_lazy_updates_are_refused(
    empty_folder: Path, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """With one sentence, before the first step. With dense gradients they are allowed."""
    run = [*RUN, "model=grunet", *options]
    assert main(run) == 2
    assert f"optimizer: {message} needs an update of every row" in capsys.readouterr().err
    assert main([*run, "model.representation.sparse=false", "trainer.max_epochs=1"]) == 0
