"""Downloads from a local server: complete data sets, and the message of each failure."""

import gzip
import hashlib
import io
import os
import socket
import stat
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from rnnexp.data.fetching.downloads import DOWNLOADS
from rnnexp.data.fetching.fetch import fetch, where
from rnnexp.data.folders import cache_folder, data_folder
from rnnexp.data.sources.ett import read_ett
from rnnexp.data.sources.gefcom2014 import read_gefcom2014
from rnnexp.data.sources.power_load import read_power_load
from rnnexp.data.text.name_files import read_names
from rnnexp.data.text.review_files import categories, read_first
from rnnexp.data.vectors.files import read_vectors
from rnnexp.errors import UserError
from tests.support.public_series import write_ett, write_gefcom2014

Serve = Callable[..., str]


def archive(members: dict[str, str]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return packed.getvalue()


TWO_HOURS = "Datetime,MW\n2004-12-31 01:00:00,5.0\n2004-12-31 02:00:00,6.0\n"
MEMBERS = dict.fromkeys(DOWNLOADS["power_load"].members, TWO_HOURS)
GOOD = archive(
    {
        "est_hourly.paruqet": "not asked for",
        "../escape.txt": "nor this",
    }
    | {f"nested/{name}": content for name, content in MEMBERS.items()}
)


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serves one answer to whatever is asked for; gives the address."""
    servers = []

    def start(content: bytes, status: int = 200, announced: int | None = None) -> str:
        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(announced or len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}/archive.zip"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(autouse=True)
def _no_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.setenv("RNNEXP_CACHE", str(tmp_path_factory.mktemp("cache")))
    for name in ("RNNEXP_DATA", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


def test_what_arrives_is_whole_and_nothing_else_is_taken(
    serve: Serve, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = fetch("power_load", str(tmp_path / "data" / "load"), url=serve(GOOD))
    assert folder == tmp_path / "data" / "load"
    assert len(read_power_load(folder)) == 12
    assert {path.name for path in folder.iterdir()} == set(MEMBERS)
    assert [path.name for path in folder.parent.iterdir()] == ["load"]
    assert not (tmp_path / "escape.txt").exists()
    assert hashlib.sha256(GOOD).hexdigest() in capsys.readouterr().out


def test_what_is_there_is_not_fetched_again(serve: Serve, tmp_path: Path) -> None:
    root = str(tmp_path)
    assert fetch("power_load", root, url=serve(GOOD)) == tmp_path  # an empty folder is filled
    assert fetch("power_load", root, url=serve(b"", 500)) == tmp_path


def test_the_checksum_is_compared_where_there_is_one(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def publish(sha256: str) -> None:
        source = replace(DOWNLOADS["power_load"], checksum=f"sha256:{sha256}")
        monkeypatch.setitem(DOWNLOADS, "power_load", source)

    publish("0" * 64)
    with pytest.raises(UserError, match=f"SHA-256 {hashlib.sha256(GOOD).hexdigest()}.*{'0' * 64}"):
        fetch("power_load", str(tmp_path / "load"), url=serve(GOOD))
    assert list(tmp_path.iterdir()) == []
    publish(hashlib.sha256(GOOD).hexdigest())
    fetch("power_load", str(tmp_path / "load"), url=serve(GOOD))


def test_a_checksum_of_another_kind(serve: Serve, tmp_path: Path) -> None:
    right = DOWNLOADS["word2vec"].checksum
    assert right is not None and right.startswith("md5:")
    found = hashlib.md5(b"something").hexdigest()
    with pytest.raises(UserError, match=f"MD5 {found}, expected {right[4:]}: try again"):
        fetch("word2vec", str(tmp_path / "embeddings"), url=serve(b"something"))
    assert list(tmp_path.iterdir()) == []


LOGIN = b"<!DOCTYPE html>\n<HTML><title>Sign in</title></HTML>"
FEWER = archive(dict(list(MEMBERS.items())[:-1]))
WRONG = archive(MEMBERS | {"FE_hourly.csv": "Datetime,MW\n2004-12-31,five\n"})
DAMAGED = GOOD[:200] + bytes(byte ^ 255 for byte in GOOD[200:260]) + GOOD[260:]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((b"", 404), "answers with HTTP status 404; by hand: open https://www.kaggle.com"),
        ((b"", 403), "requires a login; by hand: open https://www.kaggle.com"),
        ((LOGIN,), "a web page, most likely a login.*by hand: open https://www.kaggle.com"),
        ((GOOD[:1000],), "an incomplete or different file, not the zip archive; by hand"),
        ((GOOD[:1000], 200, len(GOOD)), "cannot be downloaded.*network.*by hand"),
        ((FEWER,), r"no file PJM_Load_hourly\.csv"),
        (
            (WRONG,),
            r"the archive of power_load is not the expected one: .*FE_hourly\.csv, line 2: 'five'",
        ),
        ((DAMAGED,), "the archive of power_load is damaged"),
    ],
    ids=["404", "403", "login", "part", "broken off", "fewer files", "wrong file", "damaged"],
)
def test_a_failure_is_one_sentence_and_leaves_nothing_behind(
    serve: Serve, tmp_path: Path, answer: tuple, message: str
) -> None:
    with pytest.raises(UserError, match=message) as error:
        fetch("power_load", str(tmp_path / "load"), url=serve(*answer))
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_no_network(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]  # bound and not listening: connections are refused
        with pytest.raises(
            UserError, match=r"ConnectionError.*the network connection.*by hand: open .*load"
        ):
            fetch("power_load", str(tmp_path / "load"), url=f"http://127.0.0.1:{port}/a.zip")
    assert list(tmp_path.iterdir()) == []


def test_an_address_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="somewhere cannot be downloaded"):
        fetch("power_load", str(tmp_path / "load"), url="somewhere")


def test_files_that_lie_there_already_are_not_touched(tmp_path: Path) -> None:
    (tmp_path / "AEP_hourly.csv").write_text("mine")
    with pytest.raises(UserError, match="move the folder away"):
        fetch("power_load", str(tmp_path), url="http://127.0.0.1:9/")
    assert (tmp_path / "AEP_hourly.csv").read_text() == "mine"


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        fetch("power_load", str(tmp_path / "file" / "load"))


def test_an_unknown_source() -> None:
    with pytest.raises(UserError, match=r"no data set 'powerload'; did you mean power_load\?"):
        fetch("powerload")


# --- malicious zip archives ---------------------------------------------------------------------


def zip_entry(name: str, mode: int = 0, content: str = TWO_HOURS) -> bytes:
    """The expected files, and before them one more entry, which may bear the name of one."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        entry = zipfile.ZipInfo(name)
        entry.external_attr = mode << 16
        file.writestr(entry, content)
        for other in MEMBERS.keys() - {name}:
            file.writestr(other, TWO_HOURS)
    return packed.getvalue()


@pytest.mark.parametrize(
    ("name", "mode", "message"),
    [
        ("../FE_hourly.csv", 0, r"'\.\./FE_hourly\.csv' that is not a regular file"),
        ("/etc/FE_hourly.csv", 0, "'/etc/FE_hourly.csv' that is not a regular file"),
        ("C:/FE_hourly.csv", 0, "'C:/FE_hourly.csv' that is not a regular file"),
        ("FE_hourly.csv", stat.S_IFLNK | 0o777, "'FE_hourly.csv' that is not a regular file"),
        ("FE_hourly.csv/", 0, "'FE_hourly.csv/' that is not a regular file"),
        ("again/FE_hourly.csv", stat.S_IFREG | 0o644, r"FE_hourly\.csv twice"),
    ],
    ids=["parent", "absolute", "drive", "link", "folder", "twice"],
)
def test_an_entry_that_only_bears_an_expected_name(
    serve: Serve, tmp_path: Path, name: str, mode: int, message: str
) -> None:
    with pytest.raises(UserError, match=f"the archive of power_load has .*{message}"):
        fetch("power_load", str(tmp_path / "load"), url=serve(zip_entry(name, mode)))
    assert list(tmp_path.iterdir()) == []


def limit(monkeypatch: pytest.MonkeyPatch, name: str, largest: int) -> None:
    monkeypatch.setitem(DOWNLOADS, name, replace(DOWNLOADS[name], largest=largest))


def test_a_zip_bomb(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit(monkeypatch, "power_load", 10**6)
    bomb = archive(MEMBERS | {"FE_hourly.csv": "0" * 10**7})
    with pytest.raises(UserError, match="power_load unpacks to more than 1,000,000 bytes"):
        fetch("power_load", str(tmp_path / "load"), url=serve(bomb))
    assert list(tmp_path.iterdir()) == []
    limit(monkeypatch, "power_load", len(GOOD))  # as large as the download itself
    fetch("power_load", str(tmp_path / "load"), url=serve(GOOD))


# --- names --------------------------------------------------------------------------------------

FILES = dict.fromkeys(DOWNLOADS["names"].members, "Kos\nNovák\n")
TUTORIAL = {f"data/names/{name}": names for name, names in FILES.items()} | {
    "data/eng-fra.txt": "Go.\tVa !\n",
    "__MACOSX/data/names/._Czech.txt": "nothing",
}


def test_names_of_the_tutorial_s_archive(serve: Serve, tmp_path: Path) -> None:
    folder = fetch("names", str(tmp_path / "names"), url=serve(archive(TUTORIAL)))
    assert {path.name for path in folder.iterdir()} == set(FILES)
    assert len(FILES) == 18
    assert [one.text for one in read_names(folder)["Czech"]] == ["Kos", "Novák"]
    assert where("names", str(folder)) == folder


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"data/names/Czech.txt": ""},
            r"not the expected one: .*Czech\.txt: the file has no name",
        ),
        ({"other/Czech.txt": "Kos\n"}, r"has Czech\.txt twice"),
    ],
)
def test_names_that_are_not_whole(
    serve: Serve, tmp_path: Path, change: dict[str, str], message: str
) -> None:
    with pytest.raises(UserError, match=f"the archive of names .*{message}"):
        fetch("names", str(tmp_path / "names"), url=serve(archive(TUTORIAL | change)))
    fewer = {path: names for path, names in TUTORIAL.items() if "Irish" not in path}
    with pytest.raises(UserError, match=r"the archive of names has no file Irish\.txt"):
        fetch("names", str(tmp_path / "names"), url=serve(archive(fewer)))
    assert list(tmp_path.iterdir()) == []


