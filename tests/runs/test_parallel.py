"""Several processes train one network as one process would."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf
from torch import distributed

from experiments.robustness.deaths import Death
from experiments.robustness.outcome import differences, outcome
from rnnexp.cli import main
from rnnexp.config import compose
from rnnexp.data.loading.loader import BatchLoader, Share
from rnnexp.data.loading.samplers import ShuffledBatches
from rnnexp.errors import RunFailed, UserError
from rnnexp.process.group import Member
from rnnexp.runs.folder.reading import read_checkpoint, read_run
from rnnexp.runs.parallel import other_processes
from rnnexp.runs.trainer import check_trainer
from tests.support.interrupted import BATCH, EVERY_STEP, train
from tests.support.shrink import QUIET, SYNTHETIC_LOAD, TINY

HERE = [*TINY, *QUIET, "trainer.max_epochs=2"]
LOAD = ["experiment=quickstart", *SYNTHETIC_LOAD, "data.batch_size=5"]
NAMES = ["experiment=quickstart_names", "data.number=10"]
ROWS = ["experiment=sentiment_gru_onehot_works", "data=synthetic_reviews", "data.per_class=20"]
ROWS += ["data.max_tokens=30", "data.batch_size=9", "trainer.max_epochs=3"]
TWO = ["trainer=ddp", "trainer.accelerator=cpu"]


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNNEXP_CACHE", str(tmp_path_factory.getbasetemp() / "cache_of_parallel"))


@pytest.mark.parametrize(
    "settings",
    [
        LOAD,
        [*NAMES, "data.batch_size=17"],  # of 52 names: in the last batch, one process has none
        [*ROWS, "model.dropout=0", "model.readout.dropout=0"],
    ],
    ids=["load", "names", "one-hot rows"],
)
def test_two_processes_train_as_one(settings: list[str], tmp_path: Path) -> None:
    """In float64, since the sums of a batch are in another order."""
    one, two = tmp_path / "one", tmp_path / "two"
    exact = [*settings, *HERE, "trainer.precision=64"]
    assert main(["train", *exact, f"hydra.run.dir={one}"]) == 0
    assert main(["train", *exact, *TWO, f"hydra.run.dir={two}"]) == 0
    alone, together = outcome(one), outcome(two)
    for part in ("files", "digest.json: batch_order"):
        assert together[part] == alone[part]
    losses = [map(float.fromhex, found["digest.json: losses"]) for found in (alone, together)]
    assert list(losses[1]) == pytest.approx(list(losses[0]), rel=1e-9)
    metrics = [name for name in alone if name.startswith("metrics.json: test/")]
    assert [together[x] for x in metrics] == pytest.approx([alone[x] for x in metrics], rel=1e-9)
    weights = [read_checkpoint(x / "checkpoints" / "last.ckpt")["state_dict"] for x in (one, two)]
    torch.testing.assert_close(weights[1], weights[0], rtol=1e-9, atol=1e-12)


def test_a_killed_run_of_two_processes_goes_on_to_the_bit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With dropout, for which each process draws numbers of its own."""
    settings, whole = [*ROWS, *EVERY_STEP, *TWO], tmp_path / "whole"
    assert main(["train", *settings, f"hydra.run.dir={whole}"]) == 0
    killed = train(tmp_path / "run", settings, Death(BATCH, 9))
    assert main(["resume", str(killed)]) == 0
    assert differences(outcome(whole), outcome(killed)) == []
    assert read_run(killed)["resumed"][0]["batch"] > 0
    assert main(["test", str(killed)]) == 0
    assert "equal the recorded ones to the bit" in capsys.readouterr().out


def test_the_shares_of_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rnnexp.data.loading.loader.rank_and_size", lambda: (1, 2))
    items = torch.arange(7)
    sampler = ShuffledBatches(lambda epoch: items, batch_size=3, seed=0)
    drawn = torch.cat(list(ShuffledBatches(lambda epoch: items, batch_size=3, seed=0).batches()))
    shares = list(BatchLoader(sampler, lambda own: own.tolist()))
    order = drawn.tolist()
    assert shares == [
        Share([order[1]], items=3, counts=True),
        Share([order[4]], items=3, counts=True),
        Share([order[6]], items=1, counts=False),  # an item of the other process
    ]


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("trainer.devices=0", "trainer.devices is 0: it must be a number from 1 to 1,024"),
        ("trainer.devices=auto", "trainer.devices is 'auto': it must be a number from 1 to 1,024"),
        ("trainer.precision=16-mixed", "trainer.precision is '16-mixed': it must be another"),
        ("+trainer.sync_batchnorm=true", "trainer.sync_batchnorm is True: it must be false"),
    ],
)
def test_what_several_processes_cannot_do(
    setting: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "experiment=quickstart", *TWO, setting]) == 2
    assert f"rnnexp: {sentence}" in capsys.readouterr().err


def test_more_gpus_than_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    config = compose(["experiment=quickstart", "trainer=ddp", "trainer.accelerator=gpu"])
    with pytest.raises(UserError, match=r"trainer\.devices is 2: torch finds 1 GPU here"):
        check_trainer(config)


# A process that dies -----------------------------------------------------------------------------


def dies_before(member: Member, config: Any) -> None:
    print("the reason")
    os.kill(os.getpid(), signal.SIGKILL)


def dies_within(member: Member, config: Any) -> None:
    with member.joined():
        raise ValueError("the reason")


def reduce_for_ever(config: Any, other: Callable[..., None]) -> None:
    with other_processes(config, other):
        while True:
            distributed.all_reduce(torch.zeros(1))


@pytest.mark.parametrize("dies", [dies_before, dies_within])
def test_a_process_that_dies_is_named(dies: Callable[..., None]) -> None:
    config = OmegaConf.create(
        {"trainer": {"devices": 2, "accelerator": "cpu"}, "determinism": {"threads": 1}}
    )
    with pytest.raises(RunFailed, match=r"process 1 of trainer=ddp has died(?s:.*)the reason"):
        reduce_for_ever(config, dies)
