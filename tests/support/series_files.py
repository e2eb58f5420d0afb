"""A source of series in CSV files, built without a config, for tests that read many files."""

from pathlib import Path
from typing import Any

from rnnexp.data.series.chunking import EveryStep
from rnnexp.data.series.cleaning import Cleaning
from rnnexp.data.series.conditioning import NoColumns
from rnnexp.data.series.normalization import MinMax
from rnnexp.data.sources.series_csv import SeriesCsv


def read_source(path: Path, datetime_column: str | list[str], **settings: Any) -> SeriesCsv:
    """The source of `data=series_csv` with small windows, after `setup`.

    settings: of the source, and those of its cleaning.
    """
    policies: dict[str, Any] = {"most_duplicates": 0.01, "outliers": "keep"}
    policies |= {key: settings.pop(key) for key in list(settings) if hasattr(Cleaning, key)}
    others: dict[str, Any] = {
        "cleaning": Cleaning(**policies),
        "conditioning": NoColumns(),
        "normalization": MinMax(),
        "chunking": EveryStep(length=20, warm_up=4),
        "look_back": 12,
        "frequency": "1h",
        "datetime_format": None,
        "season": None,
        "validation_fraction": 0.05,
        "validation_stride": 1,
        "skip_short": False,
        "batch_size": 32,
        "eval_batch_size": 32,
        "drop_last": False,
        "reshuffle": True,
    }
    source = SeriesCsv(str(path), datetime_column, **(others | settings))
    source.setup()
    return source
