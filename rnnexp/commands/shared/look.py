"""Looks at a CSV file of a user, and proposes the command that trains on it."""

import re
from pathlib import Path

from rnnexp import console
from rnnexp.config import check, compose, instantiate
from rnnexp.config.targets import added_packages
from rnnexp.config.typed import override_of
from rnnexp.data.series.reading.look import look
from rnnexp.data.sources.series_csv import SeriesCsv, csv_files


def with_proposals(overrides: list[str]) -> list[str]:
    """The given overrides, and those with which the file of `data.root` can be read.

    Raises:
        UserError: the file cannot be read, or something in it is ambiguous.
    """
    config = compose(["data=series_csv", *overrides, "data.datetime_column=unknown"])
    check(config, "data")
    source: SeriesCsv = instantiate(config, "data", seed=config.seed)
    place = source.place
    first = csv_files(Path(place if isinstance(place, str) else place[0]))[0]
    given = {re.split("[=@]", one)[0].lstrip("+"): one for one in overrides}
    seen = look(first, given, source)
    for remark in seen.remarks:
        console.show(remark)
    found = {key: override_of(key, value) for key, value in seen.settings.items()}
    return list((given | found).values())


def show_training(name: str, overrides: list[str]) -> None:
    """Print the command that trains on what was looked at."""
    allowed = [word for package in added_packages() for word in ("--allow", package)]
    console.show("to train on it:")
    console.show_line(console.command("rnnexp", "train", f"data={name}", *overrides, *allowed))
