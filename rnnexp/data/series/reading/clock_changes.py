"""Recognises the changes of a clock in the times of a series: the hour that it skips in spring is
missing, and the one that it shows twice in autumn stands there twice."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from rnnexp.data.series.calendar.clock import DAY, Clock
from rnnexp.data.series.calendar.frequency import Frequency

# One zone of each rule that is common. Of the others, many share one of these.
ZONES = (
    *("Europe/Berlin", "Europe/London", "Europe/Athens", "America/New_York"),
    *("Australia/Sydney", "Pacific/Auckland", "America/Santiago"),
)


def remark(time: np.ndarray, frequency: Frequency) -> str | None:
    """A sentence on the zone whose clock these times (N,), sorted, are by; None: there is no sign
    of one. It is not known which of the zones that share a rule, so nothing is set."""
    step = frequency.step.astype("timedelta64[s]")
    if frequency.step >= DAY or len(time) < 2:
        return None
    offers, signs = [], []
    for late, key in ((0 * step, ""), (step, " data.timestamps=end")):
        if found := _first_zone(time - late, step):
            zone, missing, twice = found
            offers.append(f"data.timezone={zone}{key}")
            signs += [f"{_shown(one + late)} is missing" for one in missing[:1]]
            signs += [f"{_shown(one + late)} stands there twice" for one in twice[:1]]
    if not offers:
        return None
    which = f"{offers[0]} (or another zone with the same changes)"
    if len(offers) > 1:
        which += f", or {offers[1]} if times are the ends of their steps"
    seen = " and ".join(dict.fromkeys(signs))
    return f"{seen}, as where the clock is changed: add {which}"


def _first_zone(time: np.ndarray, step: np.timedelta64) -> tuple[str, list, list] | None:
    """The first zone of whose changes all are in the times, with the hours that are missing and
    those that stand there twice."""
    for zone in ZONES:
        missing, twice = [], []
        for begin, end, is_skipped in _changes(zone, time):
            there = time[(time >= begin) & (time < end)]
            once = len(np.unique(there))
            if is_skipped and not once:
                around = time[(time >= begin - step) & (time < end + step)]
                if len(around) == 2:  # a longer gap is no sign
                    missing.append(begin)
            elif not is_skipped and once and len(there) == 2 * once:
                twice.append(begin)
            elif is_skipped or len(there) > once:
                break
        else:
            if missing or twice:
                return zone, missing, twice
    return None


def _changes(zone: str, time: np.ndarray) -> Iterator[tuple[np.datetime64, np.datetime64, bool]]:
    """The first and the last (exclusive) time that the clock skips or shows twice at each change
    between two of these times, and whether it skips them."""
    rules = [(np.datetime64(one, "s"), offset) for one, offset in Clock(zone).rules(time)]
    for (_, before), (instant, after) in pairwise(rules):
        low, high = sorted((before, after))
        begin, end = (instant + np.timedelta64(offset, "s") for offset in (low, high))
        if begin > time[0] and end <= time[-1]:
            yield begin, end, after > before


def _shown(time: np.datetime64) -> str:
    return str(time.astype("datetime64[m]")).replace("T", " ")
