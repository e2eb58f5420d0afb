"""Access to Hydra's engine inside `rnnexp.config.compose.initialised`."""

from typing import Any

from hydra.core.global_hydra import GlobalHydra


def engine() -> Any:
    """The object behind hydra.main. Its methods run, multirun, show_cfg, show_info, hydra_help and
    shell_completion are not part of Hydra's documented interface: tests/launching/test_engine.py
    fails if one of them is gone."""
    return GlobalHydra.instance().hydra
