"""How data get here: one mechanism for every source that is downloaded.

What is fetched appears in its folder (`rnnexp.data.folders`) whole or not at all.
"""

from __future__ import annotations

import gzip
import io
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import IO, Literal, NamedTuple

from rnnexp.data.folders import place_of
from rnnexp.data.sources.power_load import read_power_load
from rnnexp.data.text.name_files import read_names
from rnnexp.data.text.review_files import categories, read_first
from rnnexp.data.vectors.files import read_vectors
from rnnexp.errors import UserError
from rnnexp.nearest import did_you_mean

GIB = 2**30
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


@dataclass(frozen=True)
class Source:
    """A data set that is downloaded as one file.

    packing: what that file is; `file` for one that is kept as it is.
    members: what is taken from an archive: ends of paths in it, as patterns of as many parts as
        the file has in the source's folder (`*` is any one part); nothing else in it is touched.
        Of a single file, its name in the folder.
    largest: bytes that unpacking may give, with room to spare; more is no such archive.
    checksum: ALGORITHM:SUM of the download, where one is known, else None.
    read: reads the folder and raises UserError where it is not what it should be.
    by_hand: how to get the data where a program cannot, a sentence's end.
    folder: of several sources together, else None: one of its own, with the source's name.
    """

    name: str
    description: str
    licence: str
    home: str
    url: str
    checksum: str | None
    packing: Literal["zip", "tar.gz", "file"]
    members: tuple[str, ...]
    largest: int
    read: Callable[[Path], object]
    by_hand: str
    folder: str | None = None


def _read_reviews(folder: Path) -> None:
    """The first review of every file."""
    root = folder / "sorted_data"
    for category in categories(root):
        read_first(root, category, 1)


def _reads_vectors(name: str, dimension: int) -> Callable[[Path], object]:
    return lambda folder: read_vectors(folder / name, ["the"], dimension)


_LANGUAGES = (
    "Arabic Chinese Czech Dutch English French German Greek Irish Italian Japanese Korean Polish "
    "Portuguese Russian Scottish Spanish Vietnamese"
)
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
            checksum=None,  # Kaggle packs the archive on demand and gives no checksum
            packing="zip",
            members=tuple(f"{zone}_hourly.csv" for zone in _ZONES.split()),
            largest=GIB,
            read=read_power_load,
            by_hand="log in there with a browser, download the zip and unpack its "
            "NAME_hourly.csv files",
        ),
        Source(
            name="reviews",
            description="Multi-Domain Sentiment Dataset: product reviews, 25 categories (1.5 GB)",
            licence="none stated; cite Blitzer et al. 2007",
            home="https://www.cs.jhu.edu/~mdredze/datasets/sentiment/",
            url="https://www.cs.jhu.edu/~mdredze/datasets/sentiment/unprocessed.tar.gz",
            checksum=None,  # none is published
            packing="tar.gz",
            members=("sorted_data/*/negative.review", "sorted_data/*/positive.review"),
            largest=16 * GIB,
            read=_read_reviews,
            by_hand="download unprocessed.tar.gz or domain_sentiment_data.tar.gz and unpack it",
        ),
        Source(
            name="names",
            description="20,074 last names of 18 languages (3 MB)",
            licence="none stated; from S. Robertson's tutorial on character RNNs",
            home="https://docs.pytorch.org/tutorials/intermediate/"
            "char_rnn_classification_tutorial.html",
            url="https://download.pytorch.org/tutorial/data.zip",
            checksum=None,  # none is published
            packing="zip",
            members=tuple(f"{language}.txt" for language in _LANGUAGES.split()),
            largest=GIB,
            read=read_names,
            by_hand="download data.zip, which is linked there, and unpack the Language.txt files "
            "of its folder names",
        ),
        Source(
            name="glove",
            description="GloVe word vectors, 400,000 words, 100 numbers each (0.9 GB)",
            licence="PDDL",
            home="https://nlp.stanford.edu/projects/glove/",
            url="https://nlp.stanford.edu/data/glove.6B.zip",
            checksum="sha256:617afb2fe6cbd085c235baf7a465b96f4112bd7f7ccb2b2cbd649fed9cbcf2fb",
            packing="zip",
            members=("glove.6B.100d.txt",),
            largest=GIB,
            read=_reads_vectors("glove.6B.100d.txt", 100),
            by_hand="download glove.6B.zip and unpack its glove.6B.100d.txt",
            folder="embeddings",
        ),
        Source(
            name="word2vec",
            description="word2vec vectors, 3 million words of news, 300 numbers each (1.7 GB)",
            licence="Apache 2.0",
            home="https://code.google.com/archive/p/word2vec/",
            url="https://github.com/RaRe-Technologies/gensim-data/releases/download/"
            "word2vec-google-news-300/word2vec-google-news-300.gz",
            checksum="md5:a5e5354d40acb95f9ec66d5977d140ef",
            packing="file",
            members=("GoogleNews-vectors-negative300.bin.gz",),
            largest=4 * GIB,
            read=_reads_vectors("GoogleNews-vectors-negative300.bin.gz", 300),
            by_hand="put GoogleNews-vectors-negative300.bin.gz, which is linked there,",
            folder="embeddings",
        ),
    )
}


# --- how they get there -------------------------------------------------------------------------