# --- tar archives -------------------------------------------------------------------------------

REVIEW = b"<review>\n<review_text>\nIt broke.\n</review_text>\n</review>\n"
KINDS = ("negative", "positive")
BOOKS = [f"sorted_data/books/{kind}.review" for kind in KINDS]


def tar_entry(name: str, content: bytes = REVIEW, **header: object) -> bytes:
    """A header and its content, filled up to whole blocks."""
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    for key, value in header.items():
        setattr(entry, key, value)
    return entry.tobuf(tarfile.GNU_FORMAT) + content + bytes(-len(content) % 512)


def tar(*entries: bytes, end: bytes = bytes(1024)) -> bytes:
    return gzip.compress(b"".join(entries) + end)


TWO_BOOKS = [tar_entry(name) for name in BOOKS]


def test_reviews_keep_the_folders_of_their_categories(serve: Serve, tmp_path: Path) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", format=tarfile.PAX_FORMAT) as file:
        for category in ("books", "kitchen_&_housewares"):
            directory = tarfile.TarInfo(f"sorted_data/{category}")
            directory.type = tarfile.DIRTYPE
            file.addfile(directory)
            for name in ("positive", "negative", "unlabeled", "all"):
                entry = tarfile.TarInfo(f"./sorted_data/{category}/{name}.review")
                entry.size, entry.mtime = len(REVIEW), 0.5  # a fraction needs an extension
                file.addfile(entry, io.BytesIO(REVIEW))
        long = tarfile.TarInfo("sorted_data/" + "x" * 300)
        file.addfile(long)
    folder = fetch("reviews", str(tmp_path / "reviews"), url=serve(packed.getvalue()))
    assert sorted(path.name for path in folder.rglob("*.review")) == [
        "negative.review",
        "negative.review",
        "positive.review",
        "positive.review",
    ]
    root = folder / "sorted_data"
    assert categories(root) == ["books", "kitchen_&_housewares"]
    assert read_first(root, "kitchen_&_housewares", None)["negative"][0].text == "It broke."
    assert [path.name for path in tmp_path.iterdir()] == ["reviews"]
    assert where("reviews", str(folder)) == folder
    fetch("reviews", str(folder), url=serve(b"", 500))  # downloads nothing


