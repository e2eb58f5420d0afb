"""The figure of a trace: panels above each other that share the axis of the steps."""

from collections.abc import Iterator
from textwrap import wrap

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rnnexp.callbacks.figures import PREDICTION, SECOND, TARGET, finish, no_math
from rnnexp.nn.states import LayerStates
from rnnexp.tasks.answers import cut
from rnnexp.tasks.trace import Trace, largest_change

MOST_WORDS = 60  # in one figure, so that each can be read
COLOURS = (PREDICTION, SECOND, "#009e73", "#cc79a7")  # the last: green and purple of Okabe and Ito
UNKNOWN = "#999999"
WIDTH = 9.0, 17.0  # inches, least and most
PANEL = {"answers": 1.8, "contributions": 2.3, "states": 2.4, "gates": 1.9}  # inches
TITLE, LONGEST_WORD, LONGEST_LABEL = 90, 24, 28  # most characters of a line, a word, a label
TITLE_CHARACTER, LEGEND_CHARACTER, HANDLE = 0.085, 0.07, 0.4  # inches wide
LOCAL = "gradient \u00d7 input is local: a bar can point away from the answer; trust the answer"
FEW, FEW_TIMES = 16, 12  # words and times that need not be upright
MANY_TIMES = 26  # labels of times


def figure_of(trace: Trace) -> Figure:
    """Draw a trace: the answers after each step, the contributions of the words, the hidden states
    and the gates. Of a text of more than MOST_WORDS words an excerpt around the largest change."""
    steps = shown_steps(trace)
    panels = list(_panels(trace))
    height = [PANEL[kind] for kind, _ in panels]
    width = float(np.clip(0.3 * (steps.stop - steps.start) + 3.2, *WIDTH))
    if trace.times is not None:
        width = 12.0
    figure = Figure(figsize=(width, sum(height) + 1.5), layout="constrained")
    rows = figure.subplots(len(panels), 1, sharex=True, height_ratios=height, squeeze=False)[:, 0]
    for axes, (kind, state) in zip(rows, panels, strict=True):
        match kind:
            case "answers":
                _draw_answers(axes, trace)
            case "contributions":
                _draw_contributions(axes, trace)
            case "states":
                assert state is not None
                _draw_states(figure, axes, trace, state)
            case "gates":
                _draw_gates(axes, trace.states)
    rows[0].set_xlim(steps.start - 0.5, steps.stop - 0.5)
    for axes, (kind, _) in zip(rows, panels, strict=True):
        if axes is rows[-1] or kind == "contributions":  # the words stand below their bars too
            _label_steps(axes, trace, steps)
        if kind == "contributions" and _bars_disagree(trace):
            axes.set_xlabel(LOCAL, size="small")
    if trace.times is not None:
        rows[-1].set_xlabel(f"time, from {_minute(trace.times[0])} to {_minute(trace.times[-1])}")
    if trace.unknown.intersection(steps):
        note = f"grey: {trace.thing}s that the network does not know"
        rows[-1].set_xlabel(note, size="small")
    figure.suptitle("\n".join([*wrap(no_math(trace.title), TITLE), *_excerpt(trace, steps)]))
    return figure