def fetch(name: str, root: str | None = None, *, url: str | None = None) -> Path:
    """Download a source into its folder, by default where `data_folder` looks for it.

    A folder that has every file already is left as it is. url: another place to load from.

    Raises:
        UserError: the source is unknown, cannot be had, is not what it should be, or its folder
            cannot be written. Nothing is left behind.
    """
    if name not in SOURCES:
        raise UserError(f"there is no source {name!r}{did_you_mean(name, SOURCES)}")
    if (here := where(name, root)) is not None:
        return here
    source = SOURCES[name]
    folder = place_of(source.folder or name, root)
    try:
        if source.folder is None and folder.exists() and any(folder.iterdir()):
            raise UserError(
                f"{folder} has other files in it and not all of {name}: move it away, and fetch "
                "again"
            )
        folder.parent.mkdir(parents=True, exist_ok=True)
        # Beside the folder itself, also where a link leads to it: a move is whole on one disk only.
        with TemporaryDirectory(prefix=f".{name}-", dir=folder.resolve().parent) as temporary:
            archive = _download(source, url or source.url, Path(temporary), folder)
            unpacked = Path(temporary) / "unpacked"
            unpacked.mkdir()
            _unpack(source, archive, unpacked)
            _check(source, unpacked)
            _move(source, unpacked, folder)
    except OSError as error:
        raise UserError(f"{folder} cannot be written: {error.strerror or error}") from error
    return folder


def where(name: str, root: str | None = None) -> Path | None:
    """The folder of a source that has every file of it, else None."""
    source = SOURCES[name]
    folder = place_of(source.folder or name, root)
    return folder if not _missing(source, folder) else None


def _missing(source: Source, folder: Path) -> list[str]:
    return [
        member
        for member in source.members
        if not any(found.is_file() for found in folder.glob(member))
    ]


def _move(source: Source, unpacked: Path, folder: Path) -> None:
    """At once where the folder is the source's own, file by file where it has others in it."""
    if source.folder is None:
        if folder.exists():
            folder.rmdir()
        unpacked.rename(folder)
        return
    folder.mkdir(exist_ok=True)
    for file in unpacked.iterdir():
        file.replace(folder / file.name)


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

    with path.open("rb") as file:
        beginning = file.read(2000)
    is_page = b"<html" in beginning.lower()
    if is_page or not _is_packed(source, path, beginning):
        why = "a web page, most likely a login," if is_page else "something else or a part of it"
        expected = "file" if source.packing == "file" else f"{source.packing} archive"
        raise UserError(f"{url} gave {why} and not the {expected}; {by_hand}")
    _compare_checksum(source, url, path, by_hand)
    return path


def _is_packed(source: Source, path: Path, beginning: bytes) -> bool:
    match source.packing:
        case "zip":
            return zipfile.is_zipfile(path)
        case "tar.gz":
            return beginning.startswith(b"\x1f\x8b")
        case "file":
            return True


def _compare_checksum(source: Source, url: str, path: Path, by_hand: str) -> None:
    import pooch

    algorithm, _, right = (source.checksum or "sha256:").partition(":")
    found = pooch.file_hash(str(path), alg=algorithm)
    kind = {"sha256": "SHA-256", "md5": "MD5"}[algorithm]
    if right and found != right:
        raise UserError(
            f"{url} gave a file with {kind} {found} where {right} is right: try again, or {by_hand}"
        )
    print(f"{source.name}: {kind} {found} ({'as expected' if right else 'with none to compare'})")


def _check(source: Source, folder: Path) -> None:
    """Where no checksum can tell, that the files can be read does."""
    try:
        source.read(folder)
    except UserError as error:
        raise UserError(f"the archive of {source.name} is not what it should be: {error}") from None


# --- what an archive holds ----------------------------------------------------------------------


class _Entry(NamedTuple):
    """One entry of an archive. Its content is read where it is asked for, and once."""

    name: str
    is_file: bool  # and no folder, link or device
    content: Iterator[bytes]


class _Meter:
    """Reads, and stops at the most that an archive may unpack to."""

    def __init__(self, source: Source) -> None:
        self.source, self.left = source, source.largest

    def read(self, file: IO[bytes], size: int) -> bytes:
        chunk = file.read(size)
        self.left -= len(chunk)
        if self.left < 0:
            raise UserError(
                f"the archive of {self.source.name} unpacks to more than "
                f"{self.source.largest:,} bytes, which is not what it should be"
            )
        return chunk


def _unpack(source: Source, archive: Path, folder: Path) -> None:
    """Take the expected files, by name, wherever in the archive they lie."""
    if source.packing == "file":
        archive.rename(folder / source.members[0])
        return
    entries = _zip_entries if source.packing == "zip" else _tar_entries
    try:
        for entry in entries(archive, _Meter(source)):
            _take(source, entry, folder)
    except (
        zipfile.BadZipFile,
        tarfile.TarError,
        gzip.BadGzipFile,
        zlib.error,
        EOFError,
        RuntimeError,
    ) as error:
        why = str(error) or "a part of it is missing"
        raise UserError(f"the archive of {source.name} is damaged ({why}): try again") from error
    if missing := _missing(source, folder):
        raise UserError(f"the archive of {source.name} has no file {missing[0]}")


def _take(source: Source, entry: _Entry, folder: Path) -> None:
    """Write an entry if it is expected. Raises UserError where it only bears an expected name."""
    path = PurePosixPath(entry.name)
    for member in source.members:
        if not path.match(member):
            continue
        target = folder.joinpath(*path.parts[-len(PurePosixPath(member).parts) :])
        if not entry.is_file or not _is_plain(entry.name):
            raise UserError(
                f"the archive of {source.name} has an entry {entry.name!r} that is no plain file"
            )
        if target.exists():
            raise UserError(f"the archive of {source.name} has {target.name} twice ({path})")
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
