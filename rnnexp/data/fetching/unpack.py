"""Extracts the expected files of an archive, and ignores all other entries."""

from __future__ import annotations

import gzip
import io
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple

from rnnexp.data.fetching.downloads import Download
from rnnexp.errors import UserError

CHUNK = 2**20  # bytes read at once
BLOCK = 512  # bytes of a tar header; contents are padded to a multiple of this
FILE_TYPES = (tarfile.REGTYPE, tarfile.AREGTYPE)
EMPTY_TYPES = (  # entries without content, whatever size the header states
    tarfile.DIRTYPE,
    tarfile.LNKTYPE,
    tarfile.SYMTYPE,
    tarfile.CHRTYPE,
    tarfile.BLKTYPE,
    tarfile.FIFOTYPE,
)


class _Entry(NamedTuple):
    """One entry of an archive. Its content is read lazily, and only once."""

    name: str
    is_file: bool  # a regular file, not a folder, link or device
    content: Iterator[bytes]


class _Meter:
    """Reads an archive, and refuses to unpack more than `download.largest` bytes."""

    def __init__(self, download: Download) -> None:
        self.download, self.left = download, download.largest

    def read(self, file: IO[bytes], size: int) -> bytes:
        chunk = file.read(size)
        self.left -= len(chunk)
        if self.left < 0:
            raise UserError(
                f"the archive of {self.download.name} unpacks to more than "
                f"{self.download.largest:,} bytes, so it is not the expected one"
            )
        return chunk


def unpack(download: Download, archive: Path, folder: Path) -> None:
    """Extract the expected files into a folder, wherever they are in the archive.

    Raises:
        UserError: the archive is damaged, too large, or lacks an expected file; or an expected
            name occurs twice, or is not a regular file.
    """
    if download.packing == "file":
        archive.rename(folder / download.members[0])
        return
    entries = _zip_entries if download.packing == "zip" else _tar_entries
    try:
        for entry in entries(archive, _Meter(download)):
            _take(download, entry, folder)
    except (
        zipfile.BadZipFile,
        tarfile.TarError,
        gzip.BadGzipFile,
        zlib.error,
        EOFError,
        RuntimeError,
    ) as error:
        why = str(error) or "it is incomplete"
        raise UserError(f"the archive of {download.name} is damaged ({why}): try again") from error
    if absent := missing(download, folder):
        raise UserError(f"the archive of {download.name} has no file {absent[0]}")


def missing(download: Download, folder: Path) -> list[str]:
    """The patterns in `download.members` that no file of the folder matches."""
    return [
        member
        for member in download.members
        if not any(found.is_file() for found in folder.glob(member))
    ]


def _take(download: Download, entry: _Entry, folder: Path) -> None:
    """Write an entry if its name is expected. Raises UserError if it is not a regular file."""
    path = PurePosixPath(entry.name)
    for member in download.members:
        if not path.match(member):
            continue
        target = folder.joinpath(*path.parts[-len(PurePosixPath(member).parts) :])
        if not entry.is_file or not _is_plain(entry.name):
            raise UserError(
                f"the archive of {download.name} has an entry {entry.name!r} that is not a regular "
                "file"
            )
        if target.exists():
            raise UserError(f"the archive of {download.name} has {target.name} twice ({path})")
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as file:
            file.writelines(entry.content)


def _is_plain(name: str) -> bool:
    """Whether a path stays inside its folder, on any operating system."""
    path = PurePosixPath(name)
    odd = not name.isprintable() or "\\" in name or ":" in name
    return not (odd or path.is_absolute() or ".." in path.parts)


def _zip_entries(archive: Path, meter: _Meter) -> Iterator[_Entry]:
    with zipfile.ZipFile(archive) as packed:
        for entry in packed.infolist():
            kind = stat.S_IFMT(entry.external_attr >> 16)  # 0 if it was not packed on Unix
            is_file = not entry.is_dir() and kind in (0, stat.S_IFREG)
            yield _Entry(entry.filename, is_file, _zip_content(packed, entry, meter))


def _zip_content(packed: zipfile.ZipFile, entry: zipfile.ZipInfo, meter: _Meter) -> Iterator[bytes]:
    with packed.open(entry) as file:
        while chunk := meter.read(file, CHUNK):
            yield chunk


def _tar_entries(archive: Path, meter: _Meter) -> Iterator[_Entry]:
    """Read a tar archive header by header, without extensions (long names, sparse files).

    `tarfile` itself evaluates extensions and links, and its safety depends on the Python version.
    """
    with gzip.open(archive) as packed, io.BufferedReader(packed) as file:
        while (block := meter.read(file, BLOCK)) != bytes(BLOCK):
            header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
            if header.size < 0:
                raise tarfile.ReadError("an entry has a negative size")
            size = 0 if header.type in EMPTY_TYPES else header.size
            content = _tar_content(file, size, meter)
            yield _Entry(header.name, header.type in FILE_TYPES, content)
            for _ in content:  # skip what was not extracted
                pass
            for _ in _tar_content(file, -size % BLOCK, meter):
                pass
        while meter.read(file, CHUNK):  # gzip checks its checksum at the end
            pass


def _tar_content(file: IO[bytes], size: int, meter: _Meter) -> Iterator[bytes]:
    while size:
        chunk = meter.read(file, min(size, CHUNK))
        if not chunk:
            raise EOFError("the archive ends too early")
        size -= len(chunk)
        yield chunk
