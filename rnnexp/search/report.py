"""What a search has found: a table of the best trials, and two figures."""

import io
import warnings
from collections.abc import Sequence
from pathlib import Path

import optuna
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from optuna.trial import FrozenTrial, TrialState

from rnnexp.callbacks.figures import PREDICTION, SECOND, TARGET, finish, no_math
from rnnexp.files import write_bytes
from rnnexp.search.study import Study, Trials, value_of
from rnnexp.tables import Column, Table, counted, number

MOST = 10  # trials in the table
WORDS = {
    TrialState.COMPLETE: "completed",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
    TrialState.WAITING: "waiting",
}


def counts(trials: Sequence[FrozenTrial]) -> str:
    """How many trials ended in which way: `6 trials: 4 completed, 2 pruned`."""
    states = [one.state for one in trials]
    parts = [f"{states.count(state)} {word}" for state, word in WORDS.items() if state in states]
    return f"{counted(len(states), 'trial')}: {', '.join(parts)}"


def best_trials(study: Trials, metric: str) -> Table:
    """The best trials with their values; metric: what they are ranked by."""
    rows = [
        [str(one.number), number(value_of(one)), *(_text(one.params[key]) for key in study.keys)]
        for one in study.best()[:MOST]
    ]
    columns = [
        Column("trial", numbers=True),
        Column(metric, numbers=True),
        *map(Column, study.keys),
    ]
    return Table(f"{study.name}: {counts(study.trials())}", columns, rows)


def _text(value: object) -> str:
    return number(value) if isinstance(value, float) else str(value)


def figures(study: Trials, metric: str) -> dict[str, Figure]:
    """history and, if enough trials differ, importance."""
    found = {"history": history(study.trials(), study.best(), metric)}
    if shares := importance(study):
        found["importance"] = bars(shares, metric)
    return found


def save_figures(study: Study, metric: str) -> list[Path]:
    """Save history.png and, if enough trials differ, importance.png in the folder of the search."""
    return [
        _save(figure, study.place / f"{name}.png")
        for name, figure in figures(study, metric).items()
    ]


def importance(study: Trials) -> dict[str, float]:
    """The share of each key in how the trials differ; empty if too few differ."""
    if len(study.best()) < 2:
        return {}
    with warnings.catch_warnings():
        # Then all would be equal, whatever the trials say.
        warnings.filterwarnings("error", message="Target and region quantiles select the same set")
        try:
            return optuna.importance.get_param_importances(study.study)
        except (ValueError, RuntimeError, UserWarning):
            return {}


def history(trials: Sequence[FrozenTrial], best: Sequence[FrozenTrial], metric: str) -> Figure:
    """The metric of every trial in the order of their numbers, and the best one so far."""
    figure = Figure(figsize=(9, 4), layout="constrained")
    axes = figure.subplots()
    done = sorted(best, key=lambda one: one.number)
    rank = {one.number: place for place, one in enumerate(best)}
    leaders = [min(done[: end + 1], key=lambda one: rank[one.number]) for end in range(len(done))]
    numbers = [one.number for one in done]
    axes.plot(numbers, list(map(value_of, done)), "o", color=TARGET, label="completed")
    cut = [one for one in trials if one.state == TrialState.PRUNED and one.value is not None]
    if cut:
        values = list(map(value_of, cut))
        cut_numbers = [one.number for one in cut]
        axes.plot(cut_numbers, values, "x", color=SECOND, label="pruned, last value")
    best_so_far = list(map(value_of, leaders))
    axes.step(numbers, best_so_far, where="post", color=PREDICTION, label="best so far")
    axes.set(xlabel="trial", ylabel=no_math(metric), title="Monitored metric by trial")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False)
    finish(axes)
    return figure


def bars(shares: dict[str, float], metric: str) -> Figure:
    """The importance of each key, the largest on top."""
    figure = Figure(figsize=(9, 1.5 + 0.4 * len(shares)), layout="constrained")
    axes = figure.subplots()
    names = [no_math(key) for key in shares][::-1]
    axes.barh(names, list(shares.values())[::-1], color=SECOND)
    title = f"How much of the differences in {no_math(metric)} each key explains"
    axes.set(xlabel="importance (PED-ANOVA)", xlim=(0, 1), title=title)
    finish(axes)
    return figure


def _save(figure: Figure, path: Path) -> Path:
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=110, format="png")
    write_bytes(path, buffer.getvalue())
    return path
