"""Predict series with model.onnx. This needs NumPy and onnxruntime alone.

    python predict.py FILE ...        CSV files, also as --csv FILE

It prints CSV, as `rnnexp predict DIR --csv FILE --output FILE.csv` writes it: the next value of
each file, or a row for each step of the horizon. A file has a header, the columns of the run, and
times such as 2024-12-31 23:00:00. It repairs nothing: of a file with gaps, repeated times or empty
cells where the network reads it, it says so on standard error, and the exit code is 1. It is 2 if
no file can be opened.
"""

import argparse
import csv
import io
import json
import os
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # else onnxruntime reports to its makers
import onnxruntime

HERE = Path(__file__).parent
METADATA = json.loads((HERE / "metadata.json").read_text("utf-8"))
SCALER = json.loads((HERE / "scaler.json").read_text("utf-8"))
STEP = timedelta(seconds=METADATA["step_seconds"])
EMPTY = ("", "NA", "NaN", "nan")
MOST_NEGATIVE = 0.05  # a series with a larger share of negative values has no values near zero


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("files", nargs="*", help="a CSV file")
    parser.add_argument("--csv", metavar="FILE", action="append", default=[], help="a CSV file")
    arguments = parser.parse_args()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")
    if METADATA["not_supported"]:
        return refuse(f"this program does not read {METADATA['not_supported']}; use rnnexp predict")
    if not (files := arguments.files + arguments.csv):
        return refuse("give a CSV file with --csv")
    path, failed = str(HERE / "model.onnx"), set()
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    rows: list[dict[str, Any]] = []
    for file in files:
        try:
            rows += predict(session, file)
        except OSError as error:
            trained = "; this network was trained on series: give a CSV file with --csv"
            say(
                f"{file} cannot be read: {error.strerror}{'' if file in arguments.csv else trained}"
            )
            failed.add(2)
        except UnicodeDecodeError:
            say(f"{file}: it is not UTF-8 text")
            failed.add(1)
        except (ValueError, csv.Error) as error:
            say(f"{file}: {error}")
            failed.add(1)
    if rows:
        out = csv.DictWriter(sys.stdout, list(rows[0]), lineterminator="\n")
        out.writeheader()
        out.writerows(rows)
    return 1 if rows and failed else min(failed, default=0)


def say(sentence: str) -> None:
    print(f"predict.py: {sentence}", file=sys.stderr)


def refuse(sentence: str) -> int:
    say(sentence)
    return 2


def predict(session: Any, file: str) -> list[dict[str, Any]]:
    """The rows to print for one file."""
    name = Path(file).name.removesuffix(METADATA["suffix"]).removesuffix(".csv")
    times, values, known = read(file)
    check(times, values, is_new=name not in SCALER["series"])
    length, ahead = METADATA["look_back"], METADATA["ahead"]
    following = [times[-1] + STEP * step for step in range(1, max(ahead, 1) + 1)]
    when = times[-length:] + following[:ahead]
    inputs = scaling(name, values)
    inputs["values"] = values[-length:]
    inputs["calendar"] = time_features(when)
    inputs["known"] = ahead_of(known, following) if METADATA["known"] else np.zeros((ahead, 0))
    inputs["mask"] = np.ones((len(when), values.shape[1]), bool)
    places = [METADATA["columns"].index(one) for one in METADATA["known"]]
    inputs["mask"][length:] = np.isin(np.arange(values.shape[1]), places)
    given = {one.name: np.asarray(inputs[one.name])[None] for one in session.get_inputs()}
    (found,) = session.run([METADATA["output"]], given)
    if not ahead:
        row = {"series": name, "timestamp": following[0].isoformat(), "prediction": text(found[0])}
        return [row | {"unit": METADATA["unit"]}]
    rows, levels = [], METADATA["quantiles"]
    for step, quantiles in enumerate(found[0], start=1):
        time = following[ahead - METADATA["horizon"] + step - 1].isoformat()
        row = {"series": name, "issue_time": following[0].isoformat(), "step": str(step)}
        point = quantiles[levels.index(0.5) if levels else 0]
        row |= {"timestamp": time, "prediction": text(point)}
        row |= {f"q{level:g}": text(q) for level, q in zip(levels, quantiles, strict=False)}
        rows.append(row | {"unit": METADATA["unit"]})
    return rows


def text(value: Any) -> str:
    return repr(float(value)).removesuffix(".0")


# Reading ----------------------------------------------------------------------------------------


