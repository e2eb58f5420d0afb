"""Access to Hydra's engine and launchers inside `rnnexp.config.compose.initialised`.

They are not part of Hydra's documented interface: tests/launching/test_engine.py fails if another
version of Hydra changes them.
"""

from collections.abc import Sequence
from typing import Any

from hydra._internal.callbacks import Callbacks
from hydra.core.global_hydra import GlobalHydra
from hydra.core.plugins import Plugins
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


def engine() -> Any:
    """The object behind hydra.main, with the methods run, show_cfg, show_info and
    hydra_help."""
    return GlobalHydra.instance().hydra


def launch_jobs(
    config: DictConfig, jobs: Sequence[Sequence[str]], function: TaskFunction, first: int = 0
) -> None:
    """Run jobs with the launcher that Hydra's settings choose.

    config: the config of any of the jobs, with its node `hydra`. jobs: the overrides of each job.
    first: the number of the first job.
    """
    context = HydraContext(engine().config_loader, Callbacks(config))
    launcher = Plugins.instance().instantiate_launcher(
        hydra_context=context, task_function=function, config=config
    )
    context.callbacks.on_multirun_start(config=config, config_name="train")
    launcher.launch(jobs, initial_job_idx=first)
    context.callbacks.on_multirun_end(config=config, config_name="train")
