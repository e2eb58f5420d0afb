"""What `auto` becomes on a processor: the table that was measured, and what is not in it."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf

from rnnexp import cli
from rnnexp.nn import cells
from rnnexp.nn.fast import choices
from rnnexp.nn.fast.kernels import KERNELS
from rnnexp.nn.fast.tuning import Tuning
from rnnexp.nn.recurrence import CellRecurrence
from rnnexp.nn.representations import Features, OneHot
from rnnexp.runs import settings

MEASURED = ("AVX512 with MKL at AVX2", "AVX2")


@pytest.fixture(params=MEASURED)
def measured(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(choices, "instruction_set", lambda: request.param)
    return str(request.param)


@pytest.mark.parametrize(
    ("capability", "processor", "expected"),
    [
        ("AVX2", {"cpu_name": "AMD EPYC", "avx512_f": True}, "AVX2"),
        ("AVX512", {"cpu_name": "AMD EPYC"}, "AVX512 with MKL at AVX2"),
        ("AVX512", {"cpu_name": "Intel Xeon"}, "AVX512"),
        ("AVX512", {"cpu_name": "Intel Xeon", "amx_tile": True}, "AVX512 with AMX"),
        ("DEFAULT", {}, "DEFAULT"),
    ],
)
def test_instruction_sets(
    capability: str, processor: dict[str, Any], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    monkeypatch.setattr(choices, "CPU", processor)
    assert choices.instruction_set() == expected


def test_the_table_has_choices_for_every_cell(measured: str) -> None:
    assert choices.chosen()[choices.MEASURED]
    for name in ("Vanilla", "GRU", "LSTM", "MGU", "a cell from outside"):
        assert isinstance(choices.tuning_of(name), Tuning)
    assert choices.tuning_of("LSTM").takes_torch(1, 32, training=True)
    assert not choices.tuning_of("LSTM").takes_torch(1024, 256, training=True)
    assert not choices.tuning_of("GRU").takes_torch(1024, 256, training=False)


def test_only_where_mkl_is_behind_products_go_to_onednn() -> None:
    from_onednn = {name: one["every cell"]["onednn_from"] for name, one in choices.table().items()}
    assert from_onednn["AVX2"] is None
    assert from_onednn["AVX512 with MKL at AVX2"] > 0


def test_an_unmeasured_processor_computes_with_torch_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choices, "instruction_set", lambda: "another")
    tuned = choices.tuning_of("LSTM")
    assert choices.MEASURED not in choices.chosen()
    assert tuned.onednn_from is None and tuned.sigmoid_from is None
    assert not tuned.takes_torch(1, 1, training=True)
    assert choices.description().endswith("large products by torch")


def test_by_size_takes_torchs_layer_for_small_steps_in_float32(measured: str) -> None:
    recurrence = CellRecurrence(cells.LSTM, 4, 8, path="by_size")
    x = torch.randn(90, 3, 4)
    recurrence(Features(x))
    assert recurrence.path == "torch"
    recurrence(Features(x, torch.tensor([90, 2, 1])))  # torch's layer is not used with padding
    assert recurrence.path == "fused"
    recurrence(OneHot(torch.randint(4, (90, 3))))
    assert recurrence.path == "fused"
    recurrence.double()(Features(x.double()))  # measured in float32
    assert recurrence.path == "fused"


def test_by_size_takes_the_plain_path_for_short_sequences_in_float32(measured: str) -> None:
    for kind in KERNELS:
        recurrence = CellRecurrence(kind, 4, 8, path="by_size")
        x, lengths = torch.randn(3, 2, 4), torch.tensor([3, 1])
        recurrence(Features(x, lengths))
        assert recurrence.path == "plain"
        with torch.inference_mode():
            recurrence(OneHot(torch.randint(4, (3, 2))))
        assert recurrence.path == "plain"
        recurrence(Features(torch.randn(90, 2, 4), torch.tensor([90, 1])))
        recurrence.double()(Features(x.double(), lengths))
        assert recurrence.path == "fused" and recurrence.used == {"plain", "fused"}


def test_a_run_that_recorded_fewer_sizes_computes_as_before(measured: str) -> None:
    sizes = asdict(choices.tuning_of("MGU"))
    earlier = {name: size for name, size in sizes.items() if not name.startswith("plain_below")}
    recurrence = CellRecurrence(cells.MGU, 4, 8, path="by_size", tuning=earlier)
    recurrence(Features(torch.randn(3, 2, 4)))
    assert recurrence.used == {"fused"}


def test_what_auto_becomes_stands_in_the_recorded_config(measured: str) -> None:
    cell = {"_target_": "rnnexp.nn.cells.LSTM"}
    node = {"_target_": "rnnexp.nn.recurrence.CellRecurrence", "cell": cell}
    config = OmegaConf.create({"here": [node | {"path": "auto", "tuning": "auto"}], "there": node})
    OmegaConf.set_struct(config, True)
    settings._choose_paths(config, "by_size")
    for found in (config.here[0], config.there):  # the second said nothing of either
        assert found.path == "by_size" and found.tuning == asdict(choices.tuning_of("LSTM"))
    recorded = OmegaConf.to_container(config)
    settings._choose_paths(config, "fused")
    assert OmegaConf.to_container(config) == recorded  # a rerun changes nothing
    recurrence = CellRecurrence(cells.LSTM, 4, 8, path="by_size", tuning=config.there.tuning)
    assert recurrence.tuning == choices.tuning_of("LSTM")


@pytest.mark.parametrize(
    ("tuning", "said"),
    [
        ("fast", "it must be 'auto' or keys and their values"),
        ("{block_rows:1}", "it must be auto, or have onednn_from"),
    ],
)
def test_a_wrong_tuning_is_one_sentence(
    tuning: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["train", f"model.recurrence.tuning={tuning}"]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"block_rows": 0}, "tuning.block_rows is 0"),
        ({"group_sequences": None}, "tuning.group_sequences is None"),
        ({"joint_below": -1}, "tuning.joint_below is -1"),
        ({"onednn_from": "many"}, "tuning.onednn_from is 'many'"),
    ],
)
def test_a_size_is_a_whole_number(changes: Any, said: str) -> None:
    sizes = asdict(choices.tuning_of("MGU"))
    assert Tuning.of(sizes) == choices.tuning_of("MGU")
    with pytest.raises(ValueError, match=said):
        Tuning.of(sizes | changes)
