"""What TensorBoard shows of a finished run: its config, and its row in the table of HPARAMS."""

from typing import Any

import pytorch_lightning as pl
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.loggers import TensorBoardLogger
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
from torch.utils.tensorboard.summary import hparams

from rnnexp.config.schema import plain
from rnnexp.runs.hyperparameters import by_option, hyperparameters, typed_keys
from rnnexp.tasks.task import Task


def log_summary(
    trainer: pl.Trainer,
    config: DictConfig,
    task: Task,
    metrics: dict[str, float],
    run: dict[str, Any],
) -> None:
    """Log the config and the hyperparameters with the final metrics to TensorBoard: first the model
    and what was given on the command line, and first the metrics of the headline.

    run: content of run.json.
    """
    logger = trainer.logger
    if not isinstance(logger, TensorBoardLogger):
        return
    text = OmegaConf.to_yaml(config).replace("\n", "\n    ")
    logger.experiment.add_text("config", f"    {text}")
    overrides = [*run.get("overrides", []), *run.get("changes", [])]
    settings = by_option(hyperparameters(plain(config)), run.get("choices", {}), overrides)
    first = [f"test/{metric.name}" for metric in task.headline]
    others = [name for name in metrics if name.count("/") == 1]
    final = {name: metrics[name] for name in dict.fromkeys([*first, *others])}
    logger.log_hyperparams(settings)
    logger.log_metrics(final)
    values = {
        key: x if isinstance(x, (bool, int, float)) else str(x) for key, x in settings.items()
    }
    experiment, start, end = hparams(values, final)
    _put_first(experiment, {"model", *typed_keys(overrides)})
    for summary in (experiment, start, end):
        logger.experiment.file_writer.add_summary(summary)
    logger.finalize("success")


def _put_first(experiment: Summary, keys: set[str]) -> None:
    """TensorBoard sorts hyperparameters by whether they differ, then by name."""
    metadata = experiment.value[0].metadata.plugin_data
    content = HParamsPluginData.FromString(metadata.content)
    for info in content.experiment.hparam_infos:
        info.differs = info.name in keys
    metadata.content = content.SerializeToString()
