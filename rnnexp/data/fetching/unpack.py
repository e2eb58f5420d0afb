"""What an archive holds: the expected files are taken, and nothing else in it is touched."""

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
BLOCK = 512  # bytes of a header in a tar archive; contents are filled up to a multiple
FILE_TYPES = (tarfile.REGTYPE, tarfile.AREGTYPE)
EMPTY_TYPES = (  # whose size says nothing
    tarfile.DIRTYPE,
    tarfile.LNKTYPE,
    tarfile.SYMTYPE,
    tarfile.CHRTYPE,
    tarfile.BLKTYPE,
    tarfile.FIFOTYPE,
)


class _Entry(NamedTuple):
    """One entry of an archive. Its content is read where it is asked for, and once."""

    name: str
    is_file: bool  # and no folder, link or device
    content: Iterator[bytes]


class _Meter:
    """Reads, and stops at the most that an archive may unpack to."""

    def __init__(self, download: Download) -> None:
        self.download, self.left = download, download.largest

    def read(self, file: IO[bytes], size: int) -> bytes:
        chunk = file.read(size)
        self.left -= len(chunk)
        if self.left < 0:
            raise UserError(
                f"the archive of {self.download.name} unpacks to more than "
                f"{self.download.largest:,} bytes, which is not what it should be"
            )
        return chunk


def unpack(download: Download, archive: Path, folder: Path) -> None:
    """Take the expected files, by name, wherever in the archive they lie."""
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
        why = str(error) or "a part of it is missing"
        raise UserError(f"the archive of {download.name} is damaged ({why}): try again") from error
    if absent := missing(download, folder):
        raise UserError(f"the archive of {download.name} has no file {absent[0]}")


def missing(download: Download, folder: Path) -> list[str]:
    return [
        member
        for member in download.members
        if not any(found.is_file() for found in folder.glob(member))
    ]


def _take(download: Download, entry: _Entry, folder: Path) -> None:
    """Write an entry if it is expected. Raises UserError where it only bears an expected name."""
    path = PurePosixPath(entry.name)
    for member in download.members:
        if not path.match(member):
            continue
        target = folder.joinpath(*path.parts[-len(PurePosixPath(member).parts) :])
        if not entry.is_file or not _is_plain(entry.name):
            raise UserError(
                f"the archive of {download.name} has an entry {entry.name!r} that is no plain file"
            )
        if target.exists():
            raise UserError(f"the archive of {download.name} has {target.name} twice ({path})")
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as file:
            file.writelines(entry.content)


def _is_plain(name: str) -> bool:
    """A path that leads nowhere but into its own folder, on any system."""
    path = PurePosixPath(name)
    odd = not name.isprintable() or "\\" in name or ":" in name
    return not (odd or path.is_absolute() or ".." in path.parts)


def _zip_entries(archive: Path, meter: _Meter) -> Iterator[_Entry]:
    with zipfile.ZipFile(archive) as packed:
        for entry in packed.infolist():
            kind = stat.S_IFMT(entry.external_attr >> 16)  # 0 where it was not packed on Unix
            is_file = not entry.is_dir() and kind in (0, stat.S_IFREG)
            yield _Entry(entry.filename, is_file, _zip_content(packed, entry, meter))


def _zip_content(packed: zipfile.ZipFile, entry: zipfile.ZipInfo, meter: _Meter) -> Iterator[bytes]:
    with packed.open(entry) as file:
        while chunk := meter.read(file, CHUNK):
            yield chunk


def _tar_entries(archive: Path, meter: _Meter) -> Iterator[_Entry]:
    """Header by header: `tarfile` itself follows what an archive says about other entries, and how
    safely depends on the version of Python. Extensions (long names, sparse files) are passed over.
    """
    with gzip.open(archive) as packed, io.BufferedReader(packed) as file:
        while (block := meter.read(file, BLOCK)) != bytes(BLOCK):
            header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
            if header.size < 0:
                raise tarfile.ReadError("an entry has a negative size")
            size = 0 if header.type in EMPTY_TYPES else header.size
            content = _tar_content(file, size, meter)
            yield _Entry(header.name, header.type in FILE_TYPES, content)
            for _ in content:  # what was not taken
                pass
            for _ in _tar_content(file, -size % BLOCK, meter):
                pass
        while meter.read(file, CHUNK):  # to the end, where its checksum is
            pass


def _tar_content(file: IO[bytes], size: int, meter: _Meter) -> Iterator[bytes]:
    while size:
        chunk = meter.read(file, min(size, CHUNK))
        if not chunk:
            raise EOFError("it ends too early")
        size -= len(chunk)
        yield chunk
