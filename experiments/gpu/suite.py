"""The tests of the suite that need a GPU."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from experiments.gpu.part import Row, last_line

ROOT = Path(__file__).parents[2]


def measure(dry: bool, seconds: float) -> Iterator[Row]:
    files = sorted(
        str(path.relative_to(ROOT))
        for path in (ROOT / "tests").rglob("test_*.py")
        if "@pytest.mark.cuda" in path.read_text(encoding="utf-8")
    )
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    command = [sys.executable, "-m", "pytest", "-q", "-m", "cuda", "-p", "no:cacheprovider"]
    for file in [files] if dry else [[file] for file in files]:
        done = subprocess.run([*command, *file], cwd=ROOT, env=own, capture_output=True, text=True)
        summary = last_line(done.stdout) or last_line(done.stderr)
        failed = "; ".join(re.findall(r"^(?:FAILED|ERROR) (.*)$", done.stdout, re.MULTILINE))
        if done.returncode and not failed:
            failed = f"exit code {done.returncode}: {last_line(done.stderr)}"
        yield {"tests": ", ".join(file), "outcome": summary, "failed": failed[:600]}
