"""Access to Hydra's engine and launchers inside `rnnexp.config.compose.initialised`.

They are not part of Hydra's documented interface: tests/launching/test_engine.py fails if another
version of Hydra changes them.
"""

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from hydra._internal.callbacks import Callbacks
from hydra.core.global_hydra import GlobalHydra
from hydra.core.plugins import Plugins
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

OURS = {  # launchers of ours -> their modules
    "LocalLauncher": "rnnexp.launching.local",
    "RayLauncher": "rnnexp.launching.on_ray",
}


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
    _register_launchers()
    context = hydra_context(config)
    launcher = Plugins.instance().instantiate_launcher(
        hydra_context=context, task_function=function, config=config
    )
    context.callbacks.on_multirun_start(config=config, config_name="train")
    launcher.launch(jobs, initial_job_idx=first)
    context.callbacks.on_multirun_end(config=config, config_name="train")


def hydra_context(config: DictConfig) -> HydraContext:
    """What Hydra hands to launchers and jobs."""
    return HydraContext(engine().config_loader, Callbacks(config))


def _register_launchers() -> None:
    """Make our launchers known to Hydra, under the package in which it looks for plugins."""
    for name, module in OURS.items():
        launcher = getattr(import_module(module), name)
        Plugins.instance().class_name_to_class[f"hydra_plugins.rnnexp.{name}"] = launcher
