"""Bars: the bounds that measured values must keep (expected.yaml)."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import yaml

from rnnexp.errors import UserError

HEADINGS = {"min": "at least", "max": "at most", "aim": "aim"}


@dataclass(frozen=True)
class Bar:
    """The bounds of one measured value.

    value: the name of the measured value. aim: a stricter bound; a missed aim is shown but is not a
    failure. It is above `min`, or below `max` if the bar has no `min`.
    """

    value: str
    min: float | None = None
    max: float | None = None
    aim: float | None = None

    def verdict(self, value: float) -> str:
        if (self.min is not None and value < self.min) or (
            self.max is not None and value > self.max
        ):
            return "missed"
        if self.aim is None:
            return "met"
        reached = value <= self.aim if self.min is None else value >= self.aim
        return "met" if reached else "aim missed"


def read_bars(path: Path, section: str) -> list[Bar]:
    """The bars of one command; empty if the file has no such section."""
    sections = yaml.safe_load(path.read_text(encoding="utf-8"))
    return [Bar(**entry) for entry in sections.get(section, [])]


def judge(bars: list[Bar], values: Mapping[str, float | None]) -> tuple[pd.DataFrame, list[str]]:
    """A table of all bars as texts, and a sentence for each one that is missed.

    A bar whose value is None, because this system cannot measure it, is left out.

    Raises:
        UserError: a bar names a value that the command does not measure.
    """
    if unknown := [bar for bar in bars if bar.value not in values]:
        raise UserError(f"no measured value has the name that this bar expects: {unknown[0]}")
    bounds = [name for name in HEADINGS if any(getattr(bar, name) is not None for bar in bars)]
    lines, missed = [], []
    for bar in bars:
        value = values[bar.value]
        if value is None:
            continue
        verdict = bar.verdict(value)
        written = f"{value:.3f}" if value < 10 else f"{value:,.0f}"
        if verdict == "missed":
            limits = [
                f"{HEADINGS[name]} {limit:g}"
                for name in ("min", "max")
                if (limit := getattr(bar, name)) is not None
            ]
            missed.append(f"{bar.value} is {written}, {', '.join(limits)}")
        line = {"measured": bar.value, "here": written}
        line |= {HEADINGS[name]: _written(getattr(bar, name)) for name in bounds}
        lines.append(line | {"": verdict})
    return pd.DataFrame(lines), missed


def _written(limit: float | None) -> str:
    return "" if limit is None else f"{limit:,g}"
