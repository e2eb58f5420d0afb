"""The provenance of a result: versions, state of the code, time."""

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
PACKAGES = (  # whose versions a run records
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
    """The local time in ISO 8601, with milliseconds and UTC offset."""
    return datetime.now().astimezone().isoformat(timespec="milliseconds")


def versions() -> dict[str, str]:
    """The versions of Python, of rnnexp and of `PACKAGES`."""
    found = {"rnnexp": __version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def code_state() -> dict[str, Any]:
    """Hashes of the code of rnnexp and of each package that --allow names. In a git checkout, also
    the commit, and whether there are uncommitted changes."""
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
    """SHA-256 of a package or module that --allow names; None if it is not found."""
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
    """SHA-256 of the Python files of a folder, or of one file."""
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
