"""The checksums of downloads: those that are published, and those that were seen before.

checksums.json in the cache folder holds, by data set and URL, the SHA-256 of the first download
whose publisher gives no checksum, and when that was.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rnnexp.data.fetching.downloads import Download
from rnnexp.data.folders import cache_folder
from rnnexp.errors import UserError
from rnnexp.files import write_json
from rnnexp.printing import complain, say

KINDS = {"sha256": "SHA-256", "md5": "MD5"}


def compare(download: Download, url: str, path: Path, by_hand: str) -> str:
    """Compare the checksum of a file with the published one, or else with that of the first
    download from this URL. Print and return it.

    Raises:
        UserError: they differ, or checksums.json is damaged.
    """
    algorithm, _, published = (download.checksum or "sha256:").partition(":")
    with path.open("rb") as file:
        found = hashlib.file_digest(file, algorithm).hexdigest()
    kind, known = KINDS[algorithm], "as expected"
    if published:
        if found != published:
            raise UserError(
                f"{url} gave a file with {kind} {found}, expected {published}: try again, or "
                f"{by_hand}"
            )
    elif first := _seen().get(download.name, {}).get(url):
        if found != first["sha256"]:
            raise UserError(
                f"{url} gave a file with {kind} {found}, and on {first['seen']} one with "
                f"{first['sha256']}: the publisher has changed it, or it has been tampered with; "
                f"to take the new one, remove the entry of {download.name} from {_place()} and "
                "fetch again"
            )
        known = f"as on {first['seen']}"
    else:
        known = "not checked: none is published, and this is the first download"
    say(f"{download.name}: {kind} {found} ({known})")
    return found


def keep(download: Download, url: str, sha256: str) -> None:
    """Note the checksum of a first download, if none is published. A folder that cannot be written
    is no failure: the data have arrived."""
    if download.checksum is not None:
        return
    seen = _seen()
    day = datetime.now(UTC).strftime("%Y-%m-%d")
    seen.setdefault(download.name, {}).setdefault(url, {"sha256": sha256, "seen": day})
    try:
        _place().parent.mkdir(parents=True, exist_ok=True)
        write_json(_place(), seen)
    except OSError as error:
        complain(
            f"the checksum cannot be kept in {_place()} ({error.strerror}): a later download will "
            "not be compared with this one"
        )


def _place() -> Path:
    return cache_folder() / "checksums.json"


def _seen() -> dict[str, Any]:
    """The content of checksums.json; empty if there is none."""
    place = _place()
    try:
        content = json.loads(place.read_text(encoding="utf-8"))
        for sums in content.values():
            for first in sums.values():
                _ = first["sha256"] + first["seen"]
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise UserError(f"{place} cannot be read ({error.strerror})") from error
    except (ValueError, AttributeError, KeyError, TypeError, RecursionError) as error:
        raise UserError(f"{place} is damaged: delete it, and fetch again") from error
    return content
