"""Values that a run cannot have are one sentence that names the key, before a folder is made."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
import yaml
from omegaconf import OmegaConf

from rnnexp.cli import main
from rnnexp.config.signatures import arguments
from rnnexp.errors import UserError
from rnnexp.files import LONGEST_NAME, file_name
from rnnexp.process import memory
from rnnexp.process.cores import MOST_THREADS
from rnnexp.process.memory import enough_memory
from rnnexp.runs.trainer import ELSEWHERE, RULES, check_trainer
from tests.support.shrink import QUIET, SYNTHETIC_LOAD, TINY

RUN = ["train", "data=synthetic_load", *TINY, *QUIET, *SYNTHETIC_LOAD, "data.batch_size=4"]
FAILED, MISTAKE = 1, 2
Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _own_cache(empty_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNNEXP_CACHE", str(tmp_path / "cache"))


def sentence(overrides: list[str], capture: Capture, code: int = MISTAKE) -> str:
    capture.readouterr()
    assert main([*RUN, *overrides]) == code
    said = capture.readouterr().err
    assert said.startswith("rnnexp: ") and said.count("\n") == 1 and "Traceback" not in said, said
    return said


ODD = [
    "trainer.accelerator=tpu",
    "+trainer.strategy=ddp_spawn",
    "trainer.precision=transformer-engine",
    "+trainer.accumulate_grad_batches=0",
    "+trainer.max_time={parsecs:1}",
    "model._target_={}",
    "data._target_=[]",
    "model.recurrence._target_=[]",
    "determinism.threads=1000000",
    "model.num_layers=1000000000",
    "trainer._target_=torch.nn.Identity",
]
# The others of the trainer, as they stand in a config.
ODD_ARGUMENTS = [
    "trainer.devices=2",
    "trainer.devices=0",
    "trainer.num_nodes=2",
    "trainer.strategy=deepspeed",
    "trainer.precision=transformer-engine-float16",
    "trainer.precision=16-mixed",
    "trainer.precision=16-true",
    "trainer.precision=bf16-true",
    "trainer.max_epochs=0",
    "trainer.max_epochs=-3",
    "trainer.max_epochs=1e9",
    "trainer.min_epochs=-5",
    "trainer.min_epochs=2",
    "trainer.max_steps=0",
    "trainer.max_steps=-7",
    "trainer.min_steps=-7",
    "trainer.max_time=soon",
    "trainer.max_time=00:00:00:00",
    "trainer.max_time={days: -1}",
    "trainer.limit_train_batches=0",
    "trainer.limit_train_batches=-1",
    "trainer.limit_train_batches=1.5",
    "trainer.limit_train_batches=nan",
    "trainer.limit_val_batches=0",
    "trainer.limit_test_batches=0.0",
    "trainer.limit_predict_batches=-1",
    "trainer.overfit_batches=1",
    "trainer.overfit_batches=0.5",
    "trainer.fast_dev_run=true",
    "trainer.fast_dev_run=3",
    "trainer.val_check_interval=0",
    "trainer.val_check_interval=-1",
    "trainer.val_check_interval=00:00:00:01",
    "trainer.check_val_every_n_epoch=0",
    "trainer.check_val_every_n_epoch=-1",
    "trainer.check_val_every_n_epoch=2",
    "trainer.num_sanity_val_steps=-5",
    "trainer.log_every_n_steps=-5",
    "trainer.accumulate_grad_batches=-1",
    "trainer.accumulate_grad_batches=1000000000000000000",
    "trainer.gradient_clip_val=-1",
    "trainer.gradient_clip_val=nan",
    "trainer.gradient_clip_val=inf",
    "trainer.gradient_clip_algorithm=length",
    "trainer.deterministic=true",
    "trainer.deterministic=warn",
    "trainer.benchmark=true",
    "trainer.profiler=xla",
    "trainer.profiler=mine",
    "trainer.barebones=true",
    "trainer.reload_dataloaders_every_n_epochs=-1",
    "trainer.default_root_dir=elsewhere",
    "trainer.enable_checkpointing=false",
    "trainer.enable_progress_bar=true",
    "trainer.logger=true",
    "trainer.callbacks=[]",
    "trainer.plugins=[]",
    "trainer.model_registry=mine",
]


@pytest.mark.parametrize("override", ODD)
def test_one_sentence_names_the_key(override: str, capfd: Capture) -> None:
    key = override.lstrip("+").partition("=")[0]
    said = sentence([override], capfd)
    assert key in said or key.rpartition(".")[2] in said
    if not key.startswith("model.num_layers"):
        assert not Path("outputs").exists()


@pytest.mark.parametrize("argument", ODD_ARGUMENTS)
def test_arguments_of_the_trainer(argument: str) -> None:
    base = "trainer:\n  _target_: pytorch_lightning.Trainer\n  accelerator: cpu\n  max_epochs: 1\n"
    config: Any = OmegaConf.create(f"{base}monitor: val/loss\ndeterminism: {{}}")
    check_trainer(config)
    key, _, value = argument.partition("=")
    OmegaConf.update(
        config, key, yaml.safe_load(value.replace(":", ": ") if "{" in value else value)
    )
    with pytest.raises(UserError, match=re.escape(key)):
        check_trainer(config)


def test_every_argument_of_the_trainer_has_its_rule() -> None:
    known, _ = arguments(pl.Trainer)
    assert set(known) == {*RULES, *ELSEWHERE}
    for name, (may_be, _) in RULES.items():  # of Lightning's own defaults, but for what rnnexp sets
        default = known[name].default
        assert may_be(default) or name in ("devices",), name


@pytest.mark.parametrize(
    "overrides",
    [
        ["trainer.precision=64"],
        ["trainer.num_sanity_val_steps=2", "+trainer.val_check_interval=0.5"],
        [
            *("+trainer.accumulate_grad_batches=1000000000", "+trainer.inference_mode=false"),
            *("+trainer.strategy=auto", "+trainer.num_nodes=1", "+trainer.sync_batchnorm=true"),
        ],
    ],
)
def test_what_is_not_refused_works(overrides: list[str], capfd: Capture) -> None:
    assert main([*RUN, *overrides]) == 0
    [folder] = Path("outputs").glob("*/*")
    assert json.loads((folder / "run.json").read_text())["seconds"]["train"] < 60
    assert main(["test", str(folder)]) == 0


def test_validations_that_never_come(capfd: Capture) -> None:
    said = sentence(["+trainer.val_check_interval=1000000"], capfd)
    assert "trainer.val_check_interval is 1000000, and an epoch has" in said
    never = ["+trainer.check_val_every_n_epoch=null", "+trainer.val_check_interval=1000000"]
    assert "chose no checkpoint" in sentence(never, capfd)
    for folder in Path("outputs").glob("*/*"):
        assert json.loads((folder / "run.json").read_text())["status"] == "failed"
        assert not (folder / "metrics.json").exists()


NAMES = ["n" * 300, "'a\nb'", "'ä%s'" % ("é" * 150), "'a\udcffb'", "..", "a/b"]


@pytest.mark.parametrize("name", NAMES)
def test_names_that_cannot_name_a_folder(name: str, capfd: Capture) -> None:
    assert "name is" in sentence([f"name={name}"], capfd)
    assert not Path("outputs").exists()


def test_places_that_cannot_be(capfd: Capture) -> None:
    assert "paths.outputs is" in sentence(["paths.outputs='a\0b'"], capfd)
    assert "too long" in sentence([f"hydra.run.dir={'n' * 300}"], capfd)
    assert "too long" in sentence([f"paths.outputs={'n' * 300}"], capfd)


def test_names_of_files_are_short_and_differ() -> None:
    long = [file_name("ü" * 300 + end) for end in "ab"]
    assert long[0] != long[1] and all(len(name.encode()) <= LONGEST_NAME for name in long)
    assert file_name("a/b\0\udcff") == "a%2Fb%00%5Cudcff"
    assert file_name("ordinary name") == "ordinary name"


def test_a_run_of_a_larger_machine_is_repeated(capfd: Capture) -> None:
    assert main([*RUN, "hydra.run.dir=run"]) == 0
    config: Any = OmegaConf.load("run/config.yaml")
    config.determinism.threads = 64
    OmegaConf.save(config, "run/config.yaml")
    assert MOST_THREADS >= 64 and main(["test", "run"]) in (0, 4)


def test_networks_that_do_not_fit(capfd: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    for size in (10**9, 10**18):
        said = sentence([f"model.hidden_size={size}"], capfd, FAILED if size < 10**12 else MISTAKE)
        assert "model" in said and ("not enough memory" in said or "cannot be built" in said)
    monkeypatch.setattr(memory, "available_memory", lambda: 1000)  # bytes
    assert "model.hidden_size" in sentence([], capfd, FAILED)
    for run in Path("outputs").glob("*/*/run.json"):
        assert json.loads(run.read_text())["status"] == "failed"


def test_large_batches_and_windows(capfd: Capture) -> None:
    assert "data.look_back" in sentence(["data.look_back=1000000000"], capfd)
    larger = ["data.batch_size=1000000000", "data.eval_batch_size=1000000000"]
    assert main([*RUN, *larger]) == 0  # one batch of all


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB"),
    ],
)
def test_refused_memory_is_one_sentence(
    error: Exception, capfd: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fit(*arguments: Any, **more: Any) -> None:
        raise error

    monkeypatch.setattr(pl.Trainer, "fit", fit)
    said = sentence([], capfd, FAILED)
    assert "not enough memory" in said and "data.batch_size" in said
    [run] = Path("outputs").glob("*/*/run.json")
    assert "not enough memory" in json.loads(run.read_text())["error"]


def test_other_errors_keep_their_traceback() -> None:
    with pytest.raises(RuntimeError, match="a bug"), enough_memory():
        raise RuntimeError("a bug")
