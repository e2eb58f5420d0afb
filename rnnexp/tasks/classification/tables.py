"""Confusion matrix and accuracy by group, as numbers and for the console.

`predictions` is always the table of `Classification.predictions_table`: one row per document.
"""

from collections.abc import Sequence

import pandas as pd
from scipy.stats import binomtest

from rnnexp.tables import Column, Table


def confusion_counts(predictions: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """The number of documents by true class (rows) and predicted class (columns)."""
    counts = pd.crosstab(predictions["target"], predictions["prediction"])
    return counts.reindex(index=list(classes), columns=list(classes), fill_value=0)


def percent_of_true(counts: pd.DataFrame) -> pd.DataFrame:
    """Percentages of each true class (row); nan for a class without test documents."""
    return 100 * counts.div(counts.sum(axis=1), axis=0)


def accuracy_by_group(predictions: pd.DataFrame) -> pd.DataFrame:
    """One row per group: `tested` and `correct` documents, `accuracy`, and its 95 % interval
    (Wilson 1927) from `low` to `high`. Documents without a group are left out."""
    grouped = predictions[predictions["group"] != ""]
    correct = (grouped["target"] == grouped["prediction"]).groupby(grouped["group"])
    table = pd.DataFrame({"tested": correct.size(), "correct": correct.sum()})
    table["accuracy"] = table["correct"] / table["tested"]
    intervals = [
        binomtest(correct, tested).proportion_ci(0.95, method="wilson")
        for tested, correct in zip(table["tested"], table["correct"], strict=True)
    ]
    table["low"] = [interval.low for interval in intervals]
    table["high"] = [interval.high for interval in intervals]
    return table


def confusion_table(counts: pd.DataFrame, things: str) -> Table:
    """Percentages of each true class, as the lecture prints them. counts: of `confusion_counts`."""
    names = [name.replace("_", " ") for name in counts.columns]  # allows line breaks
    columns = [Column(""), *(Column(f"predicted\n{name}", numbers=True) for name in names)]
    columns.append(Column(f"tested\n{things}", numbers=True))
    rows = []
    shares = percent_of_true(counts).iterrows()
    for name, (_, row), tested in zip(names, shares, counts.sum(axis=1), strict=True):
        percent = ["" if pd.isna(share) else f"{share:.2f}" for share in row]
        rows.append([f"true {name}", *percent, f"{tested:,}"])
    return Table("Confusion matrix, % of each true class", columns, rows)


def group_table(groups: pd.DataFrame, things: str) -> Table:
    """Accuracy and 95 % interval of each group. groups: of `accuracy_by_group`."""
    headings = ("accuracy", "95 % interval", f"tested {things}")
    rows = []
    for name, group in groups.to_dict("index").items():
        interval = f"{group['low']:.3f} to {group['high']:.3f}"
        rows.append([str(name), f"{group['accuracy']:.3f}", interval, f"{group['tested']:,}"])
    columns = [Column(""), *(Column(heading, numbers=True) for heading in headings)]
    return Table("Accuracy by category", columns, rows)
