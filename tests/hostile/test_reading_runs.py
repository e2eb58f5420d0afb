"""A run folder that is damaged, or that a stranger wrote, is refused in one sentence. It hides no
other run from the leaderboard."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

import rnnexp.runs.loading  # noqa: F401 - the import is not timed
from rnnexp.cli import main
from rnnexp.launching import sweep
from rnnexp.launching.plan import Job, Plan
from tests.support import REPOSITORY
from tests.support.quick import quick

Capture = pytest.CaptureFixture[str]
DEEP = "[" * 200_000 + "]" * 200_000
DIGITS = "9" * 6000


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Two completed runs, `good` and `bad`, without checkpoints."""
    for name in ("good", "bad"):
        shutil.copytree(
            REPOSITORY / "tests" / "golden" / "earlier_forecasting",
            tmp_path / "runs" / name,
            ignore=lambda _, names: {"checkpoints"} & set(names),
        )
    return tmp_path / "runs"


def edit(path: Path, **entries: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | entries))


def ranked(runs: Path, capture: Capture, *options: str) -> tuple[str, str]:
    """What the leaderboard prints and warns of."""
    with quick():
        assert main(["leaderboard", str(runs), *options]) == 0
    said = capture.readouterr()
    assert "Traceback" not in said.err
    return said.out, said.err


def assert_only_the_good_run(runs: Path, capture: Capture, sentence: str) -> None:
    out, err = ranked(runs, capture, "--json")
    assert err == f"rnnexp: not ranked: {runs / 'bad' / sentence}\n"
    rows = json.loads(out)
    assert [row["seeds"] for row in rows if row["smape"] is not None] == ["0"]
    assert sum("1 damaged" in row["not completed"] for row in rows) == 1


WHOLE = "a whole number from 1 to 2,147,483,647"
TEXT = "a line of at most 1,000 printable characters"
WRONG_ENTRIES: dict[str, tuple[dict[str, Any], str]] = {
    "no pid": ({"status": "running", "pid": None}, f"pid is None, not {WHOLE}"),
    "pid 0": ({"pid": 0}, f"pid is 0, not {WHOLE}"),
    "long pid": ({"pid": 10**19}, f"pid is 10000000000000000000, not {WHOLE}"),
    "longer pid": ({"pid": 10**30}, "a number has more than 20 digits"),
    "pid true": ({"pid": True}, f"pid is True, not {WHOLE}"),
    "fingerprints": ({"fingerprints": ["a"]}, "fingerprints is ['a'], not an object"),
    "fingerprint": (
        {"fingerprints": {"data": ["a"]}},
        f"fingerprints.data is ['a'], not {TEXT}",
    ),
    "status": ({"status": ["completed"]}, f"status is ['completed'], not {TEXT}"),
    "host": ({"status": "running", "host": 7}, f"host is 7, not {TEXT}"),
    "title": ({"spec": {"title": {"a": 1}}}, f"spec.title is {{'a': 1}}, not {TEXT}"),
    "long title": (
        {"spec": {"title": "a" * 2000}},
        f"spec.title is 'aaaaaaaaaaaa...aaaaaaaaaaaaa', not {TEXT}",
    ),
    "half a character": (
        {"spec": {"title": "\ud800"}},
        r"'\ud800' is not text: it has half of a character",
    ),
    "half a character in a key": (
        {"later": {"\udfff": 1}},
        r"'\udfff' is not text: it has half of a character",
    ),
    "seconds": ({"seconds": {"train": "long"}}, "seconds.train is 'long', not a number"),
    "headline": (
        {"headline": [{"name": "smape"}]},
        f"headline.0 is {{'name': 'smape'}}, not an object with name and lower_is_better or {TEXT}",
    ),
    "overrides": ({"overrides": {"a": 1}}, "overrides is {'a': 1}, not a list"),
    "override": ({"overrides": [None]}, "overrides.0 is None, not a text"),
    "choice": ({"choices": {"model": ["gru"]}}, f"choices.model is ['gru'], not {TEXT}"),
    "place": ({"data": 7}, "data is 7, not a text or a list"),
    "label": (
        {"label": "../../out"},
        f"label is '../../out', not {TEXT}, which stays inside the folder or null",
    ),
    "split": ({"split": {"a": 1}}, "split.a is 1, not an object"),
}


