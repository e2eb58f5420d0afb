"""Where a result comes from: versions, the state of the code, the time."""

import hashlib
import platform
import subprocess
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rnnexp import __version__
from rnnexp.config.targets import added_packages

PACKAGE = Path(__file__).resolve().parents[2]
PACKAGES = (
    "torch",
    "pytorch-lightning",
    "hydra-core",
    "omegaconf",
    "numpy",
    "pandas",
    "scikit-learn",
    "scipy",
    "torchmetrics",
    "tensorboard",
    "matplotlib",
    "rich",
    "pooch",
)


def now() -> str:
    return datetime.now().astimezone().isoformat(timespec="milliseconds")


def versions() -> dict[str, str]:
    """Python's, rnnexp's and every numerical package's version."""
    found = {"rnnexp": __version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def code_state() -> dict[str, Any]:
    """The code that runs: a hash over the package's files, and over those of each package that is
    allowed besides; in a checkout where git answers its commit, and whether there are changes."""
    state: dict[str, Any] = {"sha256": _hash_code(PACKAGE)}
    if added := {name: _hash_package(name) for name in added_packages()}:
        state["allowed"] = added
    if (PACKAGE.parent / ".git").exists():
        commit = _git(PACKAGE.parent, "rev-parse", "HEAD")
        changes = _git(PACKAGE.parent, "status", "--porcelain")
        if commit and changes is not None:
            state |= {"commit": commit, "dirty": bool(changes)}
    return state


def _hash_package(name: str) -> str | None:
    """Of a package or module that --allow names; None where it cannot be found."""
    try:
        spec = find_spec(name)
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    if spec.submodule_search_locations:  # a package, also one without __init__.py
        return _hash_code(Path(next(iter(spec.submodule_search_locations))))
    return _hash_code(Path(spec.origin)) if spec.origin else None


def _hash_code(place: Path) -> str:
    """sha256 over the Python files of a folder, or over one file."""
    folder, files = (place, place.rglob("*.py")) if place.is_dir() else (place.parent, [place])
    content = hashlib.sha256()
    for path in sorted(files):
        content.update(path.relative_to(folder).as_posix().encode())
        content.update(path.read_bytes())
    return content.hexdigest()


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
