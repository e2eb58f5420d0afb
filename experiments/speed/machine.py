"""The machine: its description, and whether other processes use it."""

import os
import platform
import time
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import torch

from experiments.speed.timing import quartiles
from rnnexp.errors import UserError
from rnnexp.nn.fast.choices import instruction_set
from rnnexp.process import cores
from rnnexp.process.machine import cpu_name

MAX_BUSY_CORES = 0.1  # by other processes, on average
MAX_PULSE_SPREAD = 1.2  # largest ratio of the upper to the lower quartile of the pulse's times
WATCH_SECONDS = 2.0  # before measuring
# The processors whose results the README shows, by their instruction set.
SHOWN = {"AVX512 with MKL at AVX2": "avx512", "AVX2": "avx2"}
# Variables that limit the instructions of oneDNN, MKL and torch.
LIMITS = ("ONEDNN_MAX_CPU_ISA", "MKL_ENABLE_INSTRUCTIONS", "ATEN_CPU_CAPABILITY")
STAT = Path("/proc/stat")  # the time accounts of the cores, on Linux


def description() -> str:
    """Processor, cores, threads, memory and versions."""
    facts = [
        f"{cpu_name()} ({torch.backends.cpu.get_cpu_capability()})",
        f"{len(cores.available())} of {os.cpu_count()} cores",
        f"{torch.get_num_threads()} threads",
        *_memory(),
        f"torch {torch.__version__}",
        f"Python {platform.python_version()}",
        platform.system(),
    ]
    limits = [f"{name}={os.environ[name]}" for name in LIMITS if name in os.environ]
    simulated = f"; another processor is simulated by {' '.join(limits)}" if limits else ""
    return ", ".join(facts) + simulated


def place(name: str) -> str | None:
    """The markers in the README between which a command writes what it found here. Nothing is
    written on processors that are not shown there."""
    shown = SHOWN.get(instruction_set())
    return f"{name}, {shown}" if shown else None


def picture(name: str) -> str:
    """The file name of a command's picture on this processor."""
    return f"{name}_{SHOWN.get(instruction_set(), 'other')}.png"


def _memory() -> list[str]:
    if not hasattr(os, "sysconf"):
        return []
    size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return [f"{size / 2**30:.0f} GiB of memory"]


class Watch:
    """Watches how busy other processes keep the cores of this one, from its creation on."""

    def __init__(self) -> None:
        self._start = self._now()

    @staticmethod
    def _now() -> tuple[float, float, float | None]:
        own = sum(os.times()[:4])  # with its children that have ended
        return time.perf_counter(), own, _busy()

    def others(self) -> float | None:
        """Cores that other processes keep busy on average; None if the system does not tell."""
        (start, own, busy), (now, own_now, busy_now) = self._start, self._now()
        if busy is None or busy_now is None:
            return None
        return max(0.0, (busy_now - busy - (own_now - own)) / (now - start))


def _busy() -> float | None:
    """Seconds that the cores of this process have been busy for anyone, including other virtual
    machines on the same hardware."""
    try:
        lines = STAT.read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    ours = {f"cpu{core}" for core in os.sched_getaffinity(0)}
    ticks = 0
    for line in lines:
        name, *fields = line.split()
        if name in ours:
            user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, fields[:8])
            ticks += user + nice + system + irq + softirq + steal
    return ticks / os.sysconf("SC_CLK_TCK")


def require_quiet() -> None:
    """Watch the machine for a moment.

    Raises:
        UserError: other processes keep it busy.
    """
    watch = Watch()
    time.sleep(WATCH_SECONDS)
    others = watch.others()
    if others is not None and others > MAX_BUSY_CORES:
        raise UserError(
            f"other processes keep {others:.1f} cores busy, which would distort the times: wait "
            "until the machine is quiet, or try --quick"
        )


def conditions(others: float | None, pulse: Sequence[float]) -> tuple[str, str]:
    """The conditions of the measurements as a sentence, and what was wrong with them, if anything.

    others: how many cores other processes kept busy. pulse: the times of the same product.
    """
    low, _, high = quartiles(pd.Series(pulse) / pd.Series(pulse).median())
    steadiness = (
        f"one and the same product took {low:.2f} to {high:.2f} of its median time "
        f"(quartiles of {len(pulse)} rounds)"
    )
    busy = "" if others is None else f"other processes kept {others:.2f} cores busy"
    wrong = []
    if others is not None and others > MAX_BUSY_CORES:
        wrong.append(busy)
    if high / low > MAX_PULSE_SPREAD:
        wrong.append(steadiness)
    facts = "; ".join(filter(None, (busy, steadiness)))
    return facts[0].upper() + facts[1:] + ".", "; ".join(wrong)