def test_reviews_placed_by_hand_are_not_touched(tmp_path: Path) -> None:
    (tmp_path / "sorted_data_acl").mkdir()
    assert where("reviews", str(tmp_path)) is None
    with pytest.raises(UserError, match="is not empty and lacks files of reviews"):
        fetch("reviews", str(tmp_path), url="http://127.0.0.1:9/")


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (tar_entry(f"../{BOOKS[0]}"), "not a regular file"),
        (tar_entry("sorted_data/../negative.review"), "not a regular file"),
        (tar_entry(f"/tmp/{BOOKS[0]}"), "not a regular file"),
        (
            tar_entry(BOOKS[0], b"", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
            "not a regular file",
        ),
        (tar_entry(BOOKS[0], b"", type=tarfile.LNKTYPE, linkname="../out"), "not a regular file"),
        (tar_entry(BOOKS[0], b"", type=tarfile.CHRTYPE, devmajor=1), "not a regular file"),
        (tar_entry(BOOKS[0], b"", type=tarfile.FIFOTYPE), "not a regular file"),
        (tar_entry(BOOKS[0], b"", type=tarfile.DIRTYPE), "not a regular file"),
        (tar_entry(BOOKS[0], b"", type=tarfile.GNUTYPE_SPARSE), "not a regular file"),
        (tar_entry(f"again/{BOOKS[0]}") * 2, r"has negative\.review twice"),
        (tar_entry("x", b"", size=-512), "damaged .*negative size"),
        (tar_entry(BOOKS[0], b"", size=2**40), "damaged .*ends too early"),
        (tar_entry("x", b"", size=2**40, type=tarfile.XHDTYPE), "damaged .*ends too early"),
        (tar_entry("x", b"", size=2**40, type=tarfile.GNUTYPE_LONGNAME), "damaged .*too early"),
        (tar_entry("x", b"1 y=z", type=tarfile.XHDTYPE)[:-1], "damaged"),
        (b"\1" * 512, "damaged .*header"),
    ],
    ids=[
        "parent",
        "parent as a category",
        "absolute",
        "symbolic link",
        "hard link",
        "device",
        "pipe",
        "folder",
        "sparse",
        "twice",
        "negative size",
        "cut",
        "bomb in an extension",
        "bomb in a name",
        "shifted",
        "no header",
    ],
)
def test_a_hostile_tar(serve: Serve, tmp_path: Path, entry: bytes, message: str) -> None:
    with pytest.raises(UserError, match=f"the archive of reviews .*{message}") as error:
        fetch("reviews", str(tmp_path / "reviews"), url=serve(tar(entry, *TWO_BOOKS)))
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_no_link_of_a_tar_is_ever_followed(serve: Serve, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    links = [
        tar_entry("sorted_data", b"", type=tarfile.SYMTYPE, linkname=str(outside)),
        tar_entry("sorted_data/books", b"", type=tarfile.SYMTYPE, linkname=str(outside)),
        tar_entry("a" * 100, b"", type=tarfile.SYMTYPE, linkname="a/" * 50),
    ]
    folder = fetch("reviews", str(tmp_path / "reviews"), url=serve(tar(*links, *TWO_BOOKS)))
    assert list(outside.iterdir()) == []
    assert not any(path.is_symlink() for path in folder.rglob("*"))
    assert (folder / BOOKS[0]).read_bytes() == REVIEW


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (tar(*TWO_BOOKS)[:-30], "damaged"),
        (tar(*TWO_BOOKS)[:-6] + b"wrong!", "damaged .*CRC"),
        (tar(*TWO_BOOKS, end=b""), "damaged"),
        (tar(TWO_BOOKS[0]), r"has no file sorted_data/\*/positive\.review"),
        (tar(tar_entry(BOOKS[0], b"hello"), TWO_BOOKS[1]), "not the expected one: .*line 1"),
        (archive({"sorted_data/books/positive.review": ""}), "not the tar.gz archive; by hand"),
    ],
    ids=["cut", "checksum", "no end", "one kind", "no reviews", "zip"],
)
def test_a_tar_that_is_not_whole(
    serve: Serve, tmp_path: Path, content: bytes, message: str
) -> None:
    with pytest.raises(UserError, match=message) as error:
        fetch("reviews", str(tmp_path / "reviews"), url=serve(content))
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("where_it_is", ["taken", "passed over", "after the end"])
def test_a_gzip_bomb(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where_it_is: str
) -> None:
    limit(monkeypatch, "reviews", 10**6)
    zeros = bytes(10**7)
    bomb = {
        "taken": tar(tar_entry(BOOKS[0], zeros), TWO_BOOKS[1]),
        "passed over": tar(*TWO_BOOKS, tar_entry("other", zeros)),
        "after the end": tar(*TWO_BOOKS, end=zeros),
    }
    with pytest.raises(UserError, match="reviews unpacks to more than 1,000,000 bytes"):
        fetch("reviews", str(tmp_path / "reviews"), url=serve(bomb[where_it_is]))
    assert list(tmp_path.iterdir()) == []


