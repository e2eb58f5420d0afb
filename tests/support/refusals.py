"""How a command refuses what a user got wrong."""

import json
from pathlib import Path

import pytest

from rnnexp.cli import main


def refused(arguments: list[str], capture: pytest.CaptureFixture[str]) -> str:
    """The one sentence with which a command ends. A run that was begun is a failed one."""
    assert main(arguments) == 2
    said = capture.readouterr().err
    assert said.startswith("rnnexp: ") and said.endswith("\n")
    assert said.count("\n") == 1 and "Traceback" not in said, said
    for run in Path("outputs").glob("*/*"):
        assert json.loads((run / "run.json").read_text())["status"] == "failed"
        whole = {"metrics.json", "digest.json", "predictions.csv", "checkpoints"}
        assert not whole & {path.name for path in run.iterdir()}
    return said
