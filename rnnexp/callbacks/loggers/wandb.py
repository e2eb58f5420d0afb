"""The files of Weights & Biases in the run folder. Nothing is sent: `wandb sync` does that."""

from pathlib import Path
from typing import Any

from lightning_fabric.loggers.logger import rank_zero_experiment
from lightning_utilities.core.rank_zero import rank_zero_only
from pytorch_lightning.loggers import WandbLogger

from rnnexp.callbacks.loggers.offline import check_installed, environment

PLACE = "wandb"  # in the run folder


class Wandb(WandbLogger):
    """Curves, hyperparameters and final metrics in <run folder>/wandb/offline-run-.... A run that
    goes on makes a second folder of this kind, which begins at its checkpoint.

    save_dir: the run folder. label: the name of the run. project: the name of the project that
    `wandb sync` sends it to.

    Raises:
        UserError: wandb is not installed.
    """

    def __init__(self, save_dir: str, label: str | None = None, project: str = "rnnexp") -> None:
        check_installed("wandb")
        super().__init__(name=label, save_dir=save_dir, project=project, offline=True)

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        if self._experiment is None:
            self._experiment = self._begin()
        return self._experiment

    def _begin(self) -> Any:
        place = Path(str(self._save_dir)).resolve()
        (place / PLACE).mkdir(exist_ok=True)
        # In each of these it makes a folder `wandb`.
        own = {f"WANDB_{kind}_DIR": str(place) for kind in ("CACHE", "CONFIG", "DATA")}
        with environment("WANDB_", **own, WANDB_ERROR_REPORTING="false"):
            import wandb

            wandb.teardown()  # the service of a user's own run in this process has other settings
            settings = wandb.Settings(
                mode="offline",
                root_dir=str(place),
                silent=True,
                console="off",
                save_code=False,
                symlink=False,
                disable_git=True,
                disable_code=True,
                x_disable_meta=True,
                x_disable_stats=True,
                x_disable_machine_info=True,
                x_save_requirements=False,
            )
            run = wandb.init(
                project=self._project,
                name=self._name,
                dir=str(place),
                mode="offline",
                settings=settings,
            )
        for path in (place / PLACE).rglob("*"):
            if path.is_symlink():  # a run goes on in a folder without links alone
                path.unlink()
        run.define_metric("trainer/global_step")
        run.define_metric("*", step_metric="trainer/global_step", step_sync=True)
        return run

    @rank_zero_only
    def finalize(self, status: str) -> None:
        if status != "success":  # Lightning says success after the training, and the test comes
            self.close()

    def close(self) -> None:
        """End the run in wandb, and its service, a process of its own."""
        if self._experiment is not None:
            import wandb

            self._experiment.finish()
            self._experiment = None
            wandb.teardown()
