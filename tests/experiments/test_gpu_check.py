"""The check of a GPU, without one: everything runs at toy sizes, and what goes wrong is said."""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from experiments.gpu import check, part, paths, runs
from experiments.gpu.part import Outcome, Part, Row
from experiments.gpu.runs import Answer


@pytest.mark.slow
def test_a_dry_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    few = ("quickstart, graphed", "one-hot, lazy rows")
    monkeypatch.setattr(runs, "EXPERIMENTS", {name: runs.EXPERIMENTS[name] for name in few})
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("RNNEXP_OUTPUTS", "mine")
    page = (check.HERE / "README.md").read_text()
    assert check.main(["--dry"]) == 0, capsys.readouterr().out
    (folder,) = tmp_path.glob("rnnexp-gpu-*")
    result = json.loads((folder / "result.json").read_text())
    assert result["dry"] and result["versions"]["torch"] and not result["graphed"]["passed"]
    parts = result["parts"]
    assert list(parts) == ["tests", "runs", "feed", "precision", "paths"]
    assert {name: one["reason"] for name, one in parts.items()} == dict.fromkeys(parts)
    assert "skipped" in parts["tests"]["rows"][0]["outcome"]
    assert [row["path"] for row in parts["runs"]["rows"]] == ["plain", "fused"]
    assert {row["right"] for row in parts["runs"]["rows"]} == {"yes"}
    written = (folder / "README.md").read_text()
    assert "which says nothing about a GPU" in written and "| identical |" in written
    assert "is not to be taken by path=auto on this card: it was not measured." in written
    assert written.endswith(page[page.index("<!-- table: end -->") :])
    assert (check.HERE / "README.md").read_text() == page and os.environ["RNNEXP_OUTPUTS"] == "mine"


def test_without_a_gpu(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    nothing = {"card": "", "processor": "a processor", "versions": {}}
    monkeypatch.setattr(part, "run", lambda one, *rest: Outcome(one, [nothing]))
    assert check.main([]) == 2
    assert "torch finds no GPU here: add --dry" in capsys.readouterr().err


# A part ------------------------------------------------------------------------------------------


def failing(dry: bool, seconds: float) -> Iterator[Row]:
    yield {"what": "the first", "time": 0.12345}
    print("what is printed is no reason")
    raise ValueError("the second cannot be measured")


def hanging(dry: bool, seconds: float) -> Iterator[Row]:
    child = subprocess.Popen(["sleep", "60"])
    yield {"child": child.pid, "seconds": seconds}
    child.wait()


def test_a_part_that_fails_keeps_its_rows(tmp_path: Path) -> None:
    outcome = part.run(Part("one", "A title", failing, 30), 60, True, tmp_path)
    assert outcome.rows == [{"what": "the first", "time": 0.12345}]
    assert outcome.reason == "ValueError: the second cannot be measured"
    assert check.is_wrong(outcome) and "| the first | 0.123 |" in outcome.text()
    assert "**Not finished: ValueError: the second cannot be measured**" in outcome.text()


def test_a_part_that_takes_too_long_ends_with_what_it_started(tmp_path: Path) -> None:
    outcome = part.run(Part("one", "A title", hanging, 30), 2, True, tmp_path)
    assert outcome.reason == "it took longer than 2 s" and 2 <= outcome.seconds < 15
    (row,) = outcome.rows
    assert row["seconds"] == pytest.approx(1.7)
    state = Path(f"/proc/{row['child']}/stat")
    for _ in range(50):
        if not state.exists() or state.read_text().split()[2] == "Z":
            return
        time.sleep(0.1)
    pytest.fail("the process that it started is still there")


# What is said ------------------------------------------------------------------------------------


def test_verdicts() -> None:
    identical = Answer(0, "training 1 s\nverdict       identical: /tmp/a/b\nrun folder\n")
    assert runs.verdict(identical) == "identical"
    other = Answer(4, "verdict       different results in a different environment (device): /a\n")
    assert runs.verdict(other) == "different results in a different environment (device)"
    refused = Answer(3, "rnnexp: the run used a GPU: add trainer.accelerator=cpu to run\n")
    assert runs.verdict(refused).startswith("exit code 3: rnnexp: the run used a GPU")
    assert runs.is_right(refused, dry=False) and runs.is_right(other, dry=False)
    assert not runs.is_right(identical, dry=False) and runs.is_right(identical, dry=True)
    assert not runs.is_right(Answer(3, "rnnexp: no config"), dry=False)


def rows_of(graphed: float = 10.0, equal: str = paths.SAME) -> list[Row]:
    common = {"cell": "MGU", "size": "64 x 90 x 128"}
    times = {"plain": 50.0, "fused": 20.0, "graphed": graphed}
    rows = [common | {"path": path, "step, ms": time} for path, time in times.items()]
    rows[-1]["of plain"] = equal
    return rows


def test_a_card_passes_if_graphs_are_right_and_fast() -> None:
    assert paths.graphed_passes(rows_of())[0]
    assert paths.graphed_passes(rows_of(graphed=30.0)) == (
        False,
        "MGU at 64 x 90 x 128: the fused path is faster",
    )
    passed, why = paths.graphed_passes(rows_of(equal="2e-07"))
    assert not passed and "differs from the plain path by 2e-07" in why
    failed = {"cell": "GRU", "size": "1", "path": "graphed", "note": "RuntimeError: no memory"}
    assert paths.graphed_passes([*rows_of(), failed]) == (
        False,
        "GRU at 1: RuntimeError: no memory",
    )
    assert paths.graphed_passes([]) == (False, "it was not measured")


def test_a_difference_is_relative_to_the_largest_value() -> None:
    import torch

    one, other = torch.tensor([100.0, 1.0]), torch.tensor([100.0, 2.0])
    assert paths.difference([one, one], [one, one]) == paths.SAME
    assert paths.difference([one, one], [one, other]) == "1e-02"
