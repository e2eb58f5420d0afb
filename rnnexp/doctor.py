"""`rnnexp doctor`: what one pastes into a bug report."""

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from rnnexp import __version__, determinism
from rnnexp.config import config_dir

PACKAGES = (
    "torch",
    "pytorch-lightning",
    "torchmetrics",
    "hydra-core",
    "omegaconf",
    "numpy",
    "pandas",
    "scikit-learn",
    "tensorboard",
    "matplotlib",
    "rich",
    "pooch",
)
SOURCES = ("power_load", "reviews", "names", "embeddings")


def report() -> str:
    """One `name  value` line for each fact about this installation."""
    facts = {
        "rnnexp": __version__,
        "commit": _commit(),
        "installed": str(Path(__file__).parent),
        "configs": str(config_dir()),
        "python": platform.python_version(),
        **{package: _version(package) for package in PACKAGES},
        "platform": platform.platform(),
        "cpu": _cpu(),
        "cores": f"{determinism.available_cores()} of {os.cpu_count()}",
        "threads": str(torch.get_num_threads()),
        "cuda": _cuda(),
        **_data(),
    }
    width = max(map(len, facts))
    return "\n".join(f"{name:<{width}}  {value}" for name, value in facts.items())


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _commit() -> str:
    """The commit of the checkout that holds the package, with a word on local changes."""
    root = Path(__file__).parents[1]
    if not (root / ".git").exists():
        return "not a git checkout"
    try:
        git = ("git", "-C", str(root), "describe", "--always", "--dirty", "--exclude=*")
        answer = subprocess.run(git, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return "git does not answer"
    return answer.stdout.strip() or "no commit yet"


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    name = names[0] if names else platform.processor() or platform.machine()
    return f"{name}, {torch.backends.cpu.get_cpu_capability()}"


def _cuda() -> str:
    if not torch.cuda.is_available():
        return "none" if torch.version.cuda else "none (torch without CUDA)"
    names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return f"{', '.join(names)}; CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}"


def _data() -> dict[str, str]:
    root = os.environ.get("RNNEXP_DATA")
    if not root:
        return {"RNNEXP_DATA": "not set"}
    here = {name: (Path(root) / name).is_dir() for name in SOURCES}
    return {"RNNEXP_DATA": root} | {f"  {k}": "found" if v else "-" for k, v in here.items()}
