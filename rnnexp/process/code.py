"""The code that computes in this process: hashes of packages, their versions, their libraries."""

import hashlib
import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from threadpoolctl import threadpool_info

from rnnexp import __version__
from rnnexp.process.machine import cpu_name

PACKAGE = Path(__file__).resolve().parents[1]
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


def versions(*more: str) -> dict[str, str]:
    """The versions of Python, of rnnexp, of `PACKAGES` and of `more` packages."""
    found = {"rnnexp": __version__, "python": platform.python_version()}
    return found | installed((*PACKAGES, *more))


def installed(packages: Iterable[str]) -> dict[str, str]:
    """The version of each package."""
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def arithmetic() -> dict[str, Any]:
    """What can change the last digits of a result on the CPU: the processor, the libraries of
    linear algebra and of threads, and the number of threads of each."""
    kinds = ("user_api", "internal_api", "version", "architecture", "num_threads")
    libraries = {tuple(str(one.get(kind)) for kind in kinds) for one in threadpool_info()}
    return {
        "processor": cpu_name(),
        "threads": torch.get_num_threads(),
        "libraries": sorted(map(list, libraries)),
    }


def hash_package(name: str) -> str | None:
    """SHA-256 of a package or module by its name; None if it is not found."""
    try:
        spec = find_spec(name)
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    if spec.submodule_search_locations:  # a package, also one without __init__.py
        return hash_code(Path(next(iter(spec.submodule_search_locations))))
    return hash_code(Path(spec.origin)) if spec.origin else None


def hash_code(place: Path) -> str:
    """SHA-256 of the Python files of a folder, or of one file."""
    folder, files = (place, place.rglob("*.py")) if place.is_dir() else (place.parent, [place])
    content = hashlib.sha256()
    for path in sorted(files):
        content.update(path.relative_to(folder).as_posix().encode())
        content.update(path.read_bytes())
    return content.hexdigest()
