"""Confusion matrix and accuracy by group, against scikit-learn and Wilson's formula."""

import math

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from sklearn.metrics import confusion_matrix

from rnnexp.console import rich_table
from rnnexp.tables import Table
from rnnexp.tasks.classification.tables import (
    accuracy_by_group,
    confusion_counts,
    confusion_table,
    group_table,
    percent_of_true,
)

CLASSES = ["red", "green", "blue", "black"]


def predictions() -> pd.DataFrame:
    """200 documents; no true class is black, and no predicted class is blue."""
    draw = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "group": draw.choice(["lamps", "kettles", ""], 200),
            "target": draw.choice(["red", "green", "blue"], 200, p=[0.6, 0.3, 0.1]),
            "prediction": draw.choice(["red", "green", "black"], 200),
        }
    )


def printed(table: Table) -> str:
    console = Console(width=120)
    with console.capture() as capture:
        console.print(rich_table(table, console.width))
    return capture.get()


def test_confusion_matrix_against_scikit_learn() -> None:
    table = predictions()
    counts = confusion_counts(table, CLASSES)
    expected = confusion_matrix(table["target"], table["prediction"], labels=CLASSES)
    assert counts.to_numpy().tolist() == expected.tolist()
    assert list(counts.index) == CLASSES == list(counts.columns)
    percent = percent_of_true(counts)
    assert percent.loc["red", "green"] == pytest.approx(100 * expected[0, 1] / expected[0].sum())
    assert percent.loc["black"].isna().all()


def test_accuracy_by_group_with_wilsons_interval() -> None:
    table = predictions()
    groups = accuracy_by_group(table)
    assert list(groups.index) == ["kettles", "lamps"]  # and nothing for those without a group
    for name, row in groups.iterrows():
        own = table[table["group"] == name]
        n, p = len(own), (own["target"] == own["prediction"]).mean()
        z = 1.959963984540054
        center = (p + z * z / (2 * n)) / (1 + z * z / n)
        half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
        assert row["tested"] == n
        assert row["accuracy"] == pytest.approx(p)
        assert row["low"] == pytest.approx(center - half)
        assert row["high"] == pytest.approx(center + half)


def test_a_group_that_is_all_right_has_an_interval() -> None:
    table = pd.DataFrame({"group": ["lamps"] * 10, "target": "red", "prediction": "red"})
    (group,) = accuracy_by_group(table).to_dict("records")
    assert group["accuracy"] == group["high"] == 1
    assert group["low"] == pytest.approx(10 / (10 + 1.959963984540054**2))
    assert "0.722 to 1.000" in printed(group_table(accuracy_by_group(table), "notes"))


def test_nothing_without_groups() -> None:
    table = pd.DataFrame({"group": ["", ""], "target": "red", "prediction": ["red", "blue"]})
    assert len(accuracy_by_group(table)) == 0


def test_printed_as_the_lecture_does() -> None:
    table = pd.DataFrame({"target": ["bad"] * 3 + ["good"], "prediction": ["bad", *["good"] * 3]})
    text = printed(confusion_table(confusion_counts(table, ["bad", "good", "never"]), "notes"))
    rows = [
        [cell.strip() for cell in line.split("│")[1:-1]]
        for line in text.splitlines()
        if "│" in line
    ]
    assert rows == [
        ["true bad", "33.33", "66.67", "0.00", "3"],
        ["true good", "0.00", "100.00", "0.00", "1"],
        ["true never", "", "", "", "0"],
    ]
