"""What the measured ratios are to be at most."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import yaml

from experiments.speed.timing import ratio
from rnnexp.errors import UserError

Rows = Mapping[str, pd.DataFrame]  # seconds (rounds, contenders) of each row of a table


@dataclass(frozen=True)
class Bar:
    """The largest ratio of one contender's time to another's, median over the rounds, in any row of
    a table. An aim is what one would like to see."""

    table: str
    of: str
    to: str
    max: float | None = None
    aim: float | None = None

    def worst(self, tables: Mapping[str, Rows]) -> float:
        """The largest ratio in the table's rows that have both contenders.

        Raises:
            UserError: it is about nothing that was measured.
        """
        rows = tables.get(self.table, {})
        found = [
            ratio(times, self.of, self.to).median
            for times in rows.values()
            if {self.of, self.to} <= set(times)
        ]
        if not found:
            raise UserError(f"the study measures nothing that this expects: {self}")
        return max(found)


def read_bars(path: Path) -> list[Bar]:
    return [Bar(**entry) for entry in yaml.safe_load(path.read_text(encoding="utf-8"))]


def judge(bars: list[Bar], tables: Mapping[str, Rows]) -> tuple[pd.DataFrame, list[str]]:
    """A table of all bars as texts, and those that are missed."""
    lines, missed = [], []
    for bar in bars:
        worst = bar.worst(tables)
        above = [name for name in ("max", "aim") if (limit := getattr(bar, name)) and worst > limit]
        if "max" in above:
            missed.append(f"{bar.table}: {bar.of} to {bar.to} is {worst:.3f}, at most {bar.max}")
        lines.append(
            {
                "measured": bar.table,
                "ratio": f"{bar.of} to {bar.to}",
                "largest": f"{worst:.3f}",
                "at most": str(bar.max or ""),
                "aim": str(bar.aim or ""),
                "": "missed" if "max" in above else "aim missed" if "aim" in above else "met",
            }
        )
    return pd.DataFrame(lines), missed
