"""The files beside model.onnx: what a program needs to prepare inputs as the run did."""

from __future__ import annotations

import inspect
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from rnnexp import __version__
from rnnexp.data.series.conditioning import Conditioning, CyclicColumns, LectureColumns, NoColumns
from rnnexp.data.series.source import SeriesSource
from rnnexp.data.sources.lecture_reviews import LectureReviews
from rnnexp.data.sources.power_load import SUFFIX, PowerLoad
from rnnexp.data.sources.series_csv import SeriesCsv
from rnnexp.data.sources.synthetic_load import SyntheticLoad
from rnnexp.data.text.characters import AllCharacters, LectureCharacters
from rnnexp.data.text.ngrams import NGRAMS
from rnnexp.data.text.source import DocumentSource
from rnnexp.data.text.tokenization import LectureWords, Words
from rnnexp.export.networks import Exported
from rnnexp.files import write_json
from rnnexp.runs.loading import LoadedRun, restore_data
from rnnexp.tasks.classification.answers import LONGEST
from rnnexp.tasks.classification.task import Classification
from rnnexp.tasks.forecasting.task import Forecasting
from rnnexp.tasks.horizon.data import HorizonData
from rnnexp.tasks.horizon.task import Horizon

PROGRAMS = Path(__file__).parent / "programs"
METADATA = "metadata.json"
# How our tasks predict, which the programs repeat.
ANSWERS = [vars(kind)["answer"] for kind in (Classification, Forecasting, Horizon)]


def write_contents(folder: Path, run: LoadedRun, exported: Exported) -> str | None:
    """Write predict.py, metadata.json and what they need into a folder. Returns what predict.py
    cannot do, as a clause; None if it can predict."""
    data = restore_data(run)
    metadata: dict[str, Any] = {
        "format": 1,
        "rnnexp": __version__,
        "run": run.folder.resolve().name,
        "checkpoint_sha256": run.record.get("files", {}).get("checkpoints/best.ckpt"),
        "kind": exported.kind,
        "output": exported.output,
    }
    if isinstance(data.source, DocumentSource):
        lacking = _write_texts(folder, data.source, run, metadata)
        program = "texts.py"
    else:
        lacking = _write_series(folder, data, run, metadata)
        program = "series.py"
    if inspect.getattr_static(run.task, "answer") not in ANSWERS:
        lacking = f"the answers of the task {run.task.__name__}"
    write_json(folder / METADATA, metadata | {"not_supported": lacking})
    shutil.copyfile(PROGRAMS / program, folder / "predict.py")
    return lacking


# Texts ------------------------------------------------------------------------------------------


def _write_texts(
    folder: Path, source: DocumentSource, run: LoadedRun, metadata: dict[str, Any]
) -> str | None:
    write_json(folder / "vocabulary.json", source.vocabulary.tokens)
    metadata |= {
        "classes": list(run.spec.classes),  # type: ignore[attr-defined]
        "token": source.token,
        "unknown": source.vocabulary.unknown,
        "skip_unknown": source.vectors is not None and source.vectors.unknown == "skip",
        "max_tokens": source.max_tokens,
        "longest": LONGEST,
        "ngrams": None,
    }
    if (table := source.ngram_table) is not None:
        arrays = {f"ngrams_{kind}": values for kind, values in table.ngrams.items()}
        arrays |= {f"ratios_{kind}": values for kind, values in table.ratios.items()}
        np.savez(folder / "ngrams.npz", **arrays)  # type: ignore[arg-type]
        kinds = {kind: NGRAMS[kind] for kind in table.ngrams}
        metadata["ngrams"] = {"kinds": kinds, "words": table.words}
    tokens = _tokenization(source)
    if type(tokens) not in (LectureWords, Words, LectureCharacters, AllCharacters):
        return f"how {type(source).__name__} splits a text into {source.token}s"
    # These files need the standard library alone.
    shutil.copyfile(inspect.getfile(type(tokens)), folder / "tokens.py")
    metadata["tokens"] = type(tokens).__name__
    return None


def _tokenization(source: DocumentSource) -> object:
    if isinstance(source, LectureReviews):
        return LectureWords()
    return getattr(source, "tokenization", None) or getattr(source, "characters", None)


# Series -----------------------------------------------------------------------------------------


def _write_series(folder: Path, data: Any, run: LoadedRun, metadata: dict[str, Any]) -> str | None:
    source, spec, network = data.source, data.spec, run.network
    static = data.standardised(data.scaling["static"]).tolist() if spec_static(spec) else None
    vectors = getattr(network, "vectors", None)
    learnt = None if vectors is None else vectors.weight.detach()
    series = {}
    for place, name in enumerate(spec.series):
        series[name] = {key: values[place] for key, values in data.scaling.items()}
        if static is not None:
            series[name]["static"] = static[place]
        if learnt is not None:
            series[name]["vector"] = learnt[place].tolist()
    new = {} if learnt is None else {"vector": learnt.mean(0).tolist()}
    write_json(folder / "scaler.json", {"series": series, "new": new})
    horizon = isinstance(data, HorizonData)
    metadata |= {
        "columns": list(spec.columns),
        "known": list(spec.known) if horizon else [],
        "unit": spec.unit,
        "step_seconds": int(source.step / np.timedelta64(1, "s")),
        "season": source.season,
        "look_back": source.look_back,
        "ahead": source.issue.lead + source.horizon if horizon else 0,
        "horizon": source.horizon if horizon else 1,
        "quantiles": list(network.levels) if horizon else [],  # type: ignore[arg-type]
        "masks": source.cleaning.masks,
        "near_zero": source.cleaning.near_zero if source.cleaning.outliers == "fill" else 0.0,
        "time_features": _time_features(source.conditioning),
        "datetime_column": getattr(source, "datetime_column", "Datetime"),
        "value_column": getattr(source, "value_column", None),
        "suffix": "" if isinstance(source, SeriesCsv) else SUFFIX,
    }
    return not_read(source)


def spec_static(spec: Any) -> bool:
    """Whether the series of a spec have static columns."""
    return bool(getattr(spec, "static", ()))


def _time_features(conditioning: Conditioning) -> dict[str, Any] | None:
    """What predict.py computes; None if it cannot."""
    if type(conditioning) is CyclicColumns and conditioning.holidays is None:
        waves = (conditioning.day, conditioning.year)
        day, year = (table.shape[1] // 2 for table in waves)
        return {"kind": "cyclic", "harmonics": day, "year_harmonics": year}
    kinds = {LectureColumns: "lecture", NoColumns: "none"}
    kind = kinds.get(type(conditioning))
    return None if kind is None else {"kind": kind}


def not_read(source: SeriesSource) -> str | None:
    """What of the run's files predict.py does not read, as settings; None if it reads them."""
    if type(source) not in (SeriesCsv, PowerLoad, SyntheticLoad):
        return f"files of {type(source).__name__}"
    found = {
        "data.timezone": source.clock.timezone is not None,
        "data.datetime_format": source.datetime_format is not None,
        "data.frequency": source.frequency.offset is not None,
        "data.conditioning": _time_features(source.conditioning) is None,
        "data.static": bool(source.static),
    }
    if isinstance(source, SeriesCsv):
        plain = source.dialect == type(source.dialect)()
        found["the separator, signs or encoding of data=series_csv"] = not plain
        found["data.datetime_column (two columns)"] = not isinstance(source.datetime_column, str)
        found["data.series_column"] = source.series_column is not None
    settings = [key for key, is_set in found.items() if is_set]
    return " and ".join(settings) if settings else None
