"""`rnnexp.run([...])`: one run from Python, in a notebook or another program."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rnnexp.errors import UserError
from rnnexp.launching.plan import check_jobs, plan
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
    planned = plan(overrides, config_dir=Path(config_dir) if config_dir else None)
    if planned.sweep:
        raise UserError("this is a sweep: from Python, call rnnexp.run for each of its runs")
    [job] = planned.jobs
    check_jobs([job])
    with preserved():
        argv = ["rnnexp.run", *overrides]
        facts: dict[str, Any] = {"choices": job.choices, "label": job.label, "argv": argv}
        experiment.run(job.config, planned.folder, overrides=list(job.overrides), **facts)
        return load(planned.folder)
