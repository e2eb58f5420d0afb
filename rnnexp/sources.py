"""`rnnexp data list | check | fetch`: where data come from, and whether they can be read."""

from rich.table import Table

from rnnexp import console
from rnnexp.config import check, compose, instantiate
from rnnexp.data.fetch import SOURCES, fetch
from rnnexp.data.folders import data_folder
from rnnexp.errors import UserError


def list_sources() -> int:
    """Print every source that is fetched or placed by hand, and whether it is here."""
    table = Table(title="Data sources", title_justify="left")
    for column in ("name", "what it is", "licence", "where it is"):
        table.add_column(column, overflow="fold")
    for source in SOURCES.values():
        try:
            place = str(data_folder(source.name, None))
        except UserError:
            place = f"not here: rnnexp data fetch {source.name}"
        table.add_row(source.name, source.description, source.licence, place)
    console.show(table)
    console.show("embedded: synthetic_load (SYNTHETIC: made by a seeded generator, always here)")
    return 0


def check_source(name: str, overrides: list[str]) -> int:
    """Read a source as a run would, and print what was found.

    Raises:
        UserError: it cannot be read; the sentence says why.
    """
    config = compose([f"data={name}", *overrides])
    check(config.data)
    data = instantiate(config.data)
    data.setup()
    console.show(data.report())
    console.show(f"{data.place}: {data.spec['title']} in the test span")
    return 0


def fetch_source(name: str, url: str | None = None) -> int:
    """Download a source, from its home or from `url`, into the folder where runs look for it."""
    console.show(f"{name} is in {fetch(name, url=url)}")
    return 0
