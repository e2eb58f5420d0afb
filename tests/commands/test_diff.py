"""What differs between two runs, for people and as JSON, and the exit code."""

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from rnnexp.cli import main
from rnnexp.config import compose
from rnnexp.runs.experiment import run
from tests.support import GOLDEN
from tests.support.runs import Kept
from tests.support.shrink import HERE, QUIET

Capture = pytest.CaptureFixture[str]
SAME, DIFFERENT, MISTAKE = 0, 1, 2
NAMES = [
    *("experiment=quickstart_names", "data.number=20", "data.batch_size=8", "model.hidden_size=4"),
    *("trainer.max_epochs=2", *HERE, *QUIET),
]
GROUPS = ("config", "data", "versions", "code", "environment", "metrics", "predictions", "weights")
RESULTS = ("metrics", "first_differing_step", "weights", "predictions", "batch_order")


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    """Two completed runs, `a` and `b`, with different learning rates."""

    def make(place: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("RNNEXP_CACHE", str(place / "cache"))
            patch.chdir(place)
            run(compose(NAMES), place / "a")
            run(compose([*NAMES, "optimizer.lr=0.03"]), place / "b")

    return Kept(tmp_path_factory.mktemp("diff") / "place", make)


@pytest.fixture(autouse=True)
def _narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rnnexp.console.console.width", 80)


@pytest.fixture
def place(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of both runs, and of a copy `c` of `a`. It is the current folder."""
    place = kept.restored()
    shutil.copytree(place / "a", place / "c")
    monkeypatch.chdir(place)
    return place


def change(path: Path, changed: Callable[[Any], object]) -> None:
    """Change a file of JSON or YAML."""
    parse = yaml.safe_load if path.suffix == ".yaml" else json.loads
    content = parse(path.read_text())
    changed(content)
    path.write_text(yaml.safe_dump(content) if path.suffix == ".yaml" else json.dumps(content))


def unedited(folder: Path) -> None:
    """Let run.json have no hashes, so that a changed file is taken for what the run wrote."""

    def forget(run: dict[str, Any]) -> None:
        del run["files"], run["config_sha256"]

    change(folder / "run.json", forget)


def diff(capfd: Capture, a: object, b: object) -> tuple[int, str, dict[str, Any]]:
    """Exit code, text for people with single blanks, and the JSON object."""
    code = main(["diff", str(a), str(b)])
    said = capfd.readouterr().out
    assert all(len(line) <= 80 for line in said.splitlines())
    assert main(["diff", str(a), str(b), "--json"]) == code
    found = json.loads(capfd.readouterr().out, parse_constant=pytest.fail)
    return code, " ".join(said.split()), found


def sentence(capfd: Capture, *words: object) -> str:
    assert main(["diff", *map(str, words)]) == MISTAKE
    out, err = capfd.readouterr()
    assert out == "" and len(err.splitlines()) == 1
    return err


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("other", ["a", "c"])
def test_no_difference(other: str, capfd: Capture) -> None:
    code, said, found = diff(capfd, "a", other)
    assert code == SAME
    assert said == f"A a B {other} no difference"
    assert found.pop("runs") == {"a": "a", "b": other}
    assert found.pop("not_compared") == []
    assert set(found) == {*GROUPS, *RESULTS, "status", "edited"}
    assert all(value == {} for value in found.values())


def test_a_changed_key_and_what_came_of_it(place: Path, capfd: Capture) -> None:
    code, said, found = diff(capfd, "a", "b")
    assert code == DIFFERENT
    assert found["config"] == {"optimizer.lr": {"a": 0.02, "b": 0.03}}
    assert "config optimizer.lr: 0.02 in A, 0.03 in B" in said
    for group in ("data", "versions", "code", "environment", "batch_order", "status", "edited"):
        assert found[group] == {}

    metrics = [json.loads((place / run / "metrics.json").read_text()) for run in "ab"]
    differing = {name for name in metrics[0] if metrics[0][name] != metrics[1][name]}
    assert set(found["metrics"]) == differing and "test/nll" in differing
    a, b = (one["test/nll"] for one in metrics)
    assert found["metrics"]["test/nll"] == {"a": a, "b": b, "difference": b - a}
    assert f"test/nll │ {a:.4g} │ {b:.4g} │ {b - a:+.4g}" in said

    losses = [json.loads((place / run / "digest.json").read_text())["losses"] for run in "ab"]
    step = next(i for i, (one, other) in enumerate(zip(*losses, strict=True)) if one != other)
    a, b = (float.fromhex(one[step]) for one in losses)
    assert found["first_differing_step"] == {"epoch": 0, "step": step, "a": a, "b": b}
    assert f"training differs from epoch 0, step {step} on: loss {a!r} in A, {b!r} in B" in said

    for kind in ("last", "best"):
        one = found["weights"][kind]
        assert one["differing"] == one["of"] > 5
        count = f"{one['of']} of {one['of']} tensors differ, first {one['first']}"
        assert f"weights {kind}: {count}" in said


def test_all_of_the_json_is_shown(capfd: Capture) -> None:
    earlier, other = GOLDEN / "earlier_forecasting", GOLDEN / "earlier_classification"
    _, said, found = diff(capfd, earlier, other)
    shown = said.replace(" ", "").replace("│", "")  # long words are broken
    for group in GROUPS:
        assert found[group] or group in ("versions", "code", "environment")
        for name in found[group]:
            assert name in said or name.replace(" ", "")[:40] in shown, name


def test_earlier_runs_are_compared_by_todays_names(capfd: Capture) -> None:
    earlier = GOLDEN / "earlier_forecasting"
    code, said, found = diff(capfd, earlier, GOLDEN / "run_format_1")
    assert code == DIFFERENT
    assert found["config"]["model.hidden_size"] == {"a": 8, "b": 2}
    assert "data.cleaning._target_" not in found["config"]  # its class has moved
    assert "model.recurrence.path" not in found["config"]  # fused in both, said in other words
    assert [found[name] for name in ("versions", "code", "environment", *RESULTS)] == [None] * 8
    assert found["not_compared"] == [
        "B has no metrics.json, digest.json or predictions.csv: its status is 'completed'",
        "B did not record its versions, environment and code",
    ]
    assert all(f"not compared {one}" in said for one in found["not_compared"])
    assert diff(capfd, earlier, earlier)[0] == SAME


def test_the_environment(place: Path, capfd: Capture) -> None:
    def moved(run: dict[str, Any]) -> None:
        run["versions"]["torch"] = "9.9"
        run["versions"]["another"] = "1"
        run["fingerprints"]["data"] = "0" * 64
        run["data"] = ["/elsewhere/one.csv", "/elsewhere/two.csv"]
        run["code"] |= {"sha256": "1" * 64, "commit": "2" * 40, "allowed": {"mylab": "3" * 64}}
        run |= {"device": "another", "threads": 64}

    change(place / "c" / "run.json", moved)
    before = json.loads((place / "a" / "run.json").read_text())
    code, said, found = diff(capfd, "a", "c")
    assert code == DIFFERENT
    data = before["fingerprints"]["data"]
    assert found["data"]["data fingerprint"] == {"a": data, "b": "0" * 64}
    assert f"data data fingerprint: {data[:8]} in A, 00000000 in B" in said
    assert found["data"]["data read from"]["b"] == ["/elsewhere/one.csv", "/elsewhere/two.csv"]
    assert found["versions"]["another"] == {"b": "1"}
    assert set(found["versions"]) == {"torch", "another"}
    assert "versions another: absent in A, 1 in B" in said
    assert found["code"]["code of rnnexp"] == {"a": before["code"]["sha256"], "b": "1" * 64}
    assert found["code"]["code of mylab"] == {"b": "3" * 64}
    assert found["code"]["commit"]["b"] == "2" * 40
    assert set(found["environment"]) == {"device", "threads"}
    assert "threads: 1 in A, 64 in B" in said
    assert not any(found[name] for name in ("config", "status", *RESULTS))


def test_values_that_look_alike(place: Path, capfd: Capture) -> None:
    def alike(config: dict[str, Any]) -> None:
        config["seed"] = 0
        config["data"] |= {"number": "20", "batch_size": 8.0, "generator_seed": False}
        config["callbacks"]["empty"] = {}

    unedited(place / "c")
    change(place / "c" / "config.yaml", alike)
    hashes = {"a": "abcdef01" + "0" * 56, "b": "abcdef01" + "1" * 56}
    change(place / "a" / "run.json", lambda run: run["fingerprints"].update(data=hashes["a"]))
    change(place / "c" / "run.json", lambda run: run["fingerprints"].update(data=hashes["b"]))
    code, said, found = diff(capfd, "a", "c")
    assert code == DIFFERENT
    assert found["config"] == {
        "data.number": {"a": 20, "b": "20"},
        "data.batch_size": {"a": 8, "b": 8.0},
        "data.generator_seed": {"a": 0, "b": False},
        "callbacks.empty": {"b": {}},
    }
    assert 'data.number: 20 in A, "20" in B' in said
    assert "data.batch_size: 8 in A, 8.0 in B" in said
    assert hashes["a"] in said.replace(" ", "") and hashes["b"] in said.replace(" ", "")


def test_metrics_without_a_value_and_close_ones(place: Path, capfd: Capture) -> None:
    unedited(place / "c")
    for name, values in (
        ("a", {"x": None, "y": None, "z": 0.1234567, "one": 1, "only": 2.5}),
        ("c", {"x": None, "y": 1.5, "z": math.nextafter(0.1234567, 1), "one": 1.0}),
    ):
        (place / name / "metrics.json").write_text(json.dumps(values))
    _, said, found = diff(capfd, "a", "c")
    close = math.nextafter(0.1234567, 1)
    assert found["metrics"] == {
        "y": {"a": None, "b": 1.5},
        "z": {"a": 0.1234567, "b": close, "difference": close - 0.1234567},
        "only": {"a": 2.5},
    }
    assert "y │ no value │ 1.5 │" in said and "only │ 2.5 │ absent │" in said
    assert f"z │ 0.1234567 │ {close!r} │ +1.388e-17" in said


def test_a_part_of_the_results(place: Path, capfd: Capture) -> None:
    def other(digest: dict[str, Any]) -> None:
        digest["batch_order"] = "another"
        digest["losses"].append((0.25).hex())
        digest["weights/best"].popitem()

    unedited(place / "c")
    change(place / "c" / "digest.json", other)
    with (place / "c" / "predictions.csv").open("a") as file:
        file.write("\n")
    _, said, found = diff(capfd, "a", "c")
    steps = len(json.loads((place / "a" / "digest.json").read_text())["losses"])
    assert found["first_differing_step"] == {"epoch": 2, "step": steps, "b": 0.25}
    assert f"epoch 2, step {steps} on: loss absent in A, 0.25 in B" in said
    assert found["weights"].keys() == {"best"} and found["weights"]["best"]["differing"] == 1
    assert found["predictions"].keys() == {"predictions.csv"}
    assert found["batch_order"]["b"] == "another"
    assert found["metrics"] == {} and found["config"] == {}


def test_an_epoch_that_is_not_the_first(place: Path, capfd: Capture) -> None:
    unedited(place / "c")
    losses = json.loads((place / "a" / "digest.json").read_text())["losses"]
    last = len(losses) - 1
    change(place / "c" / "digest.json", lambda digest: digest["losses"].__setitem__(last, "nan"))
    _, said, found = diff(capfd, "a", "c")
    loss = float.fromhex(losses[last])
    assert found["first_differing_step"] == {"epoch": 1, "step": last, "a": loss, "b": None}
    assert f"epoch 1, step {last} on: loss {loss!r} in A, NaN in B" in said


def test_edited_files_are_named(place: Path, capfd: Capture) -> None:
    change(place / "c" / "metrics.json", lambda metrics: metrics.update({"test/nll": 0.0}))
    change(place / "c" / "config.yaml", lambda config: config.update(seed=7))
    (place / "a" / "checkpoints" / "last.ckpt").unlink()
    _, said, found = diff(capfd, "a", "c")
    assert found["edited"] == {"a": ["checkpoints/last.ckpt"], "b": ["config.yaml", "metrics.json"]}
    assert "edited A: checkpoints/last.ckpt is not as the run wrote it" in said
    assert "edited B: metrics.json is not as the run wrote it" in said
    assert found["config"] == {"seed": {"a": 0, "b": 7}}


@pytest.mark.parametrize(("status", "shown"), [("failed", "failed"), ("running", "interrupted")])
def test_a_run_without_a_result(status: str, shown: str, place: Path, capfd: Capture) -> None:
    for name in ("metrics.json", "digest.json", "predictions.csv"):
        (place / "b" / name).unlink()

    def ended(run: dict[str, Any]) -> None:
        run |= {"status": status, "pid": 2**31 - 1}
        del run["files"]

    change(place / "b" / "run.json", ended)
    code, said, found = diff(capfd, "b", "a")
    assert code == DIFFERENT
    assert found["status"] == {"a": shown, "b": "completed"}
    assert f"status {shown} in A, completed in B" in said
    assert found["config"] == {"optimizer.lr": {"a": 0.03, "b": 0.02}}
    assert [found[name] for name in RESULTS] == [None] * 5
    line = f"A has no metrics.json, digest.json or predictions.csv: its status is {shown!r}"
    assert found["not_compared"] == [line] and f"not compared {line}" in said


def test_runs_that_ended_before_they_recorded_anything(place: Path, capfd: Capture) -> None:
    for name in ("one", "two"):
        (place / name).mkdir()
        (place / name / "run.json").write_text('{"status": "failed"}')
    code, said, found = diff(capfd, "one", "two")
    assert code == DIFFERENT  # nothing says that they are the same
    assert len(found["not_compared"]) == 4 and found["config"] is None
    assert "B has no config.yaml, metrics.json, digest.json or predictions.csv" in said
    assert "B did not record its data, versions, environment and code" in said
    assert "no difference" not in said


@pytest.mark.parametrize(
    ("name", "text", "wrong"),
    [
        ("run.json", "[]", "run.json is damaged: it is not a JSON object"),
        ("config.yaml", "a: [", "config.yaml cannot be read as a config"),
        ("metrics.json", '{"test/nll": "low"}', "metrics.json is damaged"),
        ("digest.json", "{}", "digest.json is damaged: it has no batch_order"),
        ("checkpoints/last.ckpt", "x", "last.ckpt is not a checkpoint"),
        ("history.csv", "epoch\n0\n", "history.csv is damaged: it has no column step"),
        ("history.csv", "epoch,step\n0,5,3\n", "history.csv is damaged: it is not a table"),
        ("history.csv", "epoch,step\n\n" + "1," * 10**5, "one of its first lines is too long"),
    ],
    ids=[
        "run",
        "config",
        "metrics",
        "digest",
        "checkpoint",
        "no_column",
        "wide_row",
        "endless_row",
    ],
)
def test_damage_is_one_sentence(
    name: str, text: str, wrong: str, place: Path, capfd: Capture
) -> None:
    (place / "c" / name).write_text(text)
    assert wrong in sentence(capfd, "a", "c")
    assert wrong in sentence(capfd, "c", "a", "--json")


@pytest.mark.parametrize("loss", ["soon", "0x1p99999"])
def test_a_loss_that_is_no_number(loss: str, place: Path, capfd: Capture) -> None:
    change(place / "c" / "digest.json", lambda digest: digest["losses"].__setitem__(1, loss))
    assert f"digest.json is damaged: the loss '{loss}' is no number" in sentence(capfd, "a", "c")
    assert main(["rerun", "c"]) == 3
    assert "has no readable result to compare with" in capfd.readouterr().err


def test_words_that_are_no_runs(place: Path, capfd: Capture) -> None:
    assert "there is no folder none" in sentence(capfd, "a", "none")
    assert "is not a run folder" in sentence(capfd, ".", "a")
    assert "required: B" in sentence(capfd, "a")
    assert "did you mean --json" in sentence(capfd, "a", "b", "--jsn")


def test_foreign_text_stays_on_its_line(place: Path, capfd: Capture) -> None:
    forged = "\x1b[2J\nno difference"
    unedited(place / "c")
    change(place / "c" / "run.json", lambda run: run.update(data=forged))
    change(place / "c" / "config.yaml", lambda config: config["data"].update(root=forged))
    assert main(["diff", "a", "c"]) == DIFFERENT
    lines = capfd.readouterr().out.splitlines()
    shown = r'"\u001b[2J\nno difference" in B'
    assert f"config        data.root: absent in A, {shown}" in " ".join(lines)
    assert "no difference" not in lines and not any("\x1b" in line for line in lines)
