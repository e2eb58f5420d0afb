"""`rnnexp data list | check | fetch | convert`: where data come from, whether they can be read, and
reviews in other formats."""

from pathlib import Path

from rich.table import Table

from rnnexp import console
from rnnexp.config import check, compose, instantiate
from rnnexp.data.classification import ClassificationData
from rnnexp.data.fetch import SOURCES, Source, fetch, where
from rnnexp.data.folders import data_folder
from rnnexp.data.lecture_reviews import as_archives, write_archive_pair
from rnnexp.data.module import DataModule
from rnnexp.data.review_archives import write_converted
from rnnexp.errors import UserError


def list_sources() -> int:
    """Print every source that is fetched or placed by hand, and whether it is here."""
    table = Table(title="Data sources", title_justify="left")
    for column in ("name", "what it is", "licence", "where it is"):
        table.add_column(column, overflow="fold")
    for source in SOURCES.values():
        place = _place(source) or f"not here: rnnexp data fetch {source.name}"
        table.add_row(source.name, source.description, source.licence, place)
    console.show(table)
    console.show(
        "embedded: synthetic_load, synthetic_names, synthetic_recall, synthetic_reviews "
        "(SYNTHETIC: made by seeded generators, always here)"
    )
    return 0


def _place(source: Source) -> str | None:
    """Where a source is; in a folder of its own it may be there in part, placed by hand."""
    if source.folder:
        return str(found) if (found := where(source.name)) else None
    try:
        return str(data_folder(source.name, None))
    except UserError:
        return None


def check_source(name: str, overrides: list[str]) -> int:
    """Read a source as a run would, and print what was found.

    Raises:
        UserError: it cannot be read; the sentence says why.
    """
    data = _read(name, overrides)
    console.show(data.report())
    console.show(f"{data.place}: {data.spec['title']} in the test")
    return 0


def convert_source(name: str, folder: Path, overrides: list[str], form: str) -> int:
    """Write the training part (validation included) and the test part of a source of reviews.

    form: `json` for train.jsonl, test.jsonl and vocabulary.json, `lecture` for archives in the
    lecture's format.

    Raises:
        UserError: the source cannot be read or has no reviews, or the folder cannot be written.
    """
    data = _read(name, overrides)
    if not isinstance(data, ClassificationData) or not data.things.endswith("reviews"):
        raise UserError(f"{name} has no reviews to convert: convert serves sources of reviews")
    train, test = as_archives(data)
    if form == "json":
        write_converted(folder, train, test)
    else:
        write_archive_pair(folder, train, test)
    counts = " and ".join(
        f"{sum(map(len, [*part.positive.values(), *part.negative.values()])):,}"
        for part in (train, test)
    )
    console.show(f"{folder} has {counts} reviews to train and to test on")
    return 0


def _read(name: str, overrides: list[str]) -> DataModule:
    """A source's data module, set up as for a run."""
    config = compose([f"data={name}", *overrides])
    check(config.data)
    data: DataModule = instantiate(config.data)
    data.setup("fit")
    return data


def fetch_source(name: str, url: str | None = None) -> int:
    """Download a source, from its home or from `url`, into the folder where runs look for it."""
    console.show(f"{name} is in {fetch(name, url=url)}")
    return 0
