"""What is written is read back exactly, and JSON is JSON."""

import io
import json
from pathlib import Path

import numpy as np
import pandas as pd

from rnnexp.files import csv_text, json_text, remove_unfinished, write_json

NUMBERS = [1_000_135_826.3881927, 1.23456789012e-9, 0.1 + 0.2, 1e300, -0.0, 2.0**53 - 1, 13478.0]


def test_every_digit_of_a_float64_is_kept() -> None:
    table = pd.DataFrame({"x": NUMBERS, "text": list("abcdefg")})
    assert pd.read_csv(io.StringIO(csv_text(table)))["x"].tolist() == NUMBERS
    assert [row["x"] for row in json.loads(json_text(table.to_dict("records")))] == NUMBERS


def test_numbers_are_as_short_as_can_be() -> None:
    table = pd.DataFrame(
        {"x": [13478.0, 0.1, np.nan], "p": np.array([1 / 3, 0.1, np.nan], dtype=np.float32)}
    )
    assert csv_text(table) == "x,p\n13478,0.333333343\n0.1,0.100000001\n,\n"


def test_json_has_null_in_the_place_of_nan_and_infinity(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    write_json(path, {"a": np.nan, "b": [np.inf, (1.5, -np.inf)], "c": {"d": np.float64("nan")}})
    assert json.loads(path.read_text(), parse_constant=refuse) == {
        "a": None,
        "b": [None, [1.5, None]],
        "c": {"d": None},
    }


def refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is not JSON")


def test_what_a_killed_process_was_writing_is_removed_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    kept = [".lock", ".notes.txt", "run.json", "checkpoints/last.ckpt", "model.v2.12"]
    for name in [*kept, ".run.json.71", "checkpoints/.last.ckpt.4711"]:
        (tmp_path / name).touch()
    remove_unfinished(tmp_path)
    left = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {path.relative_to(tmp_path).as_posix() for path in left} == set(kept)
