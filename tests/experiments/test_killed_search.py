"""The study that kills a search: it tells one that has survived from one that has not."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

pytest.importorskip("optuna", reason="Optuna is not installed: pip install rnnexp[optuna]")

import optuna

from experiments.scale import search
from experiments.scale.search import Found, faults


def trial(number: int, folder: str, size: int, value: float, state: str = "COMPLETE") -> Any:
    return optuna.trial.create_trial(
        state=optuna.trial.TrialState[state],
        value=value,
        params={"model.hidden_size": size},
        distributions={"model.hidden_size": optuna.distributions.IntDistribution(1, 99)},
        user_attrs={"folder": folder},
    )


def survived() -> Found:
    """Four trials: completed, pruned in one of its epochs and resumed, completed, equal to it."""
    trials = [
        trial(0, "0_gru", 4, 0.5),
        trial(1, "1_gru", 8, 0.9, "PRUNED"),
        trial(2, "2_gru", 16, 0.4),
        trial(3, "2_gru", 16, 0.4),
    ]
    for number, one in enumerate(trials):
        one.number = number
    statuses = {"0_gru": "completed", "1_gru": "pruned", "2_gru": "completed"}
    runs: dict[str, dict[str, Any]] = {
        name: {"status": status, "trial": {"number": int(name[0])}}
        for name, status in statuses.items()
    }
    runs["1_gru"]["resumed"] = []
    return Found(trials, runs, "1_gru", [2, 1], listed=3, rerun=0)


def change_run(found: Found, name: str, **facts: Any) -> Found:
    return replace(found, runs=found.runs | {name: found.runs[name] | facts})


def again(found: Found) -> Found:
    """The last trial was trained, though another one had its values."""
    found.trials[3].set_user_attr("folder", "3_gru")
    run = {"status": "completed", "trial": {"number": 3}}
    return replace(found, runs=found.runs | {"3_gru": run}, listed=4)


def running(found: Found) -> Found:
    found.trials[1].state = optuna.trial.TrialState.RUNNING
    return found


def without(found: Found, name: str) -> Found:
    return replace(found, runs={key: run for key, run in found.runs.items() if key != name})


def test_a_search_that_has_survived() -> None:
    assert faults(survived(), trials=4) == []
    text = search.table(survived(), search.QUICK)
    assert "| trials in the study, of 4 | 4: 3 completed, 1 pruned |" in text
    assert "| trials that took the result of an equal one | 1 |" in text
    assert "| the trial in which it was killed | 1, resumed |" in text


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda found: replace(found, trials=found.trials[:3]), "the trials are [0, 1, 2]"),
        (running, "trial 1 is RUNNING"),
        (again, "trained twice"),
        (lambda found: without(found, "0_gru"), "trial 0: it has no run folder"),
        (lambda found: change_run(found, "0_gru", status="failed"), "its run is failed"),
        (lambda found: change_run(found, "0_gru", trial={"number": 2}), "which differs"),
        (lambda found: replace(found, runs=found.runs | {"9_gru": {}}), "9_gru belongs to no"),
        (lambda found: change_run(found, "2_gru", resumed=[]), "resumed: ['1_gru', '2_gru']"),
        (lambda found: replace(found, lines=[3, 0]), "the two workers ended [3, 0] trials"),
        (lambda found: replace(found, listed=2), "the leaderboard lists 2 of 3"),
        (lambda found: replace(found, rerun=3), "exit code 3"),
    ],
)
def test_one_that_has_not(change: Callable[[Found], Found], sentence: str) -> None:
    assert any(sentence in one for one in faults(change(survived()), trials=4))
