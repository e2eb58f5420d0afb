"""The JSON Schema of the configs: it takes and refuses what a run does."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import pytest
import yaml
from jsonschema import Draft7Validator
from omegaconf import OmegaConf

from rnnexp import config
from rnnexp.config.json_arguments import alternatives, describe, value
from rnnexp.config.json_schema import json_schema
from rnnexp.config.signatures import accepts, arguments
from rnnexp.config.targets import locate
from rnnexp.errors import UserError
from rnnexp.launching.plan import check_jobs, plan

CONF = config.config_dir()
EXPERIMENTS = sorted(path.stem for path in (CONF / "experiment").glob("*.yaml"))
OTHERS = {"hydra", "space"}  # folders of what is no part of a run's config
FILES = sorted(
    path
    for path in CONF.rglob("*.yaml")
    if path.parent != CONF and path.relative_to(CONF).parts[0] not in OTHERS
)
VALUES: list[Any] = [
    *(None, True, 0, -3, 1.5, "", "a", "mean", "keep", [], {}, {"a": 1}),
    *([1, 2], [1.5, 2], ["a"], ["a", 1], [[1]], [None], [{}]),
]

Schema = dict[str, Any]


@pytest.fixture(scope="module")
def schema() -> Schema:
    return json_schema()


def mistakes(schema: Schema, content: Any, definition: str = "experiment") -> list[str]:
    root = {"$ref": f"#/definitions/{definition}", "definitions": schema["definitions"]}
    return [error.message for error in Draft7Validator(root).iter_errors(content)]


def load(path: Path) -> Any:
    return OmegaConf.to_container(OmegaConf.load(path))


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def mine(folder: Path, text: str) -> None:
    """An experiment of this name, in the ./conf of a folder."""
    write(folder / "conf/experiment/mine.yaml", f"# @package _global_\n{text}\n")


def test_it_is_a_schema(schema: Schema) -> None:
    Draft7Validator.check_schema(schema)
    assert json.loads(json.dumps(schema)) is not None
    assert schema["allOf"] == [{"$ref": "#/definitions/experiment"}]
    # An editor that is asked for a definition keeps all other keywords of the root.
    assert set(schema) == {"$schema", "allOf", "definitions"}


# What there is, it takes ------------------------------------------------------------------------


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(CONF).as_posix())
def test_every_file_of_ours_passes(schema: Schema, path: Path) -> None:
    group = ".".join(path.relative_to(CONF).parent.parts)
    assert mistakes(schema, load(path), group.replace("model.lecture", "model")) == []


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_passes_once_it_is_composed(
    schema: Schema, name: str, empty_folder: Path
) -> None:
    composed = config.compose([f"experiment={name}"])
    assert mistakes(schema, OmegaConf.to_container(composed)) == []
    assert mistakes(schema, OmegaConf.to_container(composed, resolve=True)) == []


# What a run refuses, it refuses -----------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "model: {hidden_size: 3}",
        "optimizer: {lr: 1}",
        "optimizer: {lr: '${seed}'}",
        "name: 5",
        "monitor: null",
        "scheduler: null",
        "callbacks: {progress_bar: null}",
        "callbacks: {mine: {_target_: pytorch_lightning.callbacks.Timer, duration: '00:01'}}",
        "model: {recurrence: {cell: {initial: inputs_and_hidden}}}",
        "trainer: {profiler: {_target_: pytorch_lightning.profilers.SimpleProfiler}}",
        "optimizer: {_target_: torch.optim.Adam, lr: 0.1}",
        "defaults: [quickstart, override /model: lstm]",
        "defaults: [override /callbacks: [default, gradient_flow]]",
        "defaults: [override /model/readout: last_hidden]",
        "defaults: [override /data: names, override /data/characters: all]",
        "hydra: {mode: MULTIRUN, sweeper: {params: {seed: '0,1'}}}",
    ],
)
def test_what_is_right(schema: Schema, text: str, empty_folder: Path) -> None:
    mine(empty_folder, text)
    check_jobs(plan(["experiment=mine"]).jobs)
    assert mistakes(schema, yaml.safe_load(text)) == []


def test_a_value_that_is_still_to_be_given(schema: Schema) -> None:
    assert mistakes(schema, {"data": {"root": "???"}, "model": {"hidden_size": "???"}}) == []


@pytest.mark.parametrize(
    "text",
    [
        "nmae: mine",
        "1: 2",
        "name: a/b",
        "name: ..",
        "name: null",
        "mode: up",
        "seed: x",
        "seed: true",
        "data: []",
        "model: {hiden_size: 3}",
        "model: {hidden_size: big}",
        "model: {hidden_size: null}",
        "model: {hidden_size: true}",
        "model: {recurrence: null}",
        "model: {readout: {activation: rely}}",
        "model: {recurrence: {cell: {foo: 1}}}",
        "model: {inputs: [levl]}",
        "model: {_args_: [3]}",
        "data: {cleaning: {gaps: kep}}",
        "data: {normalization: {fit: 3}}",
        "data: {normalization: [train]}",
        "optimizer: {lr: fast}",
        "optimizer: {betas: [0.9]}",
        "optimizer: {_target_: os.system}",
        "optimizer: {_target_: rnnexp.optim.rows.SGD, momentun: 0.9}",
        "trainer: {max_epochs: ten}",
        "trainer: {profiler: {_target_: pytorch_lightning.profilers.SimpleProfiler, fil: 1}}",
        "callbacks: {mine: {_target_: pytorch_lightning.callbacks.Timer, foo: 1}}",
        "callbacks: {progress_bar: {foo: 1}}",
        "defaults: [override /model: gruu]",
        "defaults: [override /optimizer: _shared]",
        "defaults: [override /modl: gru]",
        "defaults: [override model: gru]",
        "defaults: [model: gru]",
        "defaults: [/model: gru]",
        "defaults: [quickstar]",
        "defaults: [override /trainer/debug: one_batch]",
        "defaults: {override /model: gru}",
        # Right for another option of the group.
        "defaults: [override /data: reviews]\ndata: {look_back: 3}",
        "defaults: [override /optimizer: adam]\noptimizer: {momentum: 0.9}",
        "defaults: [override /model/recurrence: lstm]\nmodel: {recurrence: {fused: true}}",
    ],
)
def test_what_is_wrong(schema: Schema, text: str, empty_folder: Path) -> None:
    mine(empty_folder, text)
    with pytest.raises(UserError):
        check_jobs(plan(["experiment=mine"]).jobs)
    assert mistakes(schema, yaml.safe_load(text)) != []


@pytest.mark.parametrize(
    ("group", "text"),
    [
        ("data", "_target_: rnnexp.data.sources.reviews.Reviews\nlook_back: 3"),
        ("data", "defaults: [_document]"),
        ("data", "defaults: [cleaning: carful]"),
        ("data", "defaults: [override /model: gru]\nroot: 3"),
        ("model", "defaults: [recurrence: gruu]"),
        ("model.recurrence", "cell: {foo: 1}"),
        ("model.readout", "before: 3"),
        ("trainer.debug", "max_epoch: 1"),
        ("task", "tsk: {}"),
    ],
)
def test_wrong_option_files(schema: Schema, group: str, text: str) -> None:
    assert mistakes(schema, yaml.safe_load(text), group) != []


# Arguments --------------------------------------------------------------------------------------


def disagreements(schema: Schema, hint: Any) -> list[Any]:
    one = value(alternatives(hint)) | {"definitions": schema["definitions"]}
    says = Draft7Validator(one).is_valid
    return [given for given in VALUES if says(given) != accepts(hint, given)]


@pytest.mark.parametrize(
    "hint",
    [
        *(bool, int, float, str, int | None, int | str, Path | None, Literal["a", 1, None]),
        *(list[float], list, tuple[float, float], tuple[int, ...], tuple, dict[str, int]),
        *(Callable[[int], int], timedelta, Any, object, list[Literal["a"]] | bool),
    ],
    ids=str,
)
def test_hints_are_read_as_a_run_reads_them(schema: Schema, hint: Any) -> None:
    assert disagreements(schema, hint) == []


def test_arguments_of_all_classes_are_read_as_a_run_reads_them(schema: Schema) -> None:
    names = [name.removeprefix("class:") for name in schema["definitions"] if "class:" in name]
    assert "torch.nn.GRU" in names and "rnnexp.nn.cells.MGU" in names
    hints: dict[str, Any] = {}
    for name in names:
        known, is_open = arguments(locate({"_target_": name}, ""))
        described = schema["definitions"][f"class:{name}"]
        assert set(described["properties"]) - {"_target_", "_partial_"} == set(known)
        assert (described["additionalProperties"] is not False) == is_open
        hints |= {str(one.annotation): one.annotation for one in known.values()}
    assert len(hints) > 50
    assert [text for text, hint in hints.items() if disagreements(schema, hint)] == []


def test_arguments_have_descriptions_choices_and_defaults(schema: Schema) -> None:
    readout = schema["definitions"]["class:rnnexp.nn.readouts.LastHidden"]["properties"]
    assert readout["before"]["description"] == "activation applied to h_T; relu in GRUnet."
    assert {"enum": ["identity", "tanh", "sigmoid", "relu"]} in readout["before"]["anyOf"]
    assert readout["dropout"]["default"] == 0.0
    top = schema["definitions"]["config"]["properties"]
    assert all(top[key].get("description") for key in config.TOP_LEVEL)


class Base:
    """What it is.

    first, second: of both. third: one
        more line.

    None of these: an entry of another paragraph.
    """


class Described(Base):
    """Its own.

    Args:
        second (int, optional): its own one.
        fourth: what is said: all of it.
    """


def test_descriptions_come_from_docstrings() -> None:
    assert describe(Described, ["first", "second", "third", "fourth", "fifth"]) == {
        "first": "of both.",
        "second": "its own one.",
        "third": "one more line.",
        "fourth": "what is said: all of it.",
    }


# The user's own ---------------------------------------------------------------------------------

LEAKY = "defaults: [vanilla, _self_]\ncell: {_target_: mycells.Leaky}\n"
CELLS = "class Leaky:\n    def __init__(self, leak: float = 0.5) -> None: ...\n"


def test_options_and_classes_of_ones_own(
    empty_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(empty_folder / "conf/model/recurrence/leaky.yaml", LEAKY)
    write(empty_folder / "elsewhere/data/mine.yaml", "defaults: [names]\n")
    write(empty_folder / "mycells.py", CELLS)
    monkeypatch.syspath_prepend(empty_folder)
    with pytest.raises(UserError, match=r"model/recurrence/leaky.yaml.*--allow PACKAGE"):
        json_schema()
    monkeypatch.setenv("RNNEXP_ALLOW", "mycells")
    own = json_schema(empty_folder / "elsewhere")
    choose = "defaults: [override /model/recurrence: leaky, override /data: mine]\n"
    assert mistakes(own, yaml.safe_load(choose + "model: {recurrence: {cell: {leak: 1}}}")) == []
    assert mistakes(own, yaml.safe_load("model: {recurrence: {cell: {leak: a}}}")) != []
    wrong = "cell: {_target_: mycells.Leaky, lek: 1}"
    assert mistakes(own, yaml.safe_load(wrong), "model.recurrence") != []


def test_option_files_that_are_being_written(empty_folder: Path) -> None:
    """What an editor's file looks like for a while, and what no other file should suffer from."""
    write(empty_folder / "conf/data/empty.yaml", "")
    write(empty_folder / "conf/data/begun.yaml", "defaults:\n")
    write(empty_folder / "conf/data/one.yaml", "defaults: [other]\n")
    write(empty_folder / "conf/data/other.yaml", "defaults: [one]\n")
    write(empty_folder / "conf/data/later.yaml", "_target_: ${mine}\n")
    write(empty_folder / "conf/callbacks/odd.yaml", "a/b~c: {1: 2, d: 3}\n50 %: {e: 4}\n")
    write(empty_folder / "conf/experiment/without_package.yaml", "name: x\n")
    own = json_schema()
    Draft7Validator.check_schema(own)
    assert mistakes(own, {"callbacks": {"a/b~c": {"d": 5}, "50 %": {"e": 5}}}) == []
    assert mistakes(own, {"nmae": "x"}) != []


def test_broken_option_file_is_named(empty_folder: Path) -> None:
    write(empty_folder / "conf/data/mine.yaml", "a: b: c")
    with pytest.raises(UserError, match=r"mine\.yaml"):
        json_schema()
    write(empty_folder / "conf/data/mine.yaml", "[1, 2]")
    with pytest.raises(UserError, match=r"data/mine"):
        json_schema()
