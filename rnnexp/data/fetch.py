"""How data get here: one mechanism for every source that is downloaded.

What is fetched appears in its folder (`rnnexp.data.folders`) whole or not at all.
"""

from __future__ import annotations

import shutil
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from rnnexp.data.folders import place_of
from rnnexp.data.power_load import read_power_load
from rnnexp.errors import UserError
from rnnexp.nearest import did_you_mean


@dataclass(frozen=True)
class Source:
    """A data set that is downloaded as one zip archive.

    members: the files taken from the archive, by name; nothing else in it is touched.
    sha256: of the archive, where its publisher gives one, else None.
    read: reads the folder and raises UserError where it is not what it should be.
    by_hand: how to get the archive where a program cannot, a sentence's end.
    """

    name: str
    description: str
    licence: str
    home: str
    url: str
    sha256: str | None
    members: tuple[str, ...]
    read: Callable[[Path], object]
    by_hand: str


_ZONES = "AEP COMED DAYTON DEOK DOM DUQ EKPC FE NI PJME PJMW PJM_Load"

SOURCES = {
    source.name: source
    for source in (
        Source(
            name="power_load",
            description="hourly electric load of 12 zones in the eastern USA, MW, 1998 to 2018",
            licence="CC0",
            home="https://www.kaggle.com/datasets/robikscube/hourly-energy-consumption",
            url="https://www.kaggle.com/api/v1/datasets/download/"
            "robikscube/hourly-energy-consumption",
            sha256=None,  # Kaggle packs the archive on demand and gives no checksum
            members=tuple(f"{zone}_hourly.csv" for zone in _ZONES.split()),
            read=read_power_load,
            by_hand="log in there with a browser, download the zip and unpack its "
            "NAME_hourly.csv files",
        ),
    )
}


# --- how they get there -------------------------------------------------------------------------


def fetch(name: str, root: str | None = None, *, url: str | None = None) -> Path:
    """Download a source into its own folder, by default where `data_folder` looks for it.

    A folder that has every file already is left as it is. url: another place to load from.

    Raises:
        UserError: the source is unknown, cannot be had, is not what it should be, or its folder
            cannot be written. Nothing is left behind.
    """
    if name not in SOURCES:
        raise UserError(f"there is no source {name!r}{did_you_mean(name, SOURCES)}")
    source = SOURCES[name]
    folder = place_of(name, root)
    if all((folder / member).is_file() for member in source.members):
        return folder
    try:
        if folder.exists() and any(folder.iterdir()):
            raise UserError(
                f"{folder} has other files in it and not all of {name}: move it away, and fetch "
                "again"
            )
        folder.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=f".{name}-", dir=folder.parent) as temporary:
            archive = _download(source, url or source.url, Path(temporary), folder)
            unpacked = Path(temporary) / "unpacked"
            unpacked.mkdir()
            _unpack(source, archive, unpacked)
            _check(source, unpacked)
            if folder.exists():
                folder.rmdir()
            unpacked.rename(folder)
    except OSError as error:
        raise UserError(f"{folder} cannot be written: {error.strerror or error}") from error
    return folder


def _download(source: Source, url: str, temporary: Path, folder: Path) -> Path:
    """The archive, complete and with the right checksum, in the temporary folder."""
    import pooch
    import requests

    by_hand = f"by hand: open {source.home}, {source.by_hand} into {folder}"
    pooch.get_logger().setLevel("WARNING")
    try:
        path = Path(
            pooch.retrieve(
                url,
                known_hash=None,  # checked below, where the sum is shown as well
                fname="archive",
                path=temporary,
                downloader=pooch.HTTPDownloader(progressbar=True, timeout=30),
            )
        )
    except requests.HTTPError as error:
        status = error.response.status_code if error.response is not None else "unknown"
        why = "wants a login" if status in (401, 403) else f"answers with HTTP status {status}"
        raise UserError(f"{url} {why}; {by_hand}") from error
    except requests.RequestException as error:
        why = type(error).__name__
        raise UserError(
            f"{url} cannot be downloaded ({why}): see whether there is a network and try again, "
            f"or {by_hand}"
        ) from error

    digest = pooch.file_hash(str(path), alg="sha256")
    if source.sha256 is not None and digest != source.sha256:
        raise UserError(
            f"{url} gave a file with SHA-256 {digest} where {source.sha256} is right: try again, "
            f"or {by_hand}"
        )
    if not zipfile.is_zipfile(path):
        with path.open("rb") as file:
            page = b"<html" in file.read(2000).lower()
        why = "a web page, most likely a login," if page else "something else or a part of it"
        raise UserError(f"{url} gave {why} and not the zip archive; {by_hand}")
    checked = "as published" if source.sha256 else "the publisher gives none to compare with"
    print(f"{source.name}: SHA-256 {digest} ({checked})")
    return path


def _unpack(source: Source, archive: Path, folder: Path) -> None:
    """Take the expected files, by name, wherever in the archive they lie."""
    try:
        with zipfile.ZipFile(archive) as packed:
            found = {Path(entry.filename).name: entry for entry in packed.infolist()}
            for member in source.members:
                if member not in found:
                    raise UserError(f"the archive of {source.name} has no file {member}")
                with packed.open(found[member]) as file, (folder / member).open("wb") as target:
                    shutil.copyfileobj(file, target)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        raise UserError(f"the archive of {source.name} is damaged ({error}): try again") from error


def _check(source: Source, folder: Path) -> None:
    """Where no checksum can tell, that the files can be read does."""
    try:
        source.read(folder)
    except UserError as error:
        raise UserError(f"the archive of {source.name} is not what it should be: {error}") from None
