"""Downloads a data set into its folder (`rnnexp.data.folders`).

The folder holds the complete data set or none of it.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

from rnnexp.data.fetching import checksums
from rnnexp.data.fetching.downloads import DOWNLOADS, Download
from rnnexp.data.fetching.transfer import receive
from rnnexp.data.fetching.unpack import missing, unpack
from rnnexp.data.folders import place_of
from rnnexp.errors import UserError
from rnnexp.nearest import did_you_mean


def fetch(name: str, root: str | None = None, *, url: str | None = None) -> Path:
    """Download a source into its folder, by default where `data_folder` looks for it.

    A complete folder is left unchanged. url: overrides the URL of the download.

    Raises:
        UserError: the source is unknown, the download fails or is not the expected data set, or
            the folder cannot be written. No partial data are left behind.
    """
    if name not in DOWNLOADS:
        raise UserError(f"there is no data set {name!r}{did_you_mean(name, DOWNLOADS)}")
    if (here := where(name, root)) is not None:
        return here
    download = DOWNLOADS[name]
    folder = place_of(download.folder or name, root)
    url = url or download.url
    by_hand = f"by hand: open {download.home}, {download.by_hand} into {folder}"
    try:
        if download.folder is None and folder.exists() and any(folder.iterdir()):
            raise UserError(
                f"{folder} is not empty and lacks files of {name}: move the folder away, and fetch "
                "again"
            )
        folder.parent.mkdir(parents=True, exist_ok=True)
        # Beside the folder (links resolved): a rename is atomic only within one file system.
        with TemporaryDirectory(prefix=f".{name}-", dir=folder.resolve().parent) as temporary:
            archive, unpacked = Path(temporary) / "archive", Path(temporary) / "unpacked"
            checksum = _download(download, url, archive, by_hand)
            unpacked.mkdir()
            unpack(download, archive, unpacked)
            _check(download, unpacked)
            _move(download, unpacked, folder)
        checksums.keep(download, url, checksum)
    except OSError as error:
        raise UserError(f"{folder} cannot be written: {error.strerror or error}") from error
    return folder


def where(name: str, root: str | None = None) -> Path | None:
    """The folder of a source if it is complete, else None."""
    download = DOWNLOADS[name]
    folder = place_of(download.folder or name, root)
    return folder if not missing(download, folder) else None


def _move(download: Download, unpacked: Path, folder: Path) -> None:
    """Move the whole folder if it is the source's own, else file by file into the shared folder."""
    if download.folder is None:
        if folder.exists():
            folder.rmdir()
        unpacked.rename(folder)
        return
    folder.mkdir(exist_ok=True)
    for file in unpacked.iterdir():
        file.replace(folder / file.name)


def _download(download: Download, url: str, archive: Path, by_hand: str) -> str:
    """Download the archive, check its type, and return its checksum, compared."""
    import requests

    try:
        receive(url, archive, download.largest)
    except UserError as error:
        raise UserError(f"{error}; {by_hand}") from error
    except requests.HTTPError as error:
        status = error.response.status_code if error.response is not None else "unknown"
        why = "requires a login" if status in (401, 403) else f"answers with HTTP status {status}"
        raise UserError(f"{url} {why}; {by_hand}") from error
    except requests.RequestException as error:
        why = type(error).__name__
        raise UserError(
            f"{url} cannot be downloaded ({why}): check the network connection and try again, "
            f"or {by_hand}"
        ) from error

    with archive.open("rb") as file:
        beginning = file.read(2000)
    is_page = b"<html" in beginning.lower()
    if is_page or not _is_packed(download, archive, beginning):
        found = "a web page, most likely a login" if is_page else "an incomplete or different file"
        expected = "file" if download.packing == "file" else f"{download.packing} archive"
        raise UserError(f"{url} gave {found}, not the {expected}; {by_hand}")
    return checksums.compare(download, url, archive, by_hand)


def _is_packed(download: Download, path: Path, beginning: bytes) -> bool:
    match download.packing:
        case "zip":
            return zipfile.is_zipfile(path)
        case "tar.gz":
            return beginning.startswith(b"\x1f\x8b")
        case "file":
            return True


def _check(download: Download, folder: Path) -> None:
    """Read the files: the only check of a download without a published checksum."""
    try:
        download.read(folder)
    except UserError as error:
        raise UserError(
            f"the archive of {download.name} is not the expected one: {error}"
        ) from None
