"""Figures of matplotlib as SVG inside a page."""

import base64
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import matplotlib
from markupsafe import Markup
from matplotlib.collections import Collection, QuadMesh
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rnnexp.callbacks.figures import is_too_large
from rnnexp.errors import UserError

DENSE = 2_000  # points of a line or cells of a mesh, from which on it becomes an image
LARGEST_SVG = 120_000  # characters; a figure with more becomes an image
LARGEST = 360_000  # characters of all figures of a page; further ones are left out
GEOMETRY = re.compile(r' (?:d|x|y|transform)="[^"]*"')
DIGITS = re.compile(r"(\.\d\d)\d+")  # hundredths of a point are enough
SETTINGS: dict[Any, Any] = {"svg.fonttype": "none", "svg.image_inline": True}  # text stays text


@dataclass(frozen=True)
class Drawn:
    """The figures of a page by name. left_out: the names of those without room. wrong: why others
    could not be drawn."""

    images: dict[str, Markup] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


def drawn_again(folder: Path) -> Drawn:
    """The figures of a completed run, drawn from its record."""
    from rnnexp.runs.figures.of_run import figures_of  # late: it imports torch

    try:
        return inline(figures_of(folder))
    except UserError as error:  # the record can be shown without
        return Drawn(wrong=[str(error)])


def inline(figures: Mapping[str, Figure]) -> Drawn:
    """Each figure for a page, as far as there is room. The same figure has the same characters each
    time."""
    found = Drawn()
    room = LARGEST
    for name, figure in figures.items():
        if is_too_large(figure):
            found.wrong.append(f"{name}: it is too large, or has too long a text")
            continue
        try:
            image = as_svg(figure, name)
            if len(image) > LARGEST_SVG:
                image = as_png(figure)
        except (ArithmeticError, RuntimeError, ValueError) as error:  # values beyond any axis
            found.wrong.append(f"{name}: {error}")
            continue
        if len(image) > room:
            found.left_out.append(name)
            continue
        room -= len(image)
        found.images[name] = image
    return found


def as_svg(figure: Figure, name: str) -> Markup:
    """A figure as an <svg>, which tells its width in points to page.css. name: unique in the page,
    so that its ids are."""
    for artist in figure.findobj(_is_dense):
        artist.set_rasterized(True)
    prefix = re.sub(r"\W+", "_", name)
    metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    buffer = io.StringIO()
    with matplotlib.rc_context({**SETTINGS, "svg.hashsalt": prefix}):
        figure.savefig(buffer, format="svg", transparent=True, metadata=metadata, dpi=110)
    text = buffer.getvalue()
    text = text[text.index("<svg") :].strip()
    head, _, body = text.partition(">")
    view = re.search(r'viewBox="[\d. -]+"', head)
    width = view[0].split()[2] if view else _width(figure)
    # The metadata are empty; xlink is of SVG outside HTML.
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(
        r"font: ([^;\"]*?)(\d[\d.]*)px [^;\"]*", r"font: \1\2px system-ui, sans-serif", body
    )
    body = re.sub(r'\bid="', f'id="{prefix}-', body)
    body = re.sub(r'(href="|url\()#', rf"\1#{prefix}-", body)
    body = re.sub(
        r"<defs>\s*<style.*?</defs>", "", body, count=1, flags=re.DOTALL
    )  # page.css has it
    body = GEOMETRY.sub(lambda found: DIGITS.sub(r"\1", found[0]), body)
    body = re.sub(r">\s+<", "><", body)
    body = body.replace("xlink:href=", "href=")
    opening = f'<svg role="img" style="--width: {width}" {view[0] if view else ""}>'
    return Markup(opening + body)


def as_png(figure: Figure) -> Markup:
    """A figure as an image, on a transparent ground."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", transparent=True, dpi=110)
    data = base64.b64encode(buffer.getvalue()).decode()
    return Markup(
        f'<img alt="" style="--width: {_width(figure)}" src="data:image/png;base64,{data}">'
    )


def _width(figure: Figure) -> str:
    return f"{72 * figure.get_figwidth():g}"


def _is_dense(artist: object) -> bool:
    if isinstance(artist, Line2D):
        return len(artist.get_xdata()) > DENSE  # type: ignore[arg-type]
    if isinstance(artist, QuadMesh):
        return artist.get_array() is not None and artist.get_array().size > DENSE  # type: ignore[union-attr]
    return isinstance(artist, Collection) and len(artist.get_offsets()) > DENSE  # type: ignore[arg-type]
