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

from rnnexp import console
from rnnexp.errors import RunFailed, UserError

OURS = {  # launchers of ours -> their modules
    "LocalLauncher": "rnnexp.launching.local",
    "RayLauncher": "rnnexp.launching.on_ray",
    "SlurmLauncher": "rnnexp.launching.on_slurm",
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

    Raises:
        RunFailed: a launcher of somebody else's gives up, for example because a process has died.
    """
    _register_launchers()
    context = hydra_context(config)
    launcher = Plugins.instance().instantiate_launcher(
        hydra_context=context, task_function=function, config=config
    )
    context.callbacks.on_multirun_start(config=config, config_name="train")
    try:
        launcher.launch(jobs, initial_job_idx=first)
    except (UserError, RunFailed):
        raise
    except Exception as error:
        if type(launcher).__module__.startswith(("rnnexp.", "hydra.")):  # a bug, to be seen
            raise
        name, line = config.hydra.runtime.choices["hydra/launcher"], str(error).partition("\n")[0]
        raise RunFailed(
            f"the launcher {name} has given up ({line}); once its other jobs have ended, go on "
            f"with {console.command('rnnexp', 'resume', config.hydra.sweep.dir)}"
        ) from error
    context.callbacks.on_multirun_end(config=config, config_name="train")


def hydra_context(config: DictConfig) -> HydraContext:
    """What Hydra hands to launchers and jobs."""
    return HydraContext(engine().config_loader, Callbacks(config))


def _register_launchers() -> None:
    """Make our launchers known to Hydra, under the package in which it looks for plugins."""
    for name, module in OURS.items():
        launcher = getattr(import_module(module), name)
        Plugins.instance().class_name_to_class[f"hydra_plugins.rnnexp.{name}"] = launcher
