"""MLflow's files in the run folder."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning_utilities.core.rank_zero import rank_zero_only
from pytorch_lightning.loggers import MLFlowLogger

from rnnexp.callbacks.loggers.offline import check_installed, environment

PLACE = "mlflow"  # in the run folder
ALLOWED = "MLFLOW_ALLOW_FILE_STORE"  # its files need no database, and it asks whether one is sure
SETTINGS = {ALLOWED: "true", "MLFLOW_DISABLE_TELEMETRY": "true"}
UNUSUAL = re.compile(r"[^A-Za-z0-9_. -]")


class Mlflow(MLFlowLogger):
    """Curves, hyperparameters and final metrics, in MLflow's files in <run folder>/mlflow. A run
    that goes on adds to them.

    save_dir: the run folder. label: the name of the run. experiment: the name of MLflow's
    experiment.

    Raises:
        UserError: MLflow is not installed.
    """

    def __init__(self, save_dir: str, label: str | None = None, experiment: str = "rnnexp") -> None:
        check_installed("mlflow")
        place = Path(save_dir).resolve() / PLACE
        with environment("MLFLOW_", **SETTINGS):
            super().__init__(experiment, run_name=label, tracking_uri=place.as_uri())
            self._run_id = self._earlier_run(experiment)

    def _earlier_run(self, experiment: str) -> str | None:
        found = self._mlflow_client.get_experiment_by_name(experiment)
        runs = self._mlflow_client.search_runs([found.experiment_id]) if found else []
        return runs[0].info.run_id if runs else None

    @property
    def experiment(self) -> Any:
        with environment("MLFLOW_", **SETTINGS):  # Lightning sets the address for the whole process
            return super().experiment

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        super().log_metrics({named(name): value for name, value in metrics.items()}, step)


def named(metric: str) -> str:
    """The name of a metric for MLflow: a file in a folder of this span. Other letters than English
    ones are given by their numbers."""
    span, slash, name = metric.partition("/")
    return f"{span}{slash}{UNUSUAL.sub(_number, name.replace('/', '.'))}"


def _number(letter: re.Match[str]) -> str:
    return f"_{ord(letter[0]):x}_"
