"""Runs that a signal has ended: small ones, in processes of their own."""

import signal
from pathlib import Path

from experiments.robustness.deaths import Death, run_apart
from tests.support.shrink import NO_FIGURES

# A step after the other can be the one from which a run goes on, and has its points in TensorBoard.
EVERY_STEP = ["checkpoint.every_steps=1", "trainer.log_every_n_steps=1", *NO_FIGURES]
EVERY_STEP += ["model.hidden_size=4", "trainer.accelerator=cpu", "determinism.threads=1"]
EVERY_STEP += ["callbacks.progress_bar=null"]

BATCH = "rnnexp.callbacks.history.History.on_train_batch_end"
VALIDATION = "rnnexp.tasks.forecasting.task.Forecasting.validation_step"
TEST = "rnnexp.tasks.forecasting.task.Forecasting.test_step"
RECORD = "rnnexp.runs.folder.record.RunRecord"


def train(folder: Path, settings: list[str], *deaths: Death) -> Path:
    """Train, and go on after each death but the last one."""
    argv = ["train", *settings, f"hydra.run.dir={folder}"]
    log = folder.with_name(f"{folder.name}.log")
    for death in deaths:
        code = run_apart(argv, death, log=log)
        assert code == (-death.signal if death.signal == signal.SIGKILL else 130), log.read_text()
        argv = ["resume", str(folder)]
    if not deaths:
        assert run_apart(argv, log=log) == 0, log.read_text()
    return folder
