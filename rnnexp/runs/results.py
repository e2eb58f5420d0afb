"""The results of a test as tables for the console."""

from rnnexp.tables import Column, Table, number
from rnnexp.tasks.task import Task


def results(
    task: Task, metrics: dict[str, float], baselines: dict[str, float]
) -> list[Table | str]:
    """A table of the test metrics of the run and of the baselines, followed by the task's own
    tables. The cell of a metric that a baseline lacks is empty."""
    names = [metric.name for metric in task.headline]
    rows = [["this run, best checkpoint", *(number(metrics[f"test/{name}"]) for name in names)]]
    for baseline in dict.fromkeys(key.split("/")[1] for key in baselines):
        own = [baselines.get(f"baseline/{baseline}/{name}") for name in names]
        values = ["" if value is None else number(value) for value in own]
        rows.append([baseline.replace("_", " "), *values])
    columns = [Column(""), *(Column(name, numbers=True) for name in names)]
    first = frozenset({0})
    found: list[Table | str] = [
        Table(f"Test: {task.spec.title}", columns, rows, strong=first, rules=first)
    ]
    tested = len(next(iter(task.predictions.values())))
    if tested < task.spec.tested:
        found.append(
            f"only {tested:,} of {task.spec.tested:,} {task.spec.things} were tested "
            "(trainer.limit_test_batches); the baselines use all of them"
        )
    return [*found, *task.tables()]
