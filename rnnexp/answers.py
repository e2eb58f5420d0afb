"""What a finished run says of new texts and of new series.

A network is fed as in its test, by the same code; nothing is needed but the run folder.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd
import torch
from rich.table import Table
from rich.text import Text

from rnnexp.console import number
from rnnexp.data.classification import ClassificationData
from rnnexp.data.cleaning import Series, clean, span, usual_distance
from rnnexp.data.documents import Document
from rnnexp.data.forecasting import ForecastingData
from rnnexp.data.series import RawSeries
from rnnexp.data.vocabulary import UNKNOWN
from rnnexp.data.windows import Store
from rnnexp.errors import UserError
from rnnexp.evaluate import check_same_data
from rnnexp.loading import LoadedRun
from rnnexp.nn.forecaster import Forecaster
from rnnexp.nn.scaling import Scaling
from rnnexp.record import read_ngram_table, read_vocabulary

LIKELIEST = ("likeliest", "second", "third")  # classes that a person is shown
SHOWN = 100  # characters of a text
NAMED = 10  # things that a sentence names one by one


# Texts ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Classes:
    """The probability (n, C) of each of C classes for each of n texts.

    notes: sentences on how the texts were read.
    """

    texts: list[str]
    classes: list[str]
    probability: np.ndarray
    notes: list[str]

    def frame(self) -> pd.DataFrame:
        """A row a text: the text, its likeliest class, and p_CLASS for every class."""
        likeliest = [self.classes[label] for label in self.probability.argmax(axis=1)]
        columns = {f"p_{name}": p for name, p in zip(self.classes, self.probability.T, strict=True)}
        return pd.DataFrame({"text": self.texts, "prediction": likeliest} | columns)

    def table(self) -> Table:
        """A row a text, with the three likeliest classes and their probabilities."""
        headings = LIKELIEST[: len(self.classes)]
        table = Table()
        table.add_column("text", overflow="fold")
        for heading in headings:
            table.add_column(heading, no_wrap=True)
        for text, row in zip(self.texts, self.probability, strict=True):
            best = np.argsort(-row, kind="stable")[: len(headings)]
            cells = [f"{self.classes[label]} {row[label]:.3f}" for label in best]
            table.add_row(*map(Text, [printable(_cut(text, SHOWN)), *cells]))
        return table


def classify(run: LoadedRun, texts: Sequence[str]) -> Classes:
    """The classes of new texts.

    Raises:
        UserError: nothing of a text can be read, or the run folder is not whole.
    """
    data = _able_to_encode(run)
    documents = [Document(data.tokens_of(text), 0, "", text) for text in texts]
    notes = _how_they_are_read(data, documents)
    rows, outputs = [], []
    with torch.no_grad():
        for batch in data.loader(data.encode(documents)):
            rows.append(batch.row)
            outputs.append(run.network(batch.tokens, batch.lengths, batch.extra))
    probability = torch.cat(outputs)[torch.cat(rows).argsort()].exp()
    return Classes(list(texts), run.spec["classes"], probability.numpy(), notes)


def _able_to_encode(run: LoadedRun) -> ClassificationData:
    """The run's data module with what the run folder holds of the training part. A folder of an
    earlier version may not hold it all: the data themselves are needed then."""
    data = run.data
    if not isinstance(data, ClassificationData):
        raise UserError(f"{run.folder}: the data in its config.yaml are not those of its run.json")
    tokens, table = read_vocabulary(run.folder), read_ngram_table(run.folder)
    lacking = "vocabulary.json" if tokens is None else "ngrams.ckpt"
    if tokens is not None and (table is not None or data.ngrams is None):
        try:
            data.restore(tokens, table, run.spec["extra"])
        except ValueError as error:
            raise UserError(f"{run.folder / lacking} is not that of this run: {error}") from error
        return data
    try:
        data.setup()
        check_same_data(run.record, data.facts())
    except UserError as error:
        raise UserError(
            f"{run.folder} has no {lacking}, and the data that would make up for it are not to be "
            f"had: {error}"
        ) from error
    return data


def _how_they_are_read(data: ClassificationData, documents: Sequence[Document]) -> list[str]:
    """Sentences on what of the texts is not read as it stands there.

    Raises:
        UserError: nothing of one can be read.
    """
    vocabulary, words = data.vocabulary, f"{data.token}s"
    left_out, unknown = dict[str, None](), dict[str, None]()  # in the order of the texts
    long = 0
    for place, document in enumerate(documents, start=1):
        kept = data.kept(document.tokens)
        if not document.tokens or not (kept or vocabulary.unknown is not None):
            which = f"text {place}, {_quoted(document.text)}," if len(documents) > 1 else "the text"
            raise UserError(f"{which} has no {data.token} that the network knows: give another")
        without = set(range(len(document.tokens))) - set(kept)
        left_out |= dict.fromkeys(data.left_out(document.text))
        left_out |= dict.fromkeys(document.tokens[at] for at in sorted(without))
        unknown |= dict.fromkeys(
            document.tokens[at] for at in kept if document.tokens[at] not in vocabulary
        )
        long += data.max_tokens is not None and len(kept) > data.max_tokens
    notes = []
    if left_out:
        notes.append(f"unknown {words}, left out: {_listed(left_out)}")
    if unknown:
        notes.append(f"unknown {words}, read as {UNKNOWN}: {_listed(unknown)}")
    if long:
        notes.append(
            f"texts with over {data.max_tokens} {words}, of which the first and last halves of so "
            f"many are read: {long:,}"
        )
    return notes


# Series -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Forecasts:
    """The next value of each of n series, in its unit, and the time that it is for.

    notes: sentences on how the series were read.
    """

    series: list[str]
    time: np.ndarray  # datetime64[s], (n,)
    value: np.ndarray  # float32, (n,)
    unit: str
    notes: list[str]

    def frame(self) -> pd.DataFrame:
        """A row a series: series, timestamp, prediction, unit."""
        return pd.DataFrame(
            {
                "series": self.series,
                "timestamp": np.datetime_as_string(self.time, unit="s"),
                "prediction": self.value,
                "unit": self.unit,
            }
        )

    def table(self) -> Table:
        table = Table()
        for heading in ("series", "next value", "for"):
            table.add_column(heading, justify="right" if heading == "next value" else "left")
        for name, time, value in zip(self.series, self.time, self.value.tolist(), strict=True):
            value = f"{number(value)} {self.unit}".strip()
            table.add_row(Text(printable(name)), value, str(time).replace("T", " "))
        return table


def forecast(run: LoadedRun, paths: Sequence[Path]) -> Forecasts:
    """The value that follows the last one of every series in these files.

    Raises:
        UserError: a file cannot be read as those of the run were, or is too short.
    """
    data = run.data
    if not isinstance(data, ForecastingData):
        raise UserError(f"{run.folder}: the data in its config.yaml are not those of its run.json")
    series = [_cleaned(raw, data) for raw in data.read_files(paths)]
    store = Store(series, data.conditioning)
    network = cast(Forecaster, copy.deepcopy(run.network))
    network.scaling = _scaling(run, data, series)  # so that series i is the i-th of these
    with torch.no_grad():
        value = network.predict(*store.inputs(store.first[1:] - data.look_back, data.look_back))
    return Forecasts(
        [one.name for one in series],
        np.array([one.time[-1] + data.step for one in series]).astype("datetime64[s]"),
        value.numpy(),
        run.spec["unit"],
        _how_series_are_read(run, data, series),
    )


def _cleaned(raw: RawSeries, data: ForecastingData) -> Series:
    """The whole series as the run's cleaning has it. All of it is the past of what is predicted."""
    distance = usual_distance(raw.time)
    if distance is not None and distance != data.step:
        raise UserError(
            f"{raw.path}: rows mostly lie {span(distance)} apart, and the steps of this run are "
            f"{span(data.step)} (data.frequency): give the series in such steps"
        )
    series, _ = clean(
        raw, data.cleaning, step=data.step, season=data.season, training_rows=len(raw.time)
    )
    if len(series.time) < data.look_back:
        raise UserError(
            f"{raw.path} has {len(series.time)} steps, and the network reads the last "
            f"{data.look_back} (data.look_back): give a longer file"
        )
    return series


