"""The results of a test as tables for the console."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from omegaconf import DictConfig

from rnnexp.tables import Column, Table, number
from rnnexp.tasks.metric import Metric
from rnnexp.tasks.task import Task


def results(
    task: Task,
    metrics: dict[str, float],
    baselines: dict[str, float],
    checkpoint: Literal["best", "last"] = "best",
) -> list[Table | str]:
    """A table of the test metrics of the run and of the baselines, followed by the task's own
    tables. The cell of a metric that a baseline lacks is empty.

    checkpoint: the one that was tested; the last one if no metric is monitored.
    """
    own = {name.removeprefix("test/"): value for name, value in metrics.items()}
    title, label = f"Test: {task.spec.title}", f"this run, {checkpoint} checkpoint"
    found: list[Table | str] = [metrics_table(title, label, task, own, baselines)]
    number_tested = len(next(iter(task.predictions.values())))
    if number_tested < task.spec.tested:
        found.append(
            f"only {number_tested:,} of {task.spec.tested:,} {task.spec.things} were tested "
            "(trainer.limit_test_batches); the baselines use all of them"
        )
    else:
        found += beaten("this run", task, own, baselines)
    return [*found, *task.tables()]


def metrics_table(
    title: str, label: str, task: Task, metrics: dict[str, float], baselines: dict[str, float]
) -> Table:
    """The metrics of a test, by their bare names, and those of the baselines."""
    names = [metric.name for metric in task.headline]
    rows = [[label, *(number(metrics[name]) for name in names)]]
    for baseline in dict.fromkeys(key.split("/")[1] for key in baselines):
        values = [baselines.get(f"baseline/{baseline}/{name}") for name in names]
        texts = ["" if value is None else number(value) for value in values]
        rows.append([baseline.replace("_", " "), *texts])
    columns = [Column(""), *(Column(name, numbers=True) for name in names)]
    first = frozenset({0})
    return Table(title, columns, rows, strong=first, rules=first)


def tested(config: DictConfig) -> Literal["best", "last"]:
    """The checkpoint that a run tests."""
    return "best" if config.monitor else "last"


@dataclass(frozen=True)
class Better:
    """A baseline that is better than something, by one metric."""

    baseline: str
    metric: str
    value: float
    own: float


def beaten(
    what: str, task: Task, metrics: dict[str, float], baselines: dict[str, float]
) -> list[str]:
    """A sentence on the best baseline if it is better by the first metric; and, of those that lack
    it, by the first metric that they have. metrics: by their bare names."""
    return [
        f"a baseline is better than {what}: {one.baseline}, {one.metric} {number(one.value)} "
        f"against {number(one.own)}"
        for one in better_baselines(task.headline, task.ceilings, metrics, baselines)
    ]


def better_baselines(
    headline: Sequence[Metric],
    ceilings: Sequence[str],
    metrics: Mapping[str, float],
    baselines: Mapping[str, float],
) -> list[Better]:
    """As `beaten`. ceilings: baselines that are not asked to be beaten."""
    found: list[Better] = []
    compared = set(ceilings)
    for metric in headline:
        if metric.name not in metrics:
            continue
        values = {}
        for key, value in baselines.items():
            _, baseline, name = key.split("/", 2)
            if name == metric.name and baseline not in compared and value == value:
                values[baseline] = value
        compared |= values.keys()
        own, sign = metrics[metric.name], 1 if metric.lower_is_better else -1
        # Any value is better than none.
        better = [name for name in values if not sign * own <= sign * values[name]]
        if better:
            best = min(better, key=lambda name: sign * values[name])
            found.append(Better(best.replace("_", " "), metric.name, values[best], own))
    return found
