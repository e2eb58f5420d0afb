"""Small power-load files for tests, in the format of the real ones, traps included."""

from pathlib import Path

import numpy as np
import pandas as pd


def load_table(hours: int, seed: int, level: float = 1000.0) -> pd.DataFrame:
    """Hourly values with a daily cycle and noise."""
    time = pd.date_range("2016-03-01 01:00", periods=hours, freq="h")
    noise = np.random.default_rng(seed).normal(0, 10, hours)
    load = level + 200 * np.sin(2 * np.pi * time.hour.to_numpy() / 24) + noise
    return pd.DataFrame({"Datetime": time, "load": load.round(1)})


def write_load_files(folder: Path, names: tuple[str, ...] = ("AA", "BB"), hours: int = 900) -> Path:
    """NAME_hourly.csv for each name: not in time order, one duplicate time, one gap."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        table = load_table(hours, seed=number, level=1000.0 * (number + 1))
        table = table.drop(index=300)  # a gap of one hour
        table = pd.concat([table.iloc[:500], table.iloc[499:500], table.iloc[500:]])
        table = pd.concat([table.iloc[450:], table.iloc[:450]])  # not in time order
        write_load_file(folder, name, table)
    return folder


def write_load_file(folder: Path, name: str, table: pd.DataFrame) -> Path:
    path = folder / f"{name}_hourly.csv"
    table.columns = ["Datetime", f"{name}_MW"]
    table.to_csv(path, index=False, date_format="%Y-%m-%d %H:%M:%S")
    return path
