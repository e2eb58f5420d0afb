"""Builds a page from its template. Everything is inlined, and the page may load nothing."""

import base64
import functools
import hashlib
import math
import os
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from rnnexp import __version__
from rnnexp.errors import RunFailed, UserError
from rnnexp.files import open_regular, write_text
from rnnexp.printing import printable
from rnnexp.tables import number

HERE = Path(__file__).parent
NAME = "report.html"
MARK = '<meta name="generator" content="rnnexp '  # by which a page of ours is known
MARK_WITHIN = 1000  # characters from the beginning


def rendered(template: str, **content: Any) -> str:
    """The HTML of a page. All text of `content` is escaped.

    A page runs the script of page.js alone, by its hash, and reaches no network, by its content
    security policy: text that escaping had missed could neither act nor send anything.
    """
    css, script = (HERE / "page.css").read_text("utf-8"), (HERE / "page.js").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    return (
        _environment()
        .get_template(template)
        .render(
            **content,
            css=Markup(css),
            script=Markup(script),
            policy=policy,
            mark=Markup(f'{MARK}{__version__}">'),
            written=datetime.now().astimezone().strftime("%Y-%m-%d %H:%M"),
        )
    )


@functools.cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": value,
        "duration": duration,
        "clock": clock,
        "bytes": size,
    }
    return environment


def _shown(thing: Any) -> Any:
    """What acts on the direction of writing is spelt out."""
    return printable(thing) if isinstance(thing, str) and not isinstance(thing, Markup) else thing


def value(found: float | None) -> str:
    """A number of a table, of four digits, so that the digits of a column are alike; empty if there
    is none."""
    if found is None or math.isnan(found):
        return ""
    if not 1e-4 <= abs(found) < 1000:
        return number(found)
    return f"{found:#.4g}".rstrip(".")


def duration(seconds: float) -> str:
    """A time as one reads it: 0.8 s, 12 s, 3 min 5 s, 2 h 10 min."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, left = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {left} s"
    return f"{minutes // 60} h {minutes % 60} min"


def clock(text: object) -> str:
    """A recorded time, ISO 8601, to the second."""
    try:
        return datetime.fromisoformat(str(text)).strftime("%Y-%m-%d %H:%M:%S")
    except ValueError:
        return str(text)


def size(count: int) -> str:
    """A number of bytes."""
    return f"{count / 1e9:.2f} GB" if count >= 1e9 else f"{count / 1e6:,.0f} MB"


def link(target: Path, output: Path) -> str:
    """A relative URL from a page to the page of a folder or, without one, to the folder itself. It
    works where both are moved together."""
    path = os.path.relpath(os.path.realpath(target), os.path.realpath(output.parent))
    url = quote(Path(path).as_posix().encode("utf-8", "surrogateescape"))
    return f"{url}/{NAME}" if _is_ours(target / NAME) else f"{url}/"


def write_page(path: Path, html: str) -> bool:
    """Write a page, over an earlier one if there is one, and return whether there was.

    Raises:
        UserError: something else is there, or there is no such folder.
        RunFailed: it cannot be written.
    """
    if path.is_dir():
        raise UserError(f"--output {path}: it is a folder, name a file: {path / NAME}")
    if not path.parent.is_dir():
        raise UserError(f"--output {path}: there is no folder {path.parent}")
    is_there = os.path.lexists(path)
    if is_there and not _is_ours(path):
        raise UserError(
            f"{path} is no page of rnnexp report, and is not overwritten: choose another file "
            "with --output FILE"
        )
    try:
        write_text(path, html)
    except OSError as error:
        raise RunFailed(f"{path} cannot be written: {error.strerror}") from error
    return is_there


def _is_ours(path: Path) -> bool:
    try:
        with open_regular(path) as file:
            return MARK.encode() in file.read(MARK_WITHIN)
    except OSError:
        return False
