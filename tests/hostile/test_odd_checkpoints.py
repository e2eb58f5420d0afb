"""Checkpoints, specs and sizes of a stranger: one sentence, and no memory that the file does not
hold."""

import json
import math
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf

from rnnexp.cli import main
from tests.support.runs import Kept
from tests.support.shrink import QUIET, TINY

RUN = ["train", "data=synthetic_names", "data.number=20", "data.batch_size=8", *TINY, *QUIET]
Capture = pytest.CaptureFixture[str]
Change = Callable[[dict[str, Any]], object]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    def make(place: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(place)
            patch.setenv("RNNEXP_CACHE", str(place / "cache"))
            assert main([*RUN, f"hydra.run.dir={place}/run"]) == 0

    return Kept(tmp_path_factory.mktemp("checkpoints") / "place", make)


@pytest.fixture
def folder(kept: Kept, empty_folder: Path) -> Path:
    return kept.restored() / "run"


def sentence(folder: Path, capture: Capture) -> str:
    """What predict says of an odd run; the memory of the process stays small."""
    capture.readouterr()
    assert main(["predict", str(folder), "--text", "Abc"]) == 2
    said = capture.readouterr().err
    assert said.startswith("rnnexp: ") and said.count("\n") == 1 and "Traceback" not in said, said
    return said


def change(folder: Path, how: Change) -> None:
    path = folder / "checkpoints" / "best.ckpt"
    content = torch.load(path, weights_only=True)
    how(content)
    path.unlink()  # it is mapped into memory
    torch.save(content, path)


def first_weight(content: dict[str, Any]) -> str:
    return next(n for n, x in content["state_dict"].items() if x.ndim == 2)


def with_weight(make: Callable[[torch.Tensor], torch.Tensor]) -> Change:
    def how(content: dict[str, Any]) -> None:
        name = first_weight(content)
        content["state_dict"][name] = make(content["state_dict"][name])

    return how


HUGE = 10**15
ODD: dict[str, tuple[Change, str]] = {
    "format is a tensor": (lambda c: c.update(rnnexp_format=torch.ones(3)), "this version"),
    "format is true": (lambda c: c.update(rnnexp_format=True), "this version"),
    "format is a list": (lambda c: c.update(rnnexp_format=[1]), "this version"),
    "format is missing": (lambda c: c.pop("rnnexp_format"), "this version"),
    "expanded": (
        with_weight(lambda w: torch.zeros(1).expand(HUGE)),
        "values, which it does not hold",
    ),
    "expanded, the right shape": (with_weight(lambda w: torch.zeros(1).expand(w.shape)), "hold"),
    "expanded elsewhere": (
        lambda c: c.update(more=[{"a": torch.zeros(1).expand(HUGE)}]),
        "more[0].a says",
    ),
    "sparse": (with_weight(lambda w: w.to_sparse()), "no plain tensor"),
    "meta": (with_weight(lambda w: w.to("meta")), "no plain tensor"),
    "integers": (with_weight(lambda w: w.long()), "torch.int64"),
    "complex": (with_weight(lambda w: w.to(torch.complex64)), "torch.complex64"),
    "other shape": (with_weight(lambda w: w[:1].clone()), "has the shape"),
    "NaN": (with_weight(lambda w: torch.full_like(w, math.nan)), "NaN or infinite"),
    "infinite": (with_weight(lambda w: torch.full_like(w, math.inf)), "NaN or infinite"),
    "no tensor": (lambda c: c["state_dict"].update({first_weight(c): 1.0}), "no weights"),
    "number as name": (lambda c: c["state_dict"].update({1: torch.ones(1)}), "no weights"),
    "no weights": (lambda c: c.update(state_dict={}), "is missing"),
    "list of weights": (lambda c: c.update(state_dict=[1]), "no weights"),
    "one more": (
        lambda c: c["state_dict"].update({"network.more": torch.ones(1)}),
        "more is not of this network",
    ),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_tensors(name: str, folder: Path, capfd: Capture) -> None:
    how, expected = ODD[name]
    change(folder, how)
    said = sentence(folder, capfd)
    assert expected in said and "best.ckpt" in said, said


def test_not_finite_names_the_weight(folder: Path, capfd: Capture) -> None:
    change(folder, with_weight(lambda w: torch.full_like(w, math.nan)))
    content = torch.load(folder / "checkpoints" / "best.ckpt", weights_only=True)
    assert first_weight(content).removeprefix("network.") in sentence(folder, capfd)


def test_a_storage_that_is_smaller_than_it_says(folder: Path, capfd: Capture) -> None:
    path = folder / "checkpoints" / "best.ckpt"
    other = path.with_name("other")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(other, "w", zipfile.ZIP_STORED) as new:
        data = [one for one in old.infolist() if "/data/" in one.filename]
        largest = max(data, key=lambda one: one.file_size)
        for info in [*(one for one in old.infolist() if one is not largest), largest]:
            content = old.read(info)
            new.writestr(info.filename, content[:4] if info is largest else content)
    shutil.move(other, path)
    assert "best.ckpt" in sentence(folder, capfd)


def test_a_checkpoint_cut_short(folder: Path, capfd: Capture) -> None:
    path = folder / "checkpoints" / "best.ckpt"
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content[: len(content) // 2])
    assert "best.ckpt" in sentence(folder, capfd)


SPECS: dict[str, Any] = {
    "empty": {},
    "vocabulary of 10^9": {"vocabulary": 10**9},
    "vocabulary of 10^18": {"vocabulary": 10**18},
    "vocabulary of 10^30": {"vocabulary": 10**30},
    "negative vocabulary": {"vocabulary": -1},
    "text as vocabulary": {"vocabulary": "many"},
    "vectors of 10^9": {"vectors": {"dimension": 10**9, "known": 1}},
    "number as vectors": {"vectors": 5},
    "number as classes": {"classes": 5},
    "no classes": {"classes": []},
    "extra of 10^9": {"extra": 10**9},
    "text as extra": {"extra": "many"},
}


@pytest.mark.parametrize("name", SPECS)
def test_odd_specs(name: str, folder: Path, capfd: Capture) -> None:
    run = json.loads((folder / "run.json").read_text())
    run["spec"] = run["spec"] | SPECS[name] if SPECS[name] else {}
    (folder / "run.json").write_text(json.dumps(run))
    sentence(folder, capfd)


SIZES = [("hidden_size", 10**9), ("hidden_size", 10**18), ("num_layers", 10**9)]


@pytest.mark.parametrize(("key", "size"), SIZES)
def test_sizes_of_a_recorded_network(key: str, size: int, folder: Path, capfd: Capture) -> None:
    config = OmegaConf.load(folder / "config.yaml")
    config.model[key] = size
    OmegaConf.save(config, folder / "config.yaml")
    sentence(folder, capfd)
