"""Receives a file over HTTP: within limits of bytes and of time, from http and https alone."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from rnnexp.errors import UserError

if TYPE_CHECKING:
    import requests

CHUNK = 2**16  # bytes received at once
LONGEST_SILENCE = 30  # seconds without a byte
LONGEST = 6 * 3600  # seconds from the request to the last byte
MOST_REDIRECTS = 10


def receive(url: str, path: Path, largest: int) -> None:
    """Write what a URL gives to a file, byte by byte as it is sent, with a progress bar.

    Nothing is decoded, so that a compressed file is never unpacked on its way.

    Raises:
        UserError: it is larger than `largest` bytes, takes longer than 6 hours, or leads to another
            protocol than http and https.
        requests.RequestException: the connection fails, or is silent for 30 seconds.
    """
    import requests

    started = time.monotonic()
    _check_protocol(url, url)
    with requests.Session() as session:
        session.headers["Accept-Encoding"] = "identity"
        session.hooks["response"].append(_check_redirect)
        session.max_redirects = MOST_REDIRECTS
        with (
            session.get(url, stream=True, timeout=LONGEST_SILENCE) as response,
            path.open("wb") as file,
        ):
            response.raise_for_status()
            announced = _length(response)
            received = 0
            for chunk in _shown(_arriving(response), announced):
                received += len(chunk)
                if max(received, announced or 0) > largest:
                    raise UserError(
                        f"{url} gives more than {largest:,} bytes, so it is not the expected file"
                    )
                if time.monotonic() - started > LONGEST:
                    raise UserError(
                        f"{url} gave {received:,} bytes in {LONGEST / 3600:g} hours, the longest "
                        "time that a download may take"
                    )
                file.write(chunk)
    if received != (announced or received):
        raise requests.ConnectionError(f"{received:,} of {announced:,} bytes arrived")


def _check_redirect(response: requests.Response, **_: object) -> None:
    """Check where an answer leads, and drop its body, which requests would read to its end."""
    import requests

    if not response.is_redirect:
        return
    try:
        target = urljoin(response.url, response.headers["Location"])
    except ValueError as error:
        raise requests.exceptions.InvalidURL(response.headers["Location"]) from error
    _check_protocol(target, response.url)
    response.close()
    response.raw = io.BytesIO()


def _check_protocol(url: str, asked: str) -> None:
    if not url.lower().startswith(("http://", "https://")):
        what = url if url == asked else f"{asked} leads to {url}, which"
        raise UserError(f"{what} cannot be downloaded: give a URL with http:// or https://")


def _length(response: requests.Response) -> int | None:
    """The number of bytes that the server announces, if it does."""
    length = response.headers.get("Content-Length", "")
    return int(length) if length.isdecimal() and len(length) < 20 else None


def _arriving(response: requests.Response) -> Iterator[bytes]:
    """What has arrived each time, at most `CHUNK`: to wait for a full chunk could take for ever."""
    import requests
    from urllib3.exceptions import HTTPError

    try:
        while chunk := response.raw.read1(CHUNK, decode_content=False):
            yield chunk
    except HTTPError as error:
        raise requests.ConnectionError(error) from error


def _shown(chunks: Iterator[bytes], announced: int | None) -> Iterator[bytes]:
    """The chunks, with a progress bar."""
    from tqdm import tqdm

    with tqdm(total=announced, unit="B", unit_scale=True, ncols=79) as bar:
        for chunk in chunks:
            bar.update(len(chunk))
            yield chunk
