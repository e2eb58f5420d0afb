"""What a finished run tells its logger: its hyperparameters and final metrics; and TensorBoard, its
config and what the task adds."""

from typing import Any

import pytorch_lightning as pl
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.loggers import TensorBoardLogger

from rnnexp.config.schema import plain
from rnnexp.data.loading.module import DataModule
from rnnexp.runs.board.hparams import columns, row
from rnnexp.runs.hyperparameters import by_option, hyperparameters, typed_keys
from rnnexp.tasks.task import Task

LOSSES = {  # one chart of CUSTOM SCALARS
    "loss": {"training and validation loss": ["Multiline", ["^train/loss_epoch$", "^val/loss$"]]}
}


def log_layout(trainer: pl.Trainer) -> None:
    """Lay the curves of training and validation loss over each other, in CUSTOM SCALARS."""
    if isinstance(trainer.logger, TensorBoardLogger):
        trainer.logger.experiment.add_custom_scalars(LOSSES)


def log_summary(
    trainer: pl.Trainer,
    config: DictConfig,
    task: Task,
    data: DataModule,
    metrics: dict[str, float],
    run: dict[str, Any],
) -> None:
    """Log the hyperparameters with the final metrics: first the model and what was given on the
    command line, and first the metrics of the headline. In TensorBoard, the config and what the
    task shows there beside them.

    run: content of run.json.
    """
    logger = trainer.logger
    if logger is None:
        return
    overrides = [*run.get("overrides", []), *run.get("changes", [])]
    settings = by_option(hyperparameters(plain(config)), run.get("choices", {}), overrides)
    final = final_metrics(metrics, [one.name for one in task.headline])
    logger.log_hyperparams(settings)
    logger.log_metrics(final, step=trainer.global_step)
    if isinstance(logger, TensorBoardLogger):
        board = logger.experiment
        text = OmegaConf.to_yaml(config).replace("\n", "\n    ")
        board.add_text("config", f"    {text}")
        units = {f"test/{metric.name}": metric.unit for metric in task.all_metrics}
        first = {"model", *typed_keys(overrides)}
        told = {tag: units.get(tag, "") for tag in final}
        for summary in (columns([settings], first, told), *row(settings, final)):
            board.file_writer.add_summary(summary)
        task.show_on_board(board, data)
    logger.finalize("success")


def final_metrics(metrics: dict[str, float], headline: list[str]) -> dict[str, float]:
    """The metrics that stand beside the hyperparameters: those of the headline first, and none by
    class or by group. `val_best/` has what `val/`, the curve by epoch, was at the best checkpoint.
    """
    first = [f"test/{name}" for name in headline]
    others = [name for name in metrics if name.count("/") == 1]
    return {
        name.replace("val/", "val_best/", 1) if name.startswith("val/") else name: metrics[name]
        for name in dict.fromkeys([*first, *others])
        if name in metrics
    }
