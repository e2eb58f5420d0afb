"""List the data sources, or check, fetch or convert one of them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from rnnexp import console
from rnnexp.commands.shared.options import add_allow, allow, command_parser
from rnnexp.commands.shared.output import check_output_folder
from rnnexp.config import check, compose, options
from rnnexp.errors import UserError
from rnnexp.tables import Column, Table

if TYPE_CHECKING:
    from rnnexp.data.fetching.downloads import Download
    from rnnexp.data.loading.module import DataModule

WHEN = "data.datetime_column="


def main(argv: list[str]) -> int:
    parser = command_parser(__name__, __doc__)
    actions = parser.add_subparsers(
        dest="action", required=True, metavar="list | check | fetch | convert"
    )
    actions.add_parser("list", help="list the sources and where they are")
    check = actions.add_parser("check", help="read a source like a run, and report on it")
    check.add_argument("name", metavar="NAME", help="an option of the config group data")
    check.add_argument("overrides", metavar="data.KEY=VALUE", nargs="*", help="as for train")
    add_allow(check)
    fetch = actions.add_parser("fetch", help="download a source")
    fetch.add_argument("name", metavar="NAME", help="a source of `rnnexp data list`")
    fetch.add_argument("--url", help="download the archive from this URL")
    convert = actions.add_parser(
        "convert", help="write reviews as JSON lines, or in the lecture's archive format"
    )
    convert.add_argument("name", metavar="NAME", help="an option of the config group data")
    convert.add_argument("folder", type=Path, metavar="FOLDER", help="a new folder to write to")
    convert.add_argument("overrides", metavar="data.KEY=VALUE", nargs="*", help="as for train")
    convert.add_argument("--to", choices=("json", "lecture"), default="json", help="default: json")
    add_allow(convert)
    # argparse rejects overrides that follow another option.
    overrides = [argument for argument in argv if re.match(r"data[\w./]*=", argument)]
    arguments = parser.parse_args([argument for argument in argv if argument not in overrides])

    allow(getattr(arguments, "allow", []))
    match arguments.action:
        case "check":
            return check_source(arguments.name, [*arguments.overrides, *overrides])
        case "convert":
            overrides = [*arguments.overrides, *overrides]
            return convert_source(arguments.name, arguments.folder, overrides, arguments.to)
        case "fetch":
            return fetch_source(arguments.name, arguments.url)
    return list_sources()


def list_sources() -> int:
    """Print every source that can be fetched or placed by hand, and where it is."""
    from rnnexp.data.fetching.downloads import DOWNLOADS
    from rnnexp.data.folders import place_of
    from rnnexp.data.vectors.word_vectors import vector_files

    columns = [Column(name) for name in ("name", "description", "licence", "location")]
    rows = []
    for one in DOWNLOADS.values():
        place = _place(one) or f"not found: rnnexp data fetch {one.name}"
        size = f" ({one.size})" if one.size else ""
        rows.append([one.name, f"{one.description}{size}", one.licence, place])
    folder = place_of("embeddings", None)
    known = [pattern for one in DOWNLOADS.values() for pattern in one.family]
    others = set(vector_files(folder)) - set(vector_files(folder, known))
    embedded = [name for name in options("data") if name.startswith("synthetic_")]
    console.show(
        Table("Data sources", columns, rows),
        f"embedded: {', '.join(embedded)} (SYNTHETIC: from seeded generators, always available)",
        *[f"word vectors of your own: data.vectors.file={path}" for path in sorted(others)],
    )
    return 0


def _place(download: Download) -> str | None:
    """Where a source is, or None. One placed by hand may be incomplete, or have another name in a
    folder that it shares."""
    from rnnexp.data.folders import data_folder, place_of
    from rnnexp.data.vectors.word_vectors import vector_files

    if download.folder:
        folder = place_of(download.folder, None)
        names = [path.name for path in vector_files(folder, download.family)]
        return f"{folder}: {', '.join(names)}" if names else None
    try:
        return str(data_folder(download.name, None))
    except UserError:
        return None


def check_source(name: str, overrides: list[str]) -> int:
    """Read a source like a run, and print a report. A CSV file without data.datetime_column is
    looked at first. Of CSV files, the command is printed that trains on them.

    Raises:
        UserError: the source cannot be read.
    """
    if name == "series_csv" and not any(one.startswith(WHEN) for one in overrides):
        return _look_and_check(overrides)
    _read_and_report(name, overrides)
    if name == "series_csv":
        from rnnexp.commands.shared.look import show_training  # late: --help does without

        show_training(name, overrides)
    return 0


def _read_and_report(name: str, overrides: list[str]) -> None:
    data = _read(name, overrides)
    console.show(*data.report(), f"{data.place}: {data.spec.title} in the test set")


def _look_and_check(overrides: list[str]) -> int:
    from rnnexp.commands.shared.look import show_training, with_proposals

    proposed = with_proposals(overrides)
    try:
        _read_and_report("series_csv", proposed)
        return 0
    finally:
        show_training("series_csv", proposed)


def convert_source(name: str, folder: Path, overrides: list[str], form: str) -> int:
    """Write the training part (including validation) and the test part of a source of reviews.

    form: `json` for train.jsonl, test.jsonl and vocabulary.json; `lecture` for archives in the
    lecture's format.

    Raises:
        UserError: the source cannot be read or has no reviews, or the folder cannot be written.
    """
    from rnnexp.data.sources.lecture_reviews import as_archives, write_archive_pair
    from rnnexp.data.text.review_archives import write_converted
    from rnnexp.data.text.source import DocumentSource

    check_output_folder(folder, option="")
    source = _read(name, overrides).source
    if not isinstance(source, DocumentSource) or not source.things.endswith("reviews"):
        raise UserError(f"{name} has no reviews to convert: choose a source of reviews")
    train, test = as_archives(source)
    if form == "json":
        write_converted(folder, train, test)
    else:
        write_archive_pair(folder, train, test)
    in_training, in_test = (
        f"{sum(map(len, [*part.positive.values(), *part.negative.values()])):,}"
        for part in (train, test)
    )
    console.show(f"{folder} has {in_training} training and {in_test} test reviews")
    return 0


def _read(name: str, overrides: list[str]) -> DataModule:
    """A source's data module, set up as for a run."""
    from rnnexp.runs.build import build_data  # late: it imports torch, and --help does without

    config = compose([f"data={name}", *overrides])
    check(config, "data")
    return build_data(config)


def fetch_source(name: str, url: str | None = None) -> int:
    """Download a source from its home page, or from `url`, to the folder where runs expect it."""
    from rnnexp.data.fetching.fetch import fetch

    console.show(f"{name} is in {fetch(name, url=url)}")
    return 0