def _scaling(run: LoadedRun, data: ForecastingData, series: Sequence[Series]) -> Scaling:
    """The run's own scaling of each series; of one that it did not have, by its own history."""
    rows: dict[str, list] = {"minimum": [], "range": [], "change": []}
    for one in series:
        if one.name in run.spec["series"]:
            place = run.spec["series"].index(one.name)
            own = {key: getattr(run.network.scaling, key)[place].tolist() for key in rows}
        else:
            fitted = data.normalization.scaling([one], [len(one.time)])
            own = {key: fitted[key][0] for key in rows}
        for key in rows:
            rows[key].append(own[key])
    return Scaling(**rows)


def _how_series_are_read(
    run: LoadedRun, data: ForecastingData, series: Sequence[Series]
) -> list[str]:
    known, notes = run.spec["series"], []
    strange = [one.name for one in series if one.name not in known]
    if strange:
        notes.append(
            f"series that were not in training, scaled by their own history: {_listed(strange)}; "
            f"those in training were {_listed(known)} (a series is named after its file)"
        )
    for one in series:
        repaired = int((~one.observed[-data.look_back :]).sum())
        if repaired:
            notes.append(
                f"{printable(one.name)}: {repaired:,} of the last {data.look_back} values were "
                "absent, empty or near zero, and are repaired"
            )
    return notes


# Sentences --------------------------------------------------------------------------------------


def printable(text: str) -> str:
    """Without characters that would move the cursor of a terminal."""
    return "".join(one if one.isprintable() else " " for one in text)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}..."


def _quoted(text: str) -> str:
    return repr(_cut(text, 40))


def _listed(names: Collection[str]) -> str:
    first, rest = list(names)[:NAMED], len(names) - NAMED
    shown = ", ".join(map(_quoted, first))
    return f"{shown} and {rest:,} more" if rest > 0 else shown
