"""Downloads from a server on this machine: what arrives whole, and what each failure says."""

import hashlib
import io
import socket
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from rnnexp.data import fetch as fetching
from rnnexp.data.fetch import SOURCES, fetch
from rnnexp.data.folders import cache_folder, data_folder
from rnnexp.data.power_load import read_power_load
from rnnexp.errors import UserError

Serve = Callable[..., str]


def archive(members: dict[str, str]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return packed.getvalue()


TWO_HOURS = "Datetime,MW\n2004-12-31 01:00:00,5.0\n2004-12-31 02:00:00,6.0\n"
MEMBERS = dict.fromkeys(SOURCES["power_load"].members, TWO_HOURS)
GOOD = archive(
    {
        "est_hourly.paruqet": "not asked for",
        "../escape.txt": "nor this",
        "../FE_hourly.csv": TWO_HOURS,
    }
    | {f"nested/{name}": content for name, content in MEMBERS.items() if name != "FE_hourly.csv"}
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
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
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
        source = replace(SOURCES["power_load"], sha256=sha256)
        monkeypatch.setitem(fetching.SOURCES, "power_load", source)

    publish("0" * 64)
    with pytest.raises(UserError, match=f"SHA-256 {hashlib.sha256(GOOD).hexdigest()}.*{'0' * 64}"):
        fetch("power_load", str(tmp_path / "load"), url=serve(GOOD))
    assert list(tmp_path.iterdir()) == []
    publish(hashlib.sha256(GOOD).hexdigest())
    fetch("power_load", str(tmp_path / "load"), url=serve(GOOD))


LOGIN = b"<!DOCTYPE html>\n<HTML><title>Sign in</title></HTML>"
FEWER = archive(dict(list(MEMBERS.items())[:-1]))
WRONG = archive(MEMBERS | {"FE_hourly.csv": "Datetime,MW\n2004-12-31,five\n"})
DAMAGED = GOOD[:200] + bytes(byte ^ 255 for byte in GOOD[200:260]) + GOOD[260:]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((b"", 404), "answers with HTTP status 404; by hand: open https://www.kaggle.com"),
        ((b"", 403), "wants a login; by hand: open https://www.kaggle.com"),
        ((LOGIN,), "a web page, most likely a login.*by hand: open https://www.kaggle.com"),
        ((GOOD[:1000],), "something else or a part of it and not the zip archive; by hand"),
        ((GOOD[:1000], 200, len(GOOD)), "cannot be downloaded.*network.*by hand"),
        ((FEWER,), r"no file PJM_Load_hourly\.csv"),
        (
            (WRONG,),
            r"the archive of power_load is not what it should be: .*FE_hourly\.csv, line 2: 'five'",
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
        with pytest.raises(UserError, match=r"ConnectionError.*is a network.*by hand: open .*load"):
            fetch("power_load", str(tmp_path / "load"), url=f"http://127.0.0.1:{port}/a.zip")
    assert list(tmp_path.iterdir()) == []


def test_an_address_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="somewhere cannot be downloaded"):
        fetch("power_load", str(tmp_path / "load"), url="somewhere")


def test_files_that_lie_there_already_are_not_touched(tmp_path: Path) -> None:
    (tmp_path / "AEP_hourly.csv").write_text("mine")
    with pytest.raises(UserError, match="move it away"):
        fetch("power_load", str(tmp_path), url="http://127.0.0.1:9/")
    assert (tmp_path / "AEP_hourly.csv").read_text() == "mine"


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        fetch("power_load", str(tmp_path / "file" / "load"))


def test_an_unknown_source() -> None:
    with pytest.raises(UserError, match=r"no source 'powerload'; did you mean power_load\?"):
        fetch("powerload")


# --- where data lie -----------------------------------------------------------------------------


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
