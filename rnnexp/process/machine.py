"""The device of a run."""

import functools
import platform
from pathlib import Path

import torch


def device_name(accelerator: str) -> str:
    """The name of the GPU or processor that an accelerator (`gpu` or `cpu`) stands for."""
    if accelerator in ("gpu", "cuda") and torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return cpu_name()


@functools.cache  # every job of a sweep asks, and the system takes its time
def cpu_name() -> str:
    """The model name of the processor if the system reports it, else its architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    for line in lines:
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
