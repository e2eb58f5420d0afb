"""What a person sees on the console besides the progress bar."""

import shutil
import sys
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from rich.console import Console
from rich.status import Status
from rich.table import Table

from rnnexp.tasks.task import Task


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Nobody reads on: the command decides what that means."""
        raise


console = _Console(highlight=False)
if not console.is_terminal:
    console.width = 120  # a file or a pipe has no width: tables are written whole


def begin(config: DictConfig, folder: Path) -> None:
    threads = config.determinism.threads
    machine = f"{config.trainer.accelerator}, {threads} thread{'s' * (threads > 1)}"
    place = _from_here(folder)
    console.print(f"[bold]{config.name}[/bold]  seed {config.seed}, {machine} -> {place}")


def show(thing: Any) -> None:
    """A table, or anything else that rich can print."""
    console.print(thing)


def working(what: str) -> Status:
    """A spinner for work without a progress bar of its own: `with working("..."):`."""
    return console.status(what)


def show_network(name: str, parameters: int) -> None:
    console.print(f"{name}: {parameters:,} parameters")


def show_metrics(task: Task, metrics: dict[str, float], baselines: dict[str, float]) -> None:
    """The test metrics beside those of the baselines on the same windows or documents, and what
    else the task shows."""
    table = Table(title=f"Test: {task.spec['title']}", title_justify="left")
    table.add_column("")
    for name in task.headline:
        table.add_column(name, justify="right")
    values = [number(metrics[f"test/{name}"]) for name in task.headline]
    table.add_row("this run, best checkpoint", *values, style="bold", end_section=True)
    for baseline in dict.fromkeys(key.split("/")[1] for key in baselines):
        values = [number(baselines[f"baseline/{baseline}/{name}"]) for name in task.headline]
        table.add_row(baseline.replace("_", " "), *values)
    console.print(table)
    tested = len(task.predictions["target"])
    if tested < task.spec["tested"]:
        console.print(
            f"only {tested:,} of {task.spec['tested']:,} {task.spec['things']} were tested "
            "(trainer.limit_test_batches); the baselines are on all of them"
        )
    for further in task.tables():
        console.print(further)


def show_end(seconds: dict[str, float], folder: Path) -> None:
    """Where the time went, where the results are, and what to type next."""
    console.print(
        f"training {seconds['train']:.1f} s, validation {seconds['validation']:.1f} s, "
        f"evaluation {seconds['evaluation']:.1f} s"
    )
    place, programs = _from_here(folder), _programs()
    console.print(f"run folder   {place}", soft_wrap=True)
    console.print(f"look at it   {programs}tensorboard --logdir {place}", soft_wrap=True)
    console.print(f"test again   {programs}rnnexp test {place}", soft_wrap=True)
    console.print(f"repeat it    {programs}rnnexp rerun {place}", soft_wrap=True)


def _from_here(path: Path) -> Path:
    """Relative to the current folder where it is inside, so that it can be read and typed."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _programs() -> str:
    """What to type before a program of this environment: nothing where it is activated."""
    return "" if shutil.which("rnnexp") else f"{_from_here(Path(sys.executable).parent)}/"


def number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
