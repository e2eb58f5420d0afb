"""Writes the figure of a trace: as PNG, SVG and an event of TensorBoard below the run folder, or as
one file elsewhere. The record of the run stays as it is."""

import hashlib
import re
from pathlib import Path

from matplotlib.figure import Figure
from torch.utils.tensorboard import SummaryWriter

from rnnexp.errors import UserError
from rnnexp.files import written_beside
from rnnexp.runs.folder.reading import TRACE
from rnnexp.tasks.trace import Trace

FORMATS = (".png", ".svg", ".pdf")
DPI = 110
LONGEST = 40  # characters of a name, before its hash


def name_of(trace: Trace, layer: int | None) -> str:
    """The name of its files: what was traced, as far as it is short, and a hash of it."""
    readable = re.sub(r"[^a-z0-9]+", "_", trace.name.lower()).strip("_")[:LONGEST].strip("_")
    digest = hashlib.sha256(trace.name.encode(errors="backslashreplace")).hexdigest()[:6]
    which = "" if layer is None else f"_layer{layer}"
    return f"{readable}{which}-{digest}".lstrip("-")


def write_below(folder: Path, figure: Figure, name: str) -> Path:
    """Write trace/NAME.png, trace/NAME.svg and an event file for TensorBoard below a run folder.
    Returns the path of the first one.

    Raises:
        UserError: they cannot be written, or there is a link in place of the folder, which could
            lead anywhere.
    """
    place = folder / TRACE
    if place.is_symlink():
        raise UserError(f"{place} is a link, and is not written to: choose a file with --output")
    paths = [place / f"{name}{suffix}" for suffix in (".png", ".svg")]
    try:
        place.mkdir(exist_ok=True)
    except OSError as error:
        raise _unwritable(place, error) from error
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # laid out once, for all files
    for path in paths:
        write(path, figure)
    try:
        with SummaryWriter(str(place)) as events:
            events.add_figure(f"trace/{name}", figure, close=False)
    except OSError as error:
        raise _unwritable(place, error) from error
    return paths[0]


def write(path: Path, figure: Figure) -> None:
    """Write a figure in the format of the suffix.

    Raises:
        UserError: it cannot be written.
    """
    try:
        with written_beside(path) as beside:
            figure.savefig(beside, format=path.suffix[1:], dpi=DPI)
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> UserError:
    return UserError(f"{path} cannot be written ({error.strerror}): choose a file with --output")
