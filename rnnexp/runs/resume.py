"""Goes on with a run that was interrupted, or with a longer one from its end."""

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig
from pytorch_lightning.callbacks import Callback

from rnnexp import console
from rnnexp.config import check_recorded, override
from rnnexp.errors import CannotRerun, UserError
from rnnexp.process.locks import is_locked
from rnnexp.runs.experiment import conduct, run
from rnnexp.runs.folder.reading import LOCK, read_config, read_run
from rnnexp.runs.folder.record import recording_again
from rnnexp.runs.locations import find_data
from rnnexp.runs.start import Start, read_start
from rnnexp.streams import guarded

LENGTH = "trainer.max_epochs="
# What a run has written before its first checkpoint, when it begins anew.
BEGUN = ("history.csv", "gradient_flow.csv", "checkpoints", "figures")
OF_LOGGERS = ("tensorboard", "mlflow", "wandb")


@guarded()
def resume(
    folder: Path,
    on_other_ground: bool = False,
    callbacks: Sequence[Callback] = (),
    argv: Sequence[str] | None = None,
) -> None:
    """Go on with an unfinished run in its folder, from its last checkpoint; without one, from the
    beginning. It ends as if it had not been interrupted.

    on_other_ground: go on although the environment differs, and record this. callbacks: as for
    `run`. argv: what the log says of how this process began; None for sys.argv.

    Raises:
        UserError: the folder holds no run or a running one, or the data cannot be read.
        CannotRerun: the run cannot go on, or the environment differs.
        RunFailed: the training cannot continue.
    """
    config = _config(folder)  # first, so that nothing is written into a folder without a run
    with recording_again(folder, list(argv or sys.argv)) as record:
        find_data(config, record.run)
        start = read_start(folder, on_other_ground)
        if start is None:
            forget(folder)
            record.goes_on(anew=True)
            console.show(f"{folder} has no checkpoint: beginning anew")
        conduct(record, config, start, callbacks)


def forget(folder: Path) -> None:
    """Remove what a run has written that begins anew."""
    for name in BEGUN + OF_LOGGERS:
        path = folder / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def go_on_longer(folder: Path, again: Path, epochs: str, on_other_ground: bool = False) -> None:
    """Go on with a run for more epochs, in a new folder.

    epochs: `trainer.max_epochs=N`.

    Raises: as `resume`, and
        CannotRerun: the schedule of the learning rate depends on the length of the run, or the run
            has already been longer or was stopped early.
    """
    config = override(_config(folder), [epochs])
    if type(config.trainer.max_epochs) is not int or config.trainer.max_epochs < 1:
        raise UserError(f"{epochs}: it must be a number of epochs")
    if is_locked(folder / LOCK):
        raise UserError(f"{folder} is in use: another process is running it")
    start = read_start(folder, on_other_ground)
    if start is None:
        raise CannotRerun(f"{folder} has no checkpoint to go on from")
    check_longer(config, start)
    recorded = read_run(folder)
    find_data(config, recorded)
    facts = {key: recorded[key] for key in ("choices", "label") if key in recorded}
    run(config, again, start, continued_from=str(folder), changes=[epochs], **facts)


def check_longer(config: DictConfig, start: Start) -> None:
    """Check that a run can be made longer as if it had been so from the beginning.

    Raises:
        CannotRerun: it cannot.
    """
    epochs, steps = config.trainer.max_epochs, config.trainer.get("max_steps", -1)
    position = start.checkpoint["position"]
    if epochs <= start.epoch:
        raise CannotRerun(f"{LENGTH}{epochs}: {start.folder} has been trained for {start.epoch}")
    if config.scheduler:
        raise CannotRerun(
            f"the learning-rate schedule of {start.folder} depends on the length of the run, so it "
            f"cannot be made longer: `rnnexp rerun {start.folder} {LENGTH}{epochs}` trains it from "
            "the beginning"
        )
    if start.is_trained and position["should_stop"]:
        raise CannotRerun(f"{start.folder} was stopped early: more epochs do not make it longer")
    if 0 <= steps <= start.checkpoint["global_step"]:
        raise CannotRerun(
            f"trainer.max_steps={steps} has ended {start.folder}: more epochs do not make it longer"
        )
    position["longer"], position["trained"] = start.is_trained, False


def _config(folder: Path) -> DictConfig:
    config = read_config(folder)
    check_recorded(config, folder / "config.yaml")
    return config