@pytest.mark.parametrize(("entries", "sentence"), WRONG_ENTRIES.values(), ids=WRONG_ENTRIES)
def test_an_entry_that_is_wrong(
    entries: dict[str, Any], sentence: str, runs: Path, capsys: Capture
) -> None:
    edit(runs / "bad" / "run.json", **entries)
    assert_only_the_good_run(runs, capsys, f"run.json is damaged: {sentence}")
    assert main(["test", str(runs / "bad")]) == 2
    assert (
        capsys.readouterr().err == f"rnnexp: {runs / 'bad' / 'run.json'} is damaged: {sentence}\n"
    )


WRONG_TEXTS = {
    "nested": (f'{{"later": {DEEP}}}', "it is nested more than 50 levels deep"),
    "nested a little": (
        f'{{"later": {"[" * 60}{"]" * 60}}}',
        "it is nested more than 50 levels deep",
    ),
    "digits": (f'{{"pid": {DIGITS}}}', "a number has more than 20 digits"),
    "list": ("[]", "it is not a JSON object"),
    "empty": ("", "it is not valid JSON (Expecting value: line 1 column 1 (char 0))"),
}


@pytest.mark.parametrize("name", ["run.json", "metrics.json", "digest.json"])
@pytest.mark.parametrize(("text", "sentence"), WRONG_TEXTS.values(), ids=WRONG_TEXTS)
def test_a_file_that_is_wrong(
    name: str, text: str, sentence: str, runs: Path, capsys: Capture
) -> None:
    (runs / "bad" / name).write_text(text)
    assert_only_the_good_run(runs, capsys, f"{name} is damaged: {sentence}")


def test_too_many_values(runs: Path, capsys: Capture) -> None:
    (runs / "bad" / "run.json").write_text('{"later": [' + "1," * (1 << 24) + "1]}")
    assert_only_the_good_run(
        runs, capsys, "run.json is damaged: it has more than 16,777,216 values"
    )


@pytest.mark.parametrize(
    ("value", "sentence"),
    [(True, "True, not a number or null"), ([1], "[1], not a number or null")],
)
def test_a_metric_that_is_no_number(value: Any, sentence: str, runs: Path, capsys: Capture) -> None:
    edit(runs / "bad" / "metrics.json", **{"test/smape": value})
    assert_only_the_good_run(runs, capsys, f"metrics.json is damaged: test/smape is {sentence}")


