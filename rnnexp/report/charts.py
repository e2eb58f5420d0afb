"""Charts of many curves that a page draws itself, so that a curve can be pointed at: their geometry
in the units of an SVG, which templates/charts.html writes down."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from matplotlib.ticker import LogLocator, MaxNLocator

from rnnexp.tables import LARGE, number

WIDE, NARROW = (720, 320), (480, 260)  # sizes of a chart
LEFT, RIGHT, TOP, BOTTOM = 62, 14, 14, 40  # margins of the axes; the left one at least
DIGIT = 9 / NARROW[0]  # of a chart's width: that of a digit of the largest letters, on a phone
MOST_POINTS = 200  # of a curve
LOG_FROM = 20  # largest value over smallest one, from which on a scale is logarithmic
PARALLEL_HEIGHT, PARALLEL_TOP, PARALLEL_BOTTOM, PARALLEL_SIDE = 300, 46, 22, 60
MOST_AXES, AXIS_STEP, LEAST_WIDTH = 9, 110, 720


@dataclass(frozen=True)
class Curve:
    """A curve over x. key: of what it shows, which other parts of the page share. colour: its
    number among those of page.css; None for grey. note: shown at the curve that is pointed at."""

    label: str
    x: Sequence[float]
    y: Sequence[float]
    key: str = ""
    colour: int | None = 0
    note: str = ""
    dashed: bool = False


@dataclass(frozen=True)
class Line:
    """A drawn curve: the `d` of its path. dots: points that stand alone."""

    curve: Curve
    d: str
    dots: list[tuple[float, float]]


@dataclass(frozen=True)
class Chart:
    """Curves in one pair of axes. Ticks are pairs of a place and a text."""

    title: str
    x_label: str
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    lines: list[Line]
    mark: tuple[float, float, str] | None
    log: bool
    left: int
    width: int
    height: int

    @property
    def right(self) -> int:
        return self.width - RIGHT

    @property
    def bottom(self) -> int:
        return self.height - BOTTOM


@dataclass(frozen=True)
class Scale:
    """A scale of numbers from 0 to 1."""

    low: float
    high: float
    log: bool = False

    def __call__(self, x: float) -> float:
        low, high, x = (math.log(one) if self.log else one for one in (self.low, self.high, x))
        return 0.5 if high == low else (x - low) / (high - low)

    @property
    def ticks(self) -> list[float]:
        found: Any = MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]).tick_values(self.low, self.high)
        if self.log:
            for subs in ([1.0], [1.0, 3.0], [1.0, 2.0, 5.0]):
                found = LogLocator(10, subs).tick_values(self.low, self.high)
                if sum(self.low <= one <= self.high for one in found) >= 3:
                    break
        span = (self.high - self.low) * 1e-9
        return [float(one) for one in found if self.low - span <= one <= self.high + span]


def scale_of(values: Sequence[float], may_be_log: bool = True) -> Scale:
    """The scale that holds all values: logarithmic if they are positive and lie far apart."""
    low, high = min(values), max(values)
    log = may_be_log and low > 0 and high / low >= LOG_FROM
    return Scale(low, high, log)


def chart(
    title: str,
    curves: Sequence[Curve],
    mark: tuple[float, float, str] | None = None,
    size: tuple[int, int] = NARROW,
    x_label: str = "epoch",
) -> Chart | None:
    """A chart of the finite points of curves over whole numbers; None if there are none. mark: x, y
    and text of a point."""
    width, height = size
    shown = [_finite(curve) for curve in curves]
    shown = [curve for curve in shown if curve.x]
    if not shown:
        return None
    across = scale_of([x for curve in shown for x in curve.x], may_be_log=False)
    up = _with_room(scale_of([y for curve in shown for y in curve.y]))
    x_ticks = [x for x in across.ticks if x == int(x)]
    y_ticks = _texts(up.ticks)
    digits = max((len(text) for _, text in y_ticks), default=0)
    left = max(LEFT, 14 + round(DIGIT * width * digits))

    def place(x: float, y: float) -> tuple[float, float]:
        return (
            round(left + across(x) * (width - left - RIGHT), 1),
            round(height - BOTTOM - up(y) * (height - TOP - BOTTOM), 1),
        )

    lines = []
    for curve in shown:
        points = [place(x, y) for x, y in zip(curve.x, curve.y, strict=True)]
        d = "M" + "L".join(f"{x:g} {y:g}" for x, y in points)
        lines.append(Line(curve, d, points if len(points) == 1 else []))
    return Chart(
        title=title,
        x_label=x_label,
        x_ticks=[(place(x, up.low)[0], number(x)) for x in x_ticks],
        y_ticks=[(place(across.low, y)[1], text) for y, text in y_ticks],
        lines=lines,
        mark=None if mark is None else (*place(mark[0], mark[1]), mark[2]),
        log=up.log,
        left=left,
        width=width,
        height=height,
    )


def _with_room(scale: Scale) -> Scale:
    if scale.log:
        return Scale(scale.low / 1.1, scale.high * 1.1, log=True)
    room = 0.05 * (scale.high - scale.low) or 0.05 * abs(scale.high) or 1.0
    return Scale(scale.low - room, scale.high + room)


def _texts(ticks: Sequence[float]) -> list[tuple[float, str]]:
    """Ticks with texts in which neighbours differ."""
    for digits in (4, 6, 8):
        texts = [
            f"{one:,.0f}" if 1000 <= abs(one) < LARGE else f"{one:.{digits}g}" for one in ticks
        ]
        if len(set(texts)) == len(texts):
            break
    return list(zip(ticks, texts, strict=True))


def _finite(curve: Curve) -> Curve:
    """The curve without points that are no numbers, and thinned out if it is long."""
    x, y = (np.asarray(one, dtype=float) for one in (curve.x, curve.y))
    known = np.isfinite(x) & np.isfinite(y)
    x, y = x[known], y[known]
    if len(x) > MOST_POINTS:
        chosen = np.unique(np.linspace(0, len(x) - 1, MOST_POINTS).astype(int))
        x, y = x[chosen], y[chosen]
    return Curve(
        curve.label, x.tolist(), y.tolist(), curve.key, curve.colour, curve.note, curve.dashed
    )


# Parallel coordinates -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Axis:
    """An axis of parallel coordinates."""

    name: str
    x: float
    ticks: list[tuple[float, str]]
    note: str = ""


@dataclass(frozen=True)
class Parallel:
    """lines: key, label, path, and rank from 0, the worst, to 1."""

    axes: list[Axis]
    lines: list[tuple[str, str, str, float]]
    width: int
    top: int = PARALLEL_TOP
    bottom: int = PARALLEL_HEIGHT - PARALLEL_BOTTOM
    height: int = PARALLEL_HEIGHT
    left_out: list[str] = field(default_factory=list)


def parallel(
    rows: Sequence[dict[str, Any]],
    keys: Sequence[str],
    metric: str,
    labels: Sequence[tuple[str, str]],
    lower_is_better: bool,
) -> Parallel | None:
    """A line for each row: its values of the keys, and of the metric. None without rows.

    labels: key and label of each row.
    """
    if not rows or not keys:
        return None
    shown, left_out = list(keys[:MOST_AXES]), list(keys[MOST_AXES:])
    width = max(LEAST_WIDTH, 2 * PARALLEL_SIDE + AXIS_STEP * len(shown))
    step = (width - 2 * PARALLEL_SIDE) / len(shown)
    axes, heights = [], []
    for number_, name in enumerate([*shown, metric]):
        is_metric = number_ == len(shown)
        up, ticks = _axis([row.get(name) for row in rows], is_metric)
        better = ("lower is better" if lower_is_better else "higher is better") if is_metric else ""
        flip = is_metric and lower_is_better  # better is above
        heights.append([_height(1 - y if flip else y) for y in up])
        ticks = [(_height(1 - y if flip else y), text) for y, text in ticks]
        axes.append(Axis(name, round(PARALLEL_SIDE + step * number_, 1), ticks, better))
    values = [float(row[metric]) for row in rows]
    order = sorted(range(len(rows)), key=lambda one: values[one], reverse=lower_is_better)
    ranks = {one: place / max(len(rows) - 1, 1) for place, one in enumerate(order)}
    lines = []
    for one in order:  # the best above the others
        points = [f"{axis.x:g} {up[one]:g}" for axis, up in zip(axes, heights, strict=True)]
        lines.append((*labels[one], "M" + "L".join(points), round(ranks[one], 2)))
    return Parallel(axes, lines, width, left_out=left_out)


def _height(y: float) -> float:
    bottom = PARALLEL_HEIGHT - PARALLEL_BOTTOM
    return round(bottom - y * (bottom - PARALLEL_TOP), 1)


def _axis(values: Sequence[Any], is_metric: bool) -> tuple[list[float], list[tuple[float, str]]]:
    """Where each value lies, from 0 to 1, and the ticks."""
    distinct = list({str(one): one for one in values}.values())
    if all(_is_number(one) for one in distinct):
        scale = scale_of([float(one) for one in distinct])
        few = len(distinct) <= 6 and not is_metric
        ticks = sorted(map(float, distinct)) if few else [scale.low, *_inner(scale), scale.high]
        return [scale(float(one)) for one in values], [(scale(x), number(x)) for x in ticks]
    named = sorted(
        distinct, key=lambda one: (not _is_number(one), one if _is_number(one) else 0, str(one))
    )
    places = {str(one): place / max(len(named) - 1, 1) for place, one in enumerate(named)}
    places = places if len(named) > 1 else dict.fromkeys(places, 0.5)
    ticks_shown = list(places.items()) if len(places) <= 12 else []
    return [places[str(one)] for one in values], [(y, _short(text)) for text, y in ticks_shown]


def _inner(scale: Scale) -> list[float]:
    """Ticks that are not near the ends, which have their own."""
    return [one for one in scale.ticks if 0.08 < scale(one) < 0.92]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _short(text: str) -> str:
    return text if len(text) <= 16 else f"{text[:15]}…"
