"""Completion with the tab key, as bash asks for it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rnnexp.commands.completion import words
from tests.support import REPOSITORY


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("rnnexp tr", ["trace ", "train "]),
        ("rnnexp train da", ["data.", "data/", "data="]),
        ("rnnexp train data=synthetic_n", ["data=synthetic_names "]),
        ("rnnexp train model/recu", ["model/recurrence="]),
        ("rnnexp train -m model=gru,lstm optimizer.l", ["optimizer.lr="]),
        ("rnnexp train ~callbacks.fig", ["~callbacks.figures"]),
        ("rnnexp train model=nonsense se", ["seed="]),
        ("rnnexp search sp", ["space="]),
        ("rnnexp search space=for", ["space=forecasting "]),
        ("rnnexp search space=forecasting optimizer.l", ["optimizer.lr="]),
        ("rnnexp data f", ["fetch "]),
        ("rnnexp data check synthetic_r", ["synthetic_recall ", "synthetic_reviews "]),
        ("rnnexp test outp", []),
    ],
)
def test_words(line: str, expected: list[str], empty_folder: Path) -> None:
    assert words(line) == expected


def test_words_of_nothing(empty_folder: Path) -> None:
    assert {"train ", "leaderboard ", "completion "} <= set(words("rnnexp "))
    assert {"model=", "seed="} <= set(words("rnnexp train "))


@pytest.mark.skipif(not shutil.which("bash"), reason="no bash")
def test_in_bash(tmp_path: Path) -> None:
    """Bash replaces the part behind `=` alone, unless `=` does not break words."""
    program = tmp_path / "rnnexp"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m rnnexp "$@"\n')
    program.chmod(0o755)
    script = """
        eval "$(rnnexp completion bash)"
        complete -p rnnexp
        COMP_LINE="rnnexp train model=ls" COMP_POINT=21
        COMP_WORDS=(rnnexp train model = ls) COMP_CWORD=4
        _rnnexp_completion; printf '<%s>' "${COMPREPLY[@]}"
        COMP_WORDS=(rnnexp train model=ls) COMP_CWORD=2
        _rnnexp_completion; printf '<%s>' "${COMPREPLY[@]}"
    """
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "--norc", "-c", script],
        env=os.environ | {"PATH": path, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=True,
    )
    first, second = done.stdout.splitlines()
    assert first.endswith("-F _rnnexp_completion rnnexp")
    assert second == "<lstm ><model=lstm >"