def shown_steps(trace: Trace) -> range:
    """All steps, or of a long text MOST_WORDS around the largest change of the answers."""
    count = len(trace.steps)
    if trace.times is not None or count <= MOST_WORDS:
        return range(count)
    middle = largest_change(list(trace.curves.values()))
    first = int(np.clip(middle - MOST_WORDS // 2, 0, count - MOST_WORDS))
    return range(first, first + MOST_WORDS)


def _excerpt(trace: Trace, steps: range) -> list[str]:
    if len(steps) == len(trace.steps):
        return []
    return [
        f"{trace.thing}s {steps.start + 1} to {steps.stop} of {len(trace.steps):,}, around the "
        "largest change"
    ]


def _panels(trace: Trace) -> Iterator[tuple[str, LayerStates | None]]:
    yield "answers", None
    if trace.contributions is not None:
        yield "contributions", None
    for state in trace.states:
        yield "states", state
    if any(state.gates for state in trace.states):
        yield "gates", None


# Panels -----------------------------------------------------------------------------------------


def _draw_answers(axes: Axes, trace: Trace) -> None:
    step = np.arange(len(trace.steps))
    if trace.actual is not None:
        axes.plot(step, trace.actual, color=TARGET, lw=2.5, alpha=0.6, label="actual")
    marked = "o-" if len(step) <= MOST_WORDS else "-"
    colours = (SECOND,) if trace.even is not None else COLOURS
    for colour, (label, values) in zip(colours, trace.curves.items(), strict=False):
        axes.plot(step, values, marked, color=colour, ms=4, lw=1.5, label=no_math(label))
    if trace.bounded:
        axes.set_ylim(-0.04, 1.04)
    if trace.even is not None:
        _draw_sides(axes, trace, trace.even)
    _finish(axes, trace.axis)


def _draw_sides(axes: Axes, trace: Trace, even: float) -> None:
    """The level at which the answer turns, and the sides of it, each in the colour of its class."""
    [values] = trace.curves.values()
    step = np.arange(len(values))
    axes.axhline(even, color=TARGET, lw=1, ls="--")
    for side, colour in ((values > even, SECOND), (values < even, PREDICTION)):
        axes.fill_between(
            step, values, even, where=side, interpolate=True, color=colour, alpha=0.2, lw=0
        )


def _draw_contributions(axes: Axes, trace: Trace) -> None:
    values = trace.contributions
    assert values is not None
    step = np.arange(len(values))
    colours = PREDICTION, TARGET
    if trace.even is not None:  # as above it: blue is the second class
        [curve] = trace.curves.values()
        colours = (SECOND, PREDICTION) if curve[-1] > trace.even else (PREDICTION, SECOND)
    for sign, colour, side in zip((1, -1), colours, trace.sides, strict=True):
        own = sign * values > 0
        label = no_math(f"speaks for {side}")
        axes.bar(step[own], values[own], color=colour, width=0.7, label=label)
    axes.axhline(0, color=TARGET, lw=1)
    title = f"Gradient \u00d7 input of each {_one(trace)} ({trace.contributed})"
    _finish(axes, title)


def _bars_disagree(trace: Trace) -> bool:
    """Whether the bars speak against the predicted class, or one of them did so where its answer
    rose most."""
    answer, values = next(iter(trace.curves.values())), trace.contributions
    assert values is not None
    if trace.even is not None and answer[-1] < trace.even:  # the curve is that of the other class
        answer = 1 - answer
    change = np.diff(answer, prepend=answer[0])
    largest = largest_change([answer])
    return bool(values.sum() < 0 or values[largest] * change[largest] < 0)


def _draw_states(figure: Figure, axes: Axes, trace: Trace, state: LayerStates) -> None:
    """A heat map of the units over the steps, ordered by the step of their largest |h|."""
    hidden = state.hidden.numpy()  # (T, H)
    order = np.argsort(np.abs(hidden).argmax(0), kind="stable")
    most = float(np.abs(hidden).max()) or 1.0
    image = axes.imshow(
        hidden[:, order].T,
        aspect="auto",
        interpolation="nearest",
        cmap="RdBu_r",
        vmin=-most,
        vmax=most,
    )
    bar = figure.colorbar(image, ax=axes, pad=0.01, aspect=14, label="h")
    bar.outline.set_visible(False)
    layer = f", {trace.layer}" if trace.layer else ""
    direction = "" if len(trace.states) == 1 else f", reading {state.direction}"
    title = f"Hidden state{layer}{direction}: units ordered by the step of their largest |h|"
    axes.set_title(title, loc="left", size="medium")
    axes.set(ylabel=f"{hidden.shape[1]} units", yticks=[])
    axes.spines[:].set_visible(False)


def _draw_gates(axes: Axes, states: list[LayerStates]) -> None:
    """The mean of each gate over the units."""
    for state, line in zip(states, ("-", "--"), strict=False):
        for colour, (name, gate) in zip(COLOURS, state.gates.items(), strict=False):
            mean = gate.mean(1).numpy()
            label = no_math(name) if state is states[0] else None
            axes.plot(mean, line, color=colour, lw=1.5, label=label)
    axes.set_ylim(-0.04, 1.04)
    backward = "" if len(states) == 1 else " (dashed: backward)"
    _finish(axes, f"Gates, mean over the units{backward}")


def _one(trace: Trace) -> str:
    return "step" if trace.times is not None else trace.thing


def _finish(axes: Axes, title: str) -> None:
    """The title above the axes on the left; the legend beside it on the right, or below it."""
    finish(axes)
    axes.set_axisbelow(True)
    handles, labels = axes.get_legend_handles_labels()
    labels = [cut(label, LONGEST_LABEL) if len(labels) > 2 else label for label in labels]
    wide = TITLE_CHARACTER * len(title)
    wide += sum(HANDLE + LEGEND_CHARACTER * len(label) for label in labels)
    figure = axes.figure
    assert isinstance(figure, Figure)
    beside = wide < 0.85 * figure.get_size_inches()[0]
    axes.set_title(no_math(title), loc="left", size="medium", pad=None if beside else 20)
    axes.legend(
        handles,
        labels,
        loc="lower right" if beside else "lower left",
        bbox_to_anchor=(float(beside), 1.0),
        ncols=max(1, len(labels)),
        frameon=False,
        fontsize="small",
        borderaxespad=0.0,
        handlelength=1.2,
        columnspacing=1.2,
    )


# The axis of the steps --------------------------------------------------------------------------


def _label_steps(axes: Axes, trace: Trace, steps: range) -> None:
    """Words below each step; of times those that make round labels."""
    if trace.times is not None:
        places, labels = _round_times(trace.times)
        axes.set_xticks(places, labels, rotation=90 if len(places) > FEW_TIMES else 0)
        return
    words = [no_math(cut(trace.steps[step], LONGEST_WORD)) for step in steps]
    upright = len(words) > FEW or max(map(len, words)) > 9
    axes.set_xticks(list(steps), words, rotation=90 if upright else 0)
    axes.tick_params("x", labelbottom=True, length=0)
    for step, label in zip(steps, axes.get_xticklabels(), strict=True):
        if step in trace.unknown:
            label.set(color=UNKNOWN, fontstyle="italic")


def _round_times(times: np.ndarray) -> tuple[list[int], list[str]]:
    """The steps that get a label, and the labels: weekday and hour at whole parts of a day, or the
    dates of whole days."""
    count = len(times)
    seconds = times.astype("datetime64[s]").astype(np.int64)
    day = 86_400
    if np.all(seconds % day == 0):
        every = -(-count // MANY_TIMES)
        places = list(range(0, count, every))
        return places, [str(times[place].astype("datetime64[D]")) for place in places]
    for hours in (1, 2, 3, 4, 6, 12, 24):
        places = np.flatnonzero(seconds % (hours * 3600) == 0).tolist()
        if len(places) <= MANY_TIMES:
            break
    places = (places or list(range(count)))[:: -(-len(places or times) // MANY_TIMES)]
    shown = [times[place].astype("datetime64[s]").item() for place in places]
    form = "%Y-%m-%d" if np.all(seconds[places] % day == 0) else "%a %H:%M"
    return places, [one.strftime(form) for one in shown]


def _minute(time: np.datetime64) -> str:
    """A time to the minute, or the date alone at midnight."""
    return str(time.astype("datetime64[m]")).replace("T", " ").removesuffix(" 00:00")
