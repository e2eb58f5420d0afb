"""The figure of a trace: its panels, its words, and the excerpt of a long text."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from rnnexp.nn.states import LayerStates
from rnnexp.tasks.trace import Trace
from rnnexp.trace.figure import MOST_WORDS, figure_of, shown_steps
from rnnexp.trace.files import name_of

GENERATOR = torch.Generator().manual_seed(0)


def states(steps: int, direction: str = "forward", **gates: float) -> LayerStates:
    hidden = torch.rand(steps, 3, generator=GENERATOR) - 0.5
    return LayerStates(
        direction, hidden, {name: torch.full((steps, 3), value) for name, value in gates.items()}
    )


def of_words(steps: int, turn: int = 1, **settings: Any) -> Trace:
    """p(good) is 0.9 up to a turn, and 0.1 after it."""
    curve = np.where(np.arange(steps) < turn, 0.9, 0.1)
    trace = Trace(
        title="a text",
        name="a text",
        steps=[f"word{step}" for step in range(steps)],
        thing="word",
        curves={"p(good)": curve},
        axis="Probability",
        states=[states(steps, f=0.25)],
        layer="",
        even=0.5,
        bounded=True,
        contributions=np.where(np.arange(steps) < turn, -1.0, 2.0),
        contributed="logit of bad",
        sides=("bad", "good"),
    )
    return replace(trace, **settings)


def panels(trace: Trace) -> list[str]:
    titles = [axes.get_title(loc="left") for axes in figure_of(trace).axes]
    return [title for title in titles if title]


def test_the_panels_of_a_text() -> None:
    assert panels(of_words(4)) == [
        "Probability",
        "Gradient \u00d7 input of each word (logit of bad)",
        "Hidden state: units ordered by the step of their largest |h|",
        "Gates, mean over the units",
    ]


def test_both_directions_have_their_states() -> None:
    both = [states(4, "forward", f=0.2), states(4, "backward", f=0.8)]
    figure = figure_of(of_words(4, states=both, layer="layer 1 of 2"))
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    for direction in ("forward", "backward"):
        title = f"Hidden state, layer 1 of 2, reading {direction}: units"
        assert any(one.startswith(title) for one in titles)
    [gates] = [axes for axes in figure.axes if axes.get_title(loc="left").startswith("Gates")]
    assert [round(float(np.asarray(line.get_ydata())[0]), 6) for line in gates.lines] == [0.2, 0.8]


def test_without_gates_there_is_no_panel_of_them() -> None:
    assert not any(title.startswith("Gates") for title in panels(of_words(3, states=[states(3)])))


def test_the_heat_map_has_its_centre_at_zero_and_orders_the_units() -> None:
    hidden = torch.tensor([[0.0, 0.9, 0.1], [0.1, 0.2, -0.8], [0.7, 0.1, 0.1]])
    figure = figure_of(of_words(3, states=[LayerStates("forward", hidden, {})]))
    [image] = [one for axes in figure.axes for one in axes.images]
    expected = hidden.numpy()[:, [1, 2, 0]].T
    np.testing.assert_allclose(np.asarray(image.get_array()), expected)
    low, high = image.get_clim()
    assert low == -high and np.isclose(high, 0.9)


def test_bars_have_the_colour_of_the_class_that_they_speak_for() -> None:
    figure = figure_of(of_words(4))
    answers, bars = figure.axes[:2]
    containers: list[Any] = bars.containers
    by_side = {one.get_label(): one.patches[0].get_facecolor() for one in containers}
    assert set(by_side) == {"speaks for bad", "speaks for good"}
    assert answers.lines[0].get_color() == "#0072b2"
    assert np.allclose(by_side["speaks for good"][:3], (0, 0x72 / 255, 0xB2 / 255))


@pytest.mark.parametrize(
    ("bars", "noted"),
    [
        ([-1.0, 2.0, 0.1, 0.1], False),
        ([2.0, -1.0, 0.1, 0.1], True),  # the second word turned the answer
        ([-3.0, 2.0, 0.1, 0.1], True),  # all together speak for the other class
    ],
)
def test_bars_that_disagree_with_the_answers_are_explained(bars: list[float], noted: bool) -> None:
    panel = figure_of(of_words(4, contributions=np.array(bars))).axes[1]
    assert panel.get_xlabel().startswith("gradient \u00d7 input is local") == noted
    many = {"p(bad)": np.array([0.1, 0.8, 0.8, 0.9]), "p(good)": np.array([0.9, 0.1, 0.1, 0.1])}
    several = of_words(4, even=None, curves=many, contributions=np.array(bars))
    assert bool(figure_of(several).axes[1].get_xlabel()) == noted
    one = figure_of(of_words(1, contributions=np.array([0.5])))
    assert one.axes[1].get_xlabel() == ""


def test_a_long_text_is_an_excerpt_around_the_largest_change() -> None:
    trace = of_words(200, turn=120)
    steps = shown_steps(trace)
    assert len(steps) == MOST_WORDS and 120 in steps and steps.start == 90
    figure = figure_of(trace)
    title = figure.get_suptitle()
    assert title == "a text\nwords 91 to 150 of 200, around the largest change"
    labels = [label.get_text() for label in figure.axes[1].get_xticklabels()]
    assert labels == trace.steps[90:150] and figure.get_size_inches()[0] <= 17
    assert figure.axes[0].get_xlim() == (89.5, 149.5)
    assert shown_steps(of_words(200, turn=199)) == range(140, 200)


def test_unknown_words_are_grey() -> None:
    figure = figure_of(of_words(3, unknown=frozenset({1})))
    colours = [label.get_color() for label in figure.axes[1].get_xticklabels()]
    assert colours[1] == "#999999" != colours[0]


def test_times_have_round_labels() -> None:
    times = np.datetime64("2024-03-01T05:00:00") + np.arange(90) * np.timedelta64(3600, "s")
    trace = of_words(90, times=times, contributions=None, even=None, actual=np.full(90, 0.3))
    figure = figure_of(trace)
    [gates] = [axes for axes in figure.axes if axes.get_title(loc="left").startswith("Gates")]
    labels = [label.get_text() for label in gates.get_xticklabels()]
    assert labels[:3] == ["Fri 08:00", "Fri 12:00", "Fri 16:00"] and len(labels) <= 26
    assert gates.get_xticks()[0] == 3 and shown_steps(trace) == range(90)
    assert gates.get_xlabel() == "time, from 2024-03-01 05:00 to 2024-03-04 22:00"


def test_labels_a_day_apart_are_dates() -> None:
    times = np.datetime64("2024-03-01T05:00") + np.arange(600) * np.timedelta64(60, "m")
    [*_, gates] = figure_of(of_words(600, times=times, contributions=None, even=None)).axes[:-1]
    labels = [label.get_text() for label in gates.get_xticklabels()]
    assert labels[:2] == ["2024-03-02", "2024-03-03"] and len(labels) == 25


def test_days_are_labelled_by_their_dates() -> None:
    times = np.datetime64("2024-03-01") + np.arange(30) * np.timedelta64(86_400, "s")
    figure = figure_of(of_words(30, times=times, contributions=None))
    [gates] = [axes for axes in figure.axes if axes.get_title(loc="left").startswith("Gates")]
    assert gates.get_xticklabels()[1].get_text() == "2024-03-03"
    assert gates.get_xlabel() == "time, from 2024-03-01 to 2024-03-30"


def test_words_that_matplotlib_would_take_for_a_formula(tmp_path: Any) -> None:
    trace = replace(of_words(3), steps=["$x_", "^$", "a" * 500], title="$$\\frac")
    figure_of(trace).savefig(tmp_path / "a.png")


def test_names_of_files() -> None:
    one, two = of_words(2, name="It broke!"), of_words(2, name="it broke?")
    assert name_of(one, None).startswith("it_broke-") and name_of(one, None) != name_of(two, None)
    assert name_of(one, 2).startswith("it_broke_layer2-")
    assert len(name_of(of_words(2, name="../" * 500), None)) == 6
    assert len(name_of(of_words(2, name="word " * 500), 1)) < 60
