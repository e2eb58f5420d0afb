"""The provenance of a result: the state of the code, time."""

import subprocess
from datetime import datetime
from pathlib import Path
from typing import Any

from rnnexp.config.targets import added_packages
from rnnexp.process.code import PACKAGE, hash_code, hash_package


def now() -> str:
    """The local time in ISO 8601, with milliseconds and UTC offset."""
    return datetime.now().astimezone().isoformat(timespec="milliseconds")


def code_state() -> dict[str, Any]:
    """Hashes of the code of rnnexp and of each package that --allow names. In a git checkout, also
    the commit, and whether there are uncommitted changes."""
    state: dict[str, Any] = {"sha256": hash_code(PACKAGE)}
    if added := {name: hash_package(name) for name in added_packages()}:
        state["allowed"] = added
    if (PACKAGE.parent / ".git").exists():
        commit = _git(PACKAGE.parent, "rev-parse", "HEAD")
        changes = _git(PACKAGE.parent, "status", "--porcelain")
        if commit and changes is not None:
            state |= {"commit": commit, "dirty": bool(changes)}
    return state


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