WRONG_CONFIGS: dict[str, tuple[Callable[[str], str], str]] = {
    "seed": (
        lambda text: text.replace("seed: 0\n", f"seed: 0x{DIGITS}\n"),
        "a number has more than 20 digits",
    ),
    "name": (
        lambda text: text.replace("name: quickstart\n", 'name: "\\ud800"\n'),
        "line 1: found invalid Unicode character escape code",
    ),
    "aliases": (
        lambda text: text + "l0: &l0 [x, x]\n" + "".join(
            f"l{i + 1}: &l{i + 1} [{', '.join([f'*l{i}'] * 9)}]\n" for i in range(12)
        ),
        "line {} has an anchor or an alias, and a run has values alone",
    ),
    "interpolations": (
        lambda text: text + "l0: xxxxxxxx\n" + "".join(
            f"l{i + 1}: ${{l{i}}}${{l{i}}}\n" for i in range(40)
        ),
        "line {} has an interpolation, ${{...}}, and a run has values alone",
    ),
    "nested": (lambda text: f"{text}later: {DEEP}\n", "it is nested more than 50 levels deep"),
    "keys": (
        lambda text: text + "later:\n" + "".join(f"  k{i}: 1\n" for i in range(20_000)),
        "it has more than 20,000 keys and values",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("change", "sentence"), WRONG_CONFIGS.values(), ids=WRONG_CONFIGS)
def test_a_config_that_is_wrong(
    change: Callable[[str], str], sentence: str, runs: Path, capsys: Capture
) -> None:
    path = runs / "bad" / "config.yaml"
    text = path.read_text()
    path.write_text(change(text))
    line = len(text.splitlines()) + (2 if "interpolation" in sentence else 1)
    whole = f"config.yaml cannot be read as a config ({sentence.format(line)})"
    assert_only_the_good_run(runs, capsys, whole)
    with quick():
        assert main(["rerun", str(runs / "bad")]) == 3
    assert capsys.readouterr().err == f"rnnexp: {runs / 'bad' / whole}\n"


@pytest.mark.parametrize(
    "entries",
    [
        {"spec": {"title": "[/b] [red]", "tested": 3, "things": "windows"}},
        {"started": "0001-01-01T00:00:00"},
        {"started": "9999-12-31T23:59:59-23:00"},
        {"files": {"config.yaml": "a" * 64}, "later": {"a": [{"b": None}]}},
        {"data": ["\0", "a/b"]},
    ],
    ids=["markup", "first year", "last year", "later entries", "odd paths"],
)
def test_what_is_only_odd_is_ranked(entries: dict[str, Any], runs: Path, capsys: Capture) -> None:
    for name in ("good", "bad"):
        edit(runs / name / "run.json", **entries)
    out, err = ranked(runs, capsys)
    assert err == ""
    assert "[/b] [red]" in out or "title" not in entries.get("spec", {})
    assert "damaged" not in out


@pytest.mark.parametrize("target", ["null", "1", "[a]"])
def test_a_class_without_a_name(target: str, runs: Path, capsys: Capture) -> None:
    path = runs / "bad" / "config.yaml"
    text = path.read_text()
    text = text.replace("rnnexp.tasks.forecasting.Forecasting", target)
    path.write_text(text)
    shown = {"null": "None", "1": "1", "[a]": "['a']"}[target]
    sentence = f"config.yaml: _target_ is {shown}, it must be the name of a class"
    assert_only_the_good_run(runs, capsys, sentence)


def test_a_link_to_itself_hides_no_run(runs: Path, capsys: Capture) -> None:
    (runs / "bad" / "run.json").unlink()
    (runs / "bad" / "run.json").symlink_to("run.json")
    out, err = ranked(runs, capsys, "--json")
    assert [row["seeds"] for row in json.loads(out)] == ["0"] and err == ""
    assert main(["test", str(runs / "bad")]) == 2
    said = capsys.readouterr().err
    assert said == f"rnnexp: {runs / 'bad'} is not a run folder: it has no run.json\n"


def test_a_damaged_job_of_a_sweep_is_a_failed_one(runs: Path) -> None:
    (runs / "bad").rename(runs / "²_bad")
    (runs / "²_bad" / "run.json").write_text(f'{{"overrides": {DEEP}}}')
    sweep.write(Plan([Job((), OmegaConf.create(), folder="²_bad")], runs), None)
    with quick():
        [failure] = sweep.failures(runs)
    assert (failure.folder, failure.status) == (runs / "²_bad", "damaged")


def test_history_must_tell_the_steps(runs: Path, capsys: Capture) -> None:
    (runs / "bad" / "history.csv").write_text("epoch,step\n0,many\n")
    with quick():
        assert main(["rerun", str(runs / "bad")]) == 3
    path = runs / "bad" / "history.csv"
    said = capsys.readouterr().err
    assert said == f"rnnexp: {path} is damaged: it has no column step of whole numbers\n"
    assert os.listdir(runs) in (["good", "bad"], ["bad", "good"])
