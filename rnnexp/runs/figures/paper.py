"""Figures for a paper: as wide as a column, with small letters that stay readable in print.

All of matplotlib's settings hold while figures are drawn and saved, so both happen inside `paper`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D

from rnnexp.files import written_beside

COLUMN, PAGE = 3.35, 6.9  # inches: 85 mm, the column of most journals, and the width of two
WIDE = 9.5  # inches: a figure that was drawn wider has several panels, and takes the page
LEAST, PANEL, ROW = 1.9, 1.2, 0.14  # inches: the least height, of a panel, and of a legend's row
THINNER = 0.7  # of lines whose width is given where they are drawn
LETTERS, MARK = 19, 7  # letters to an inch of a legend, and those whose room a line and gaps take
SETTINGS: dict[Any, Any] = {
    "font.size": 7,
    "axes.titlesize": 7,
    "figure.titlesize": 7.5,
    "lines.linewidth": 1.4,
    "lines.markersize": 3,
    "axes.linewidth": 0.6,
    "pdf.fonttype": 42,  # TrueType, embedded; some publishers refuse the default, Type 3
    "svg.fonttype": "path",  # letters as shapes: they look the same everywhere
    "svg.hashsalt": "rnnexp",  # the same figure is the same file
    "savefig.dpi": 300,
}


@contextmanager
def paper() -> Iterator[None]:
    """Draw and save in the style of a paper."""
    with matplotlib.rc_context(SETTINGS):
        yield


def fit(figure: Figure) -> None:
    """Give a figure the width of a column, or of the page, and put its legend below it."""
    width, height = figure.get_size_inches()
    target = PAGE if width > WIDE else COLUMN
    for line in figure.findobj(Line2D):
        line.set_linewidth(THINNER * line.get_linewidth())
    specs = filter(None, map(Axes.get_subplotspec, figure.axes))
    panels = max([spec.get_gridspec().nrows for spec in specs], default=1)
    rows = sum(_put_below(figure, legend, target) for legend in list(figure.legends))
    tall = max(target * height / width, LEAST, panels * PANEL)
    figure.set_size_inches(target, tall + rows * ROW)


def _put_below(figure: Figure, legend: Legend, width: float) -> int:
    """Move a legend below a figure of this width. Returns the number of its rows."""
    labels = [text.get_text().replace("\n", " ") for text in legend.get_texts()]
    handles = [handle for handle in legend.legend_handles if handle is not None]
    legend.remove()
    fitting = int(width * LETTERS / (max(map(len, labels)) + MARK))
    columns = min(max(fitting, 1), len(labels))
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, frameon=False)
    return -(-len(labels) // columns)


def save(figure: Figure, path: Path) -> None:
    """Save a figure; its format is that of the file's name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    undated = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}
    form = path.suffix[1:]
    with written_beside(path) as beside:
        figure.savefig(beside, format=form, metadata=undated.get(form))
