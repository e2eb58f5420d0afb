"""`rnnexp.run([...])`: one run from Python, in a notebook or another program."""

from collections.abc import Sequence
from pathlib import Path

from hydra.types import RunMode

from rnnexp.config import check
from rnnexp.config.compose import compose_whole, initialised, parse, without_hydra
from rnnexp.errors import UserError
from rnnexp.process.preserved import preserved
from rnnexp.runs import experiment
from rnnexp.runs.loading import LoadedRun, load


def run(overrides: Sequence[str] = (), config_dir: str | Path | None = None) -> LoadedRun:
    """Run what `rnnexp train OVERRIDES` runs, and return the finished run.

    sys.argv is not read, and the process does not exit. Afterwards the settings of torch, Hydra and
    loggers are restored (exceptions: see `preserved`).

    Args:
        overrides: as on the command line, for example ["experiment=quickstart", "seed=1"].
        config_dir: a folder of further configs, as for --config-dir.

    Raises:
        UserError: the config or the data are wrong, or the overrides define a sweep.
        RunFailed: the training cannot continue.
    """
    with initialised(Path(config_dir) if config_dir else None):
        sweeps = [str(one.input_line) for one in parse(overrides) if one.is_sweep_override()]
        whole = None if sweeps else compose_whole(overrides)
        if whole is None or whole.hydra.mode == RunMode.MULTIRUN:
            what = sweeps[0] if sweeps else "a sweep"
            raise UserError(
                f"{what}: rnnexp.run starts one run at a time: call it once for each value"
            )
        folder = Path(whole.hydra.run.dir).absolute()
        config = without_hydra(whole)
    check(config)
    with preserved():
        argv = ["rnnexp.run", *overrides]
        experiment.run(config, folder, overrides=list(overrides), argv=argv)
        return load(folder)
