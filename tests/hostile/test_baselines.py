"""Baselines from the cache are those that would be computed, and a repetition computes its own."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from rnnexp.cli import main
from rnnexp.process import code
from rnnexp.tasks import baseline_cache
from rnnexp.tasks.baseline_cache import BaselineCache
from rnnexp.tasks.forecasting.baselines import forecasting_baselines
from tests.support.shrink import QUIET, SYNTHETIC_LOAD, TINY

RUN = ["train", "data=synthetic_load", *TINY, *QUIET, *SYNTHETIC_LOAD, "data.batch_size=64"]
DIFFERENT = 1


@pytest.fixture(autouse=True)
def cache(empty_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RNNEXP_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "baselines"


def newest() -> Path:
    return max(Path("outputs").glob("*/*"), key=lambda one: one.stat().st_mtime_ns)


def metrics_of(folder: Path) -> dict[str, float]:
    return json.loads((folder / "metrics.json").read_text())


def forge(cache: Path) -> None:
    """Another number in the only entry, with the hash that belongs to it."""
    [path] = cache.iterdir()
    entry = json.loads(path.read_text())
    entry["baselines"]["ridge"]["smape"] = 5.0
    path.write_text(json.dumps(entry | {"sha256": baseline_cache._hash(entry["baselines"])}))


def test_a_repetition_does_not_read_the_cache(
    cache: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(RUN) == 0
    first = newest()
    forge(cache)
    assert main(["rerun", str(first)]) == 0
    assert metrics_of(newest()) == metrics_of(first)

    # A baseline that changed is noticed, although the cache holds what it was.
    def changed(*arguments: Any) -> dict[str, dict[str, float]]:
        found = forecasting_baselines(*arguments)
        found["ridge"]["smape"] += 1
        return found

    monkeypatch.setattr("rnnexp.tasks.forecasting.task.forecasting_baselines", changed)
    capfd.readouterr()
    assert main(["rerun", str(first)]) == DIFFERENT
    assert "baseline/ridge/smape" in capfd.readouterr().out


def test_other_code_has_other_entries(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []

    def compute() -> dict[str, dict[str, float]]:
        made.append(len(made))
        return {"rule": {"smape": float(made[-1])}}

    def get() -> float:
        return BaselineCache().get({"data": "a"}, ["smape"], compute)["rule"]["smape"]

    assert get() == get() == 0
    monkeypatch.setattr(code, "hash_code", lambda place: hashlib.sha256(b"other").hexdigest())
    assert get() == 1
    monkeypatch.setattr(code, "versions", lambda: {"numpy": "9.9"})
    assert get() == 2
    monkeypatch.setattr(code, "arithmetic", lambda: {"processor": "another"})
    assert get() == 3
    monkeypatch.setenv("RNNEXP_ALLOW", "tests.outside.next_character")
    assert get() == 4
    assert len(list(cache.iterdir())) == 5


ODD = {
    "a list": "[1, 2]",
    "text": '"naive"',
    "no JSON": "{ half",
    "deep": "[" * 100_000,
    "other identity": '{"identity": {}, "baselines": {}}',
    "large": " " * 2**20 + "{}",
    "bytes": "\x00\xff",
}
CHANGED: dict[str, Any] = {
    "no baselines": None,
    "a list of baselines": [1],
    "a number as metrics": {"rule": 1.0},
    "missing metric": {"rule": {"other": 1.0}},
    "text as value": {"rule": {"smape": "1"}},
    "true as value": {"rule": {"smape": True}},
    "infinite": {"rule": {"smape": float("inf")}},
    "large integer": {"rule": {"smape": 10**400}},
    "another number": {"rule": {"smape": 2.0}},
}


@pytest.mark.parametrize("name", [*ODD, *CHANGED, "folder", "pipe"])
def test_an_entry_that_does_not_fit_is_computed_again(name: str, cache: Path) -> None:
    said: list[str] = []

    def get() -> dict[str, dict[str, float]]:
        found = BaselineCache(said.append).get(
            {"data": "a"}, ["smape"], lambda: {"rule": {"smape": 1.0}}
        )
        assert found == {"rule": {"smape": 1.0}}
        return found

    get()
    [path] = cache.iterdir()
    entry = json.loads(path.read_text())
    if name in ODD:
        path.write_text(ODD[name])
    elif name in CHANGED:
        path.write_text(json.dumps(entry | {"baselines": CHANGED[name]}))
    else:
        path.unlink()
        path.mkdir() if name == "folder" else os.mkfifo(path)
    get()
    [sentence] = said
    assert str(path) in sentence and "computed again" in sentence
    get()
    assert len(said) == (2 if name == "folder" else 1)  # nothing can be written there


def test_odd_entries_do_not_end_a_run(cache: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(RUN) == 0
    first = newest()
    [path] = cache.iterdir()
    path.write_text('{"baselines": {"ridge": {"smape": "low"}}}')
    capfd.readouterr()
    assert main(["test", str(first)]) == 0
    output = capfd.readouterr()
    assert "computed again" in " ".join(output.out.split()) and "Traceback" not in output.err