def read(file: str) -> tuple[list[datetime], np.ndarray, dict[datetime, list[float]]]:
    """Times, values (N, C) up to the last one of the target, and the known columns after it."""
    with open(file, encoding="utf-8-sig", newline="") as lines:
        found = [row for row in csv.reader(lines, skipinitialspace=True) if row]
    if not found:
        raise ValueError("it is empty")
    header, *cells = found
    header = [name.strip() for name in header]
    when, target = METADATA["datetime_column"], METADATA["value_column"]
    others = [name for name in header if name != when]
    if target is None and len(others) != 1:
        raise ValueError(f"it must have {when!r} and one more column, not {', '.join(header)}")
    columns = others if target is None else METADATA["columns"]
    if lacking := [name for name in (when, *columns) if header.count(name) != 1]:
        raise ValueError(f"it must have one column {lacking[0]!r}")
    places = [header.index(name) for name in columns]
    rows = []
    for row in cells:
        if len(row) != len(header):
            raise ValueError(f"a row has {len(row)} columns, the header has {len(header)}: {row}")
        time = time_of(row[header.index(when)].strip())
        if time.tzinfo is not None or time.microsecond:
            raise ValueError(f"the time {time} has a UTC offset or fractions of a second")
        texts = [row[place].strip() for place in places]
        rows.append((time, [np.nan if one in EMPTY else number(one) for one in texts]))
    rows.sort(key=lambda one: one[0])
    values = np.array([numbers for _, numbers in rows], np.float64)
    if not len(rows) or np.isinf(values).any() or np.isnan(values[:, 0]).all():
        raise ValueError("it has no values, or infinite ones")
    last = int(np.flatnonzero(~np.isnan(values[:, 0])).max()) + 1
    if last < len(rows) and not METADATA["known"]:
        raise ValueError("its last rows have no value: remove them")
    after = [METADATA["columns"].index(name) for name in METADATA["known"]]
    known = {time: [numbers[place] for place in after] for time, numbers in rows[last:]}
    return [time for time, _ in rows[:last]], values[:last], known


def time_of(cell: str) -> datetime:
    try:
        return datetime.fromisoformat(cell)
    except ValueError:
        raise ValueError(f"{cell!r} is no time such as 2024-12-31 23:00:00") from None


def number(cell: str) -> float:
    try:
        if "_" not in cell:  # which Python allows
            return float(cell)
    except ValueError:
        pass
    raise ValueError(f"{cell!r} is no number")


def check(times: list[datetime], values: np.ndarray, is_new: bool) -> None:
    """Refuse what rnnexp would repair. A series that is new is scaled by all its values."""
    length = METADATA["look_back"]
    if len(times) < length:
        raise ValueError(f"it has {len(times)} rows, but the network reads the last {length}")
    first = 0 if is_new else len(times) - length
    for before, after in zip(times[first:], times[first + 1 :], strict=False):
        if after - before != STEP:
            raise ValueError(f"{after} comes {after - before} after the row before, not {STEP}")
    target = values[~np.isnan(values[:, 0]), 0]
    low = METADATA["near_zero"] * np.median(target)
    if (target < 0).mean() > MOST_NEGATIVE:
        low = 0
    read_here = values[first:]
    if np.isnan(read_here).any() or (low > 0 and (read_here[:, 0] < low).any()):
        what = "empty cells, or values near zero, which rnnexp predict repairs"
        raise ValueError(f"there are {what}, among the rows from {times[first]} on")


def ahead_of(known: dict[datetime, list[float]], following: list[datetime]) -> np.ndarray:
    """The known columns (A, N) of the steps ahead."""
    found = np.array([known.get(time, [np.nan] * len(METADATA["known"])) for time in following])
    if np.isnan(found).any():
        names = ", ".join(METADATA["known"])
        raise ValueError(f"it needs rows for the next {len(following)} steps with {names}")
    return found


# What the network reads besides the values ------------------------------------------------------


def scaling(name: str, values: np.ndarray) -> dict[str, Any]:
    """The scaling of a series; one that is new is scaled by its own history."""
    found = SCALER["series"].get(name)
    if found is None:
        say(f"the series {name!r} was not in training: it is scaled by its own history")
        low, extent = values.min(axis=0), np.ptp(values, axis=0)
        change, season = float(np.diff(values[:, 0]).std()), METADATA["season"]
        if extent[0] == 0 or change < np.spacing(np.abs(values[:, 0]).max()):
            raise ValueError("the series is constant, or changes by the same amount at every step")
        found = SCALER["new"] | {"minimum": low, "change": change}
        found |= {"range": np.where(extent == 0, 1.0, extent)}
        if METADATA["ahead"]:
            apart = np.abs(values[season:, 0] - values[:-season, 0])
            if not len(apart) or not apart.mean() > 0:
                raise ValueError("the series is new, and repeats itself: give a longer file")
            found["seasonal"] = apart.mean()
    exact = {key: np.asarray(found[key], np.float64) for key in ("minimum", "seasonal")
             if key in found}  # fmt: skip
    return {key: np.asarray(value, np.float32) for key, value in found.items()} | exact


def time_features(times: list[datetime]) -> np.ndarray:
    """The time features (T, K) float32."""
    features, year = METADATA["time_features"], [time.timetuple().tm_yday - 1 for time in times]
    if features["kind"] == "lecture":
        columns = [[t.hour / 23, t.weekday() / 6, (t.month - 1) / 11] for t in times]
        days = np.array(year, np.float32)[:, None] / 365
        return np.concatenate([np.array(columns, np.float32), days], 1).astype(np.float32)
    if features["kind"] == "none":
        return np.zeros((len(times), 0), np.float32)
    minute = [60 * time.hour + time.minute for time in times]
    week = np.eye(7)[[time.weekday() for time in times]]
    day = waves(minute, 1440, features["harmonics"])
    return np.concatenate(
        [day, week, waves(year, 366, features["year_harmonics"])], 1, dtype=np.float32
    )


def waves(places: list[int], period: int, harmonics: int) -> np.ndarray:
    """Sines and cosines of k full turns over the period."""
    turns = np.outer(np.array(places) * (2 * np.pi / period), np.arange(1, harmonics + 1))
    return np.concatenate([np.sin(turns), np.cos(turns)], 1)


if __name__ == "__main__":
    sys.exit(main())
