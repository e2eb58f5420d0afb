"""How much memory a piece of work needs."""

import os

from torch.profiler import ProfilerActivity, profile

from experiments.speed.timing import Work


def peak_bytes(work: Work) -> int:
    """The most bytes in tensors of its own that the work holds at one time, torch's internal ones
    included."""
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # else every profile prints that it starts
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        work()
    held = peak = 0
    for event in sorted(profiler.profiler.kineto_results.events(), key=lambda one: one.start_ns()):
        if event.name() == "[memory]":  # taken, or where negative given back
            held += event.nbytes()
            peak = max(peak, held)
    return peak