# --- several sources in one folder --------------------------------------------------------------

GLOVE = "the " + "0.5 " * 99 + "0.5\n"
WORD2VEC = gzip.compress(b"1 300\nthe " + bytes(4 * 300))


@pytest.fixture
def _no_checksums(monkeypatch: pytest.MonkeyPatch) -> None:
    """The archives of these tests are not those of the publishers."""
    for name in ("glove", "word2vec"):
        monkeypatch.setitem(DOWNLOADS, name, replace(DOWNLOADS[name], checksum=None))


@pytest.mark.usefixtures("_no_checksums")
def test_word_vectors_share_a_folder(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RNNEXP_DATA", str(tmp_path))
    folder = tmp_path / "embeddings"
    folder.mkdir()
    (folder / "mine.txt").write_text("mine")
    assert where("glove") is None
    zipped = archive({"glove.6B.50d.txt": "", "glove.6B.100d.txt": GLOVE})
    assert fetch("glove", url=serve(zipped)) == where("glove") == folder
    assert where("word2vec") is None
    assert fetch("word2vec", url=serve(WORD2VEC)) == where("word2vec") == folder
    assert sorted(path.name for path in folder.iterdir()) == [
        "GoogleNews-vectors-negative300.bin.gz",
        "glove.6B.100d.txt",
        "mine.txt",
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["embeddings"]
    vectors, known, _ = read_vectors(folder / "glove.6B.100d.txt", ["the"], 100)
    assert known.all() and (vectors == 0.5).all()
    fetch("glove", url=serve(b"", 500))  # not again


@pytest.mark.usefixtures("_no_checksums")
@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "glove",
            archive({"glove.6B.100d.txt": GLOVE[:-5]}),
            "archive of glove is not the expected one: .* incomplete",
        ),
        (
            "glove",
            archive({"glove.6B.100d.txt": "the 0.5\n"}),
            "not the expected one: .*has dimension 1",
        ),
        ("glove", archive({"glove.6B.50d.txt": ""}), r"has no file glove\.6B\.100d\.txt"),
        ("word2vec", WORD2VEC[:-10], "not the expected one: .*damaged"),
        ("word2vec", LOGIN, "a web page, most likely a login, not the file; by hand: open"),
    ],
    ids=["torn", "dimension", "another size", "cut", "login"],
)
def test_what_lies_in_a_shared_folder_survives_a_failure(
    serve: Serve, tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    folder = tmp_path / "embeddings"
    with pytest.raises(UserError, match=message):
        fetch(name, str(folder), url=serve(content))
    assert list(tmp_path.iterdir()) == []
    folder.mkdir()
    (folder / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match=message):
        fetch(name, str(folder), url=serve(content))
    assert [path.name for path in tmp_path.rglob("*")] == ["embeddings", "mine.txt"]


@pytest.mark.usefixtures("_no_checksums")
def test_a_shared_folder_may_be_a_link(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "large_disk").mkdir()
    os.symlink(tmp_path / "large_disk", tmp_path / "embeddings")
    fetch("word2vec", str(tmp_path / "embeddings"), url=serve(WORD2VEC))
    assert len(list((tmp_path / "large_disk").iterdir())) == 1
    assert (tmp_path / "embeddings").is_symlink()


# --- public series ------------------------------------------------------------------------------


def test_gefcom2014_is_one_file(serve: Serve, tmp_path: Path) -> None:
    content = write_gefcom2014(tmp_path / "theirs").read_bytes()
    folder = fetch("gefcom2014", str(tmp_path / "gefcom2014"), url=serve(content))
    assert [path.name for path in folder.iterdir()] == ["GEFCom2014-E.csv"]
    assert (folder / "GEFCom2014-E.csv").read_bytes() == content
    assert len(read_gefcom2014([folder])) == 1
    with pytest.raises(UserError, match=r"gefcom2014 is not the expected one: .*column 'Date'"):
        fetch("gefcom2014", str(tmp_path / "other"), url=serve(TWO_HOURS.encode()))
    assert not (tmp_path / "other").exists()


def test_ett_of_the_archive_that_github_packs(serve: Serve, tmp_path: Path) -> None:
    """With the comment that `git archive` writes first, and the files of 15 minutes."""
    write_ett(tmp_path / "theirs", hours=5)
    packed = io.BytesIO()
    with tarfile.open(
        fileobj=packed, mode="w:gz", format=tarfile.PAX_FORMAT, pax_headers={"comment": "1d16c8f4"}
    ) as file:
        for name in ("ETTh1.csv", "ETTh2.csv"):
            file.add(tmp_path / "theirs" / name, f"ETDataset-1d16c8f4/ETT-small/{name}")
            minutes = name.replace("h", "m")
            file.add(tmp_path / "theirs" / name, f"ETDataset-1d16c8f4/ETT-small/{minutes}")
    folder = fetch("ett", str(tmp_path / "ett"), url=serve(packed.getvalue()))
    assert sorted(path.name for path in folder.iterdir()) == ["ETTh1.csv", "ETTh2.csv"]
    assert len(read_ett([folder])) == 14
    assert where("ett", str(folder)) == folder


# --- the folders of data ------------------------------------------------------------------------


def test_root_wins_over_the_environment_and_that_over_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("mine", "shared/power_load", "cache/power_load"):
        (tmp_path / folder).mkdir(parents=True)
    monkeypatch.setenv("RNNEXP_CACHE", str(tmp_path / "cache"))
    assert data_folder("power_load", None) == tmp_path / "cache" / "power_load"
    monkeypatch.setenv("RNNEXP_DATA", str(tmp_path / "shared"))
    assert data_folder("power_load", None) == tmp_path / "shared" / "power_load"
    assert data_folder("power_load", str(tmp_path / "mine")) == tmp_path / "mine"


def test_a_source_is_fetched_to_where_it_is_looked_for(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RNNEXP_DATA", str(tmp_path))
    with pytest.raises(UserError, match=r"`rnnexp data fetch power_load`.*data\.root.*RNNEXP_DATA"):
        data_folder("power_load", None)
    assert fetch("power_load", url=serve(GOOD)) == data_folder("power_load", None)


def test_a_root_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"data\.root=.*nowhere: there is no such folder"):
        data_folder("power_load", str(tmp_path / "nowhere"))


def test_the_cache_is_the_users_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RNNEXP_CACHE", raising=False)
    assert cache_folder().is_absolute()
    assert cache_folder().name == "rnnexp"
