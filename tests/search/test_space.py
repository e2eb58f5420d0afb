"""What may stand in a space, and what is said of what may not."""

from pathlib import Path

import pytest

from rnnexp.config import config_dir
from rnnexp.config.compose import initialised, with_quickstart
from rnnexp.errors import UserError
from rnnexp.search.space import Choices, Range, check_space, override, read_space


def space_of(text: str) -> dict[str, Choices | Range]:
    path = Path("conf", "space", "mine.yaml")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    with initialised(None):
        return dict(read_space("mine").distributions)


def test_distributions(empty_folder: Path) -> None:
    text = "a.b: {low: 1e-3, high: 1, log: true}\nmodel: {choices: [gru, null, true, 0.5]}\n"
    assert space_of(text + "c: {low: 2, high: 8, step: 2}\n") == {
        "a.b": Range(0.001, 1, log=True),
        "model": Choices(("gru", None, True, 0.5)),
        "c": Range(2, 8, step=2),
    }


def test_a_space_builds_on_another_one(empty_folder: Path) -> None:
    text = "defaults: [forecasting, _self_]\nmodel.hidden_size: {choices: [8]}\n"
    found = space_of(text)
    assert found["model.hidden_size"] == Choices((8,)) and "optimizer.lr" in found


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("", "space/mine.yaml is empty: write a line for each key"),
        ("lr: 0.1", "lr is 0.1, one value: write {low"),
        ("lr: [0.1, 0.2]", "lr is a list: write lr: {choices: [...]}"),
        ("optimizer: {lr: {low: 1, high: 2}}", "optimizer holds keys: write optimizer.lr: {low"),
        ("lr: {lo: 1, high: 2}", "lr has lo; did you mean low?"),
        ("lr: {low: 1}", "lr has no high"),
        ("lr: {low: 2, high: 1}", "low must be less"),
        ("lr: {low: a, high: 1}", "low is 'a', it must be a finite number"),
        ("lr: {low: 0, high: .inf}", "high is inf"),
        ("lr: {low: 0, high: 1.0, log: true}", "with log: true it must be above 0"),
        ("lr: {low: 1, high: 2, log: 1}", "log is 1, it must be true or false"),
        ("lr: {low: 1, high: 9, log: true, step: 2}", "both log and step"),
        ("lr: {low: 1, high: 9, step: 0}", "step is 0"),
        ("lr: {low: 1, high: 9, step: 0.5}", "low and high are whole: write low: 1.0"),
        ("lr: {choices: []}", "choices must be a list with a value"),
        ("lr: {choices: [[1, 2]]}", "[1, 2] cannot be a choice"),
        ("lr: {choices: [1, 1]}", "a choice stands there twice"),
        ("lr: {choices: [1], low: 1}", "choices and bounds"),
        ("seed: {choices: [1, 2]}", "seed cannot be searched"),
        ("data.split_seed: {choices: [1, 2]}", "data.split_seed cannot be searched"),
        ("paths.outputs: {choices: [a]}", "paths.outputs cannot be searched"),
        ("lr: {low: 1", "a config file is not YAML"),
    ],
)
def test_wrong_spaces(empty_folder: Path, line: str, sentence: str) -> None:
    with pytest.raises(UserError) as caught:
        space_of(line)
    assert sentence in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("optimizer.lrr: {low: 1, high: 2}", "the config has no key optimizer.lrr; did you mean"),
        ("model: {choices: [gru, gruu]}", "model: the group has no option gruu; did you mean gru?"),
        ("model.hidden_size: {choices: [4, abc]}", "model.hidden_size=abc: model.hidden_size"),
        ("task.loss: {choices: [mse, mae]}", "monitor another metric"),
    ],
)
def test_values_that_a_config_cannot_have(empty_folder: Path, line: str, sentence: str) -> None:
    space_of(line)
    with initialised(None), pytest.raises(UserError) as caught:
        check_space(read_space("mine"), with_quickstart(["monitor=val/loss"]))
    assert str(caught.value).startswith("space/mine.yaml: ") and sentence in str(caught.value)


@pytest.mark.parametrize("file", sorted(config_dir().glob("space/*.yaml")), ids=lambda x: x.stem)
def test_our_spaces_suit_their_task(empty_folder: Path, file: Path) -> None:
    data = {"forecasting": "synthetic_load", "classification": "synthetic_reviews"}
    with initialised(None):
        assert check_space(read_space(file.stem), [f"data={data[file.stem]}"])


def test_values_as_overrides() -> None:
    values = {"a": None, "b": True, "c": 1e-05, "d": "x, y", "e": "true", "+f": 3}
    assert [override(key, value) for key, value in values.items()] == [
        *("a=null", "b=true", "c=1e-05", 'd="x, y"', 'e="true"', "+f=3"),
    ]
