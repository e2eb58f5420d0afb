"""Handwritten run folders, and the pages about them."""

import functools
from pathlib import Path
from typing import Any

import pytest

from rnnexp.cli import main
from rnnexp.config import compose
from rnnexp.runs.folder.record import RunRecord

composed = functools.cache(lambda *overrides: compose(overrides))


def write_run(folder: Path, values: dict[str, Any] | None = None, **facts: Any) -> Path:
    """A handwritten run. values: config keys of the record and, as `smape` and `naive`, its
    result and that of a baseline, which all metrics have."""
    values = dict(values or {})
    smape, naive = values.pop("smape", 1.0), values.pop("naive", 3.0)
    folder.mkdir(parents=True)
    record = RunRecord(folder, ["rnnexp", "train"])
    record.config(composed())
    for key, value in values.items():
        group, _, last = key.rpartition(".")
        (record.run["config"][group] if group else record.run["config"])[last] = value
    known = {
        "fingerprints": {"data": "a" * 64},
        "headline": [{"name": "smape", "unit": "%", "lower_is_better": True}],
        "spec": {"title": "2 series", "tested": 10, "things": "windows"},
        "seconds": {"train": 2.0},
        "status": "completed",
        "choices": {"model": "pmgru"},
    }
    record.save(**(known | facts))
    if record.run["status"] == "completed":
        own = {f"test/{one['name']}": smape for one in record.run["headline"]}
        others = {f"baseline/naive/{one['name']}": naive for one in record.run["headline"]}
        record.metrics(own | others)
        record.digest({"losses": []})
    names = ["loss", *(one["name"] for one in record.run["headline"])]
    epochs = [
        {"epoch": x, "step": x, **{f"val/{name}": smape + 1 / (x + 1) for name in names}}
        for x in range(30)
    ]
    record.history(epochs)
    return folder


def page_of(*arguments: str | Path) -> str:
    assert main(["report", *map(str, arguments)]) == 0
    output = Path(arguments[-1]) if "--output" in arguments else Path(arguments[0]) / "report.html"
    return output.read_text("utf-8")


def refusal(capture: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """The sentence with which the command refuses."""
    assert main(["report", *map(str, arguments)]) == 2
    said = capture.readouterr().err
    assert said.startswith("rnnexp: ") and said.count("\n") == 1
    return said
