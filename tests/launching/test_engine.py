"""The parts of Hydra that we use beyond its documented interface. Each test says what to fix."""

import inspect
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher

from rnnexp.cli import main
from rnnexp.config.compose import initialised
from rnnexp.launching.engine import engine

METHODS = {
    "run": {"config_name", "task_function", "overrides"},
    "show_cfg": {"config_name", "overrides", "cfg_type", "package", "resolve"},
    "show_info": {"info", "config_name", "overrides"},
    "hydra_help": {"config_name", "args_parser", "args"},
}


@pytest.mark.parametrize("name", METHODS)
def test_hydra_still_has_the_method(name: str) -> None:
    with initialised(None):
        method = getattr(engine(), name, None)
    assert method is not None, (
        f"this version of Hydra has no Hydra.{name} any more: rnnexp/launching/engine.py relies on "
        "it, and rnnexp.launching.launch or rnnexp.commands.train has to do without"
    )
    missing = METHODS[name] - set(inspect.signature(method).parameters)
    assert not missing, f"Hydra.{name} does not take {missing} any more: see its callers"


def test_hydra_still_starts_launchers_so() -> None:
    taken = set(inspect.signature(Plugins.instantiate_launcher).parameters)
    assert taken == {"self", "hydra_context", "task_function", "config"}, (
        "this version of Hydra makes launchers another way: see launch_jobs in "
        "rnnexp/launching/engine.py"
    )
    taken = set(inspect.signature(Launcher.launch).parameters)
    assert taken == {"self", "job_overrides", "initial_job_idx"}, (
        "this version of Hydra starts jobs another way: see launch_jobs in "
        "rnnexp/launching/engine.py"
    )


def test_a_launcher_that_gives_up_is_one_sentence(
    empty_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As joblib and submitit do when a process has died."""

    def launch(jobs: Any, initial_job_idx: int) -> None:
        raise RuntimeError("a worker died\nand its long story")

    foreign = SimpleNamespace(launch=launch)
    monkeypatch.setattr(Plugins, "instantiate_launcher", lambda *arguments, **named: foreign)
    assert main(["train", "-m", "seed=0,1", "hydra.sweep.dir=swept"]) == 1
    said = " ".join(capsys.readouterr().err.split())
    assert "the launcher basic has given up (a worker died); once its other jobs" in said
    assert said.endswith("resume swept") and "Traceback" not in said
