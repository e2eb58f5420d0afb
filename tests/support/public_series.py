"""Small files in the formats of GEFCom2014-E and of ETTh1 and ETTh2."""

from pathlib import Path

import numpy as np
import pandas as pd

from rnnexp.data.sources import ett, gefcom2014


def write_gefcom2014(folder: Path, days: int = 30, without_load: int = 2) -> Path:
    """GEFCom2014-E.csv from 1 January 2004 on. The first days, `without_load`, have no load."""
    folder.mkdir(parents=True, exist_ok=True)
    hours = np.arange(24 * days)
    noise = np.random.default_rng(0).normal(0, 50, len(hours))
    load = (3000 + 800 * np.sin(2 * np.pi * hours / 24) + noise).round().astype(int).astype(str)
    load[: 24 * without_load] = ""
    temperature = 40 + 10 * np.sin(2 * np.pi * (hours - 6) / 24)
    lines = ["Date,Hour,load,T"]
    for hour in hours:
        day = pd.Timestamp("2004-01-01") + pd.Timedelta(days=int(hour // 24))
        date = f"{day.year}/{day.month}/{day.day}"
        lines.append(f"{date},{hour % 24 + 1},{load[hour]},{temperature[hour]:.2f}")
    path = folder / gefcom2014.FILE
    path.write_bytes("".join(f"{line}\r\n" for line in lines).encode())
    return path


def write_ett(folder: Path, hours: int = 500) -> Path:
    """ETTh1.csv and ETTh2.csv from 1 July 2016 on. LUFL of both is 0 most of the time, and LULL
    crosses zero."""
    folder.mkdir(parents=True, exist_ok=True)
    time = pd.date_range("2016-07-01", periods=hours, freq="h")
    day = np.sin(2 * np.pi * np.arange(hours) / 24)
    for number, name in enumerate(ett.FILES):
        noise = np.random.default_rng(number).normal(0, 1, (hours, len(ett.COLUMNS)))
        table = pd.DataFrame(20 + 5 * day[:, None] + noise, columns=list(ett.COLUMNS))
        table["LUFL"] = np.where(np.arange(hours) % 10 == 0, table["LUFL"], 0.0)
        table["LULL"] -= 20
        table.insert(0, "date", time)
        table.to_csv(folder / name, index=False, date_format="%Y-%m-%d %H:%M:%S")
    return folder
