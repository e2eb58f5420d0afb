"""Servers that never end, never begin, lie about the length or lead elsewhere; and a file that is
another one than last time."""

import gzip
import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from rnnexp.cli import main
from rnnexp.data.fetching import transfer
from rnnexp.data.fetching.downloads import DOWNLOADS
from rnnexp.data.fetching.fetch import fetch
from rnnexp.errors import UserError

Answer = Callable[[BaseHTTPRequestHandler], None]
Serve = Callable[[Answer], str]
Capture = pytest.CaptureFixture[str]
LARGEST = 10**6
WORD2VEC = gzip.compress(b"1 300\nthe " + bytes(4 * 300), mtime=0)


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serves whatever a function writes; gives the URL."""
    servers = []

    def start(answer: Answer) -> str:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self.close_connection = True
                try:
                    answer(self)
                except (BrokenPipeError, ConnectionResetError):
                    self.server.left = True  # type: ignore[attr-defined]

            def log_message(self, format: str, *args: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.block_on_close = False
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}/file.gz"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(autouse=True)
def _small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RNNEXP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("RNNEXP_DATA", str(tmp_path / "data"))
    small = replace(DOWNLOADS["word2vec"], checksum=None, largest=LARGEST)
    monkeypatch.setitem(DOWNLOADS, "word2vec", small)


def head(handler: BaseHTTPRequestHandler, **headers: str) -> None:
    handler.send_response(200)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()


def whole(content: bytes) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        head(handler, Content_Length=str(len(content)))
        handler.wfile.write(content)

    return answer


def endless(handler: BaseHTTPRequestHandler) -> None:
    head(handler)
    while True:
        handler.wfile.write(bytes(2**16))


def endless_chunks(handler: BaseHTTPRequestHandler) -> None:
    head(handler, Transfer_Encoding="chunked")
    while True:
        handler.wfile.write(b"10000\r\n" + bytes(2**16) + b"\r\n")


def announced(handler: BaseHTTPRequestHandler) -> None:
    head(handler, Content_Length=str(10**15))
    handler.wfile.write(b"x")
    time.sleep(5)


def drips(handler: BaseHTTPRequestHandler) -> None:
    head(handler, Content_Length="1000")
    for _ in range(1000):
        handler.wfile.write(b"x")
        time.sleep(0.05)


def silent(handler: BaseHTTPRequestHandler) -> None:
    head(handler, Content_Length="1000")
    time.sleep(5)


def lead(place: str) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(302)
        handler.send_header("Location", place)
        handler.end_headers()
        while True:  # the body of a redirect is never read
            handler.wfile.write(bytes(2**16))

    return answer


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (endless, "gives more than 1,000,000 bytes, so it is not the expected file; by hand: open"),
        (endless_chunks, "gives more than 1,000,000 bytes"),
        (announced, "gives more than 1,000,000 bytes"),
        (drips, "bytes in 0.0001 hours, the longest time that a download may take; by hand"),
        (silent, "cannot be downloaded .*check the network connection"),
        (lead("file:///etc/passwd"), "leads to file:///etc/passwd, which cannot be downloaded"),
        (lead("ftp://127.0.0.1/x"), "leads to ftp://127.0.0.1/x, which cannot be downloaded"),
        (lead("http://[::1"), "cannot be downloaded .InvalidURL"),
        (lead("/again"), "cannot be downloaded .TooManyRedirects"),
    ],
    ids=["endless", "chunks", "announced", "drips", "silent", "file", "ftp", "no URL", "circle"],
)
def test_a_hostile_server(
    answer: Answer,
    message: str,
    serve: Serve,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(transfer, "LONGEST_SILENCE", 0.4)
    monkeypatch.setattr(transfer, "LONGEST", 0.36)
    with pytest.raises(UserError, match=message) as refused:
        fetch("word2vec", url=serve(answer))
    assert "\n" not in str(refused.value)
    assert [path for path in tmp_path.rglob("*") if path.name != "data"] == []


def test_a_bomb_in_the_transfer_is_not_unpacked(serve: Serve, tmp_path: Path) -> None:
    """Kept as it was sent, like wget: a gzip file may be announced as gzip coding too."""

    def answer(handler: BaseHTTPRequestHandler, content: bytes = WORD2VEC) -> None:
        assert handler.headers["Accept-Encoding"] == "identity"
        head(handler, Content_Encoding="gzip", Content_Length=str(len(content)))
        handler.wfile.write(content)

    bomb = gzip.compress(bytes(10**7))
    with pytest.raises(UserError, match="not the expected one"):
        fetch("word2vec", url=serve(lambda handler: answer(handler, bomb)))
    fetch("word2vec", url=serve(answer))
    [kept] = (tmp_path / "data" / "embeddings").iterdir()
    assert kept.read_bytes() == WORD2VEC


def test_a_redirect_is_followed(serve: Serve, tmp_path: Path) -> None:
    fetch("word2vec", url=serve(lead(serve(whole(WORD2VEC)))))
    assert len(list((tmp_path / "data" / "embeddings").iterdir())) == 1


def test_what_comes_again_is_compared(serve: Serve, tmp_path: Path, capsys: Capture) -> None:
    sent = [WORD2VEC]
    url = serve(lambda handler: whole(sent[0])(handler))
    file = tmp_path / "data" / "embeddings" / DOWNLOADS["word2vec"].members[0]
    place = tmp_path / "cache" / "checksums.json"

    def fetched() -> tuple[int, str]:
        file.unlink(missing_ok=True)
        code = main(["data", "fetch", "word2vec", "--url", url])
        said = capsys.readouterr()
        return code, said.out + said.err.rpartition("\n")[0].rpartition("\n")[2]

    code, said = fetched()
    assert code == 0 and "none is published, and this is the first download" in said
    first, other = (hashlib.sha256(one).hexdigest() for one in (WORD2VEC, WORD2VEC + WORD2VEC))
    seen = json.loads(place.read_text())
    day = seen["word2vec"][url]["seen"]
    assert seen == {"word2vec": {url: {"sha256": first, "seen": day}}}
    code, said = fetched()
    assert code == 0 and f"as on {day}" in said

    sent[0] = WORD2VEC + WORD2VEC
    code, said = fetched()
    assert code == 2 and not file.exists() and json.loads(place.read_text()) == seen
    for part in (url, first, other, day, f"remove the entry of word2vec from {place}"):
        assert part in said
    place.write_text('{"word2vec": [1]}')
    code, said = fetched()
    assert code == 2 and f"{place} is damaged: delete it, and fetch again" in said


def test_a_cache_that_cannot_be_written(serve: Serve, tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "cache").touch()
    fetch("word2vec", url=serve(whole(WORD2VEC)))
    assert "the checksum cannot be kept in" in capsys.readouterr().err
