"""What the page of a search has beside that of its runs: the study itself."""

import importlib.util
from pathlib import Path

from matplotlib.figure import Figure

from rnnexp.tables import Table

DATABASE = "study.db"


def has_study(folder: Path) -> bool:
    """Whether a folder is that of a search that keeps its study there, and Optuna can read it."""
    return (folder / DATABASE).exists() and importlib.util.find_spec("optuna") is not None


def read_study(folder: Path) -> tuple[Table | None, dict[str, Figure]]:
    """The table of the best trials, and the figures of the study; nothing without a completed one.

    Raises:
        UserError: the study cannot be read.
    """
    # Late: they import Optuna, which is not always there.
    from rnnexp.search.report import best_trials, figures
    from rnnexp.search.study import METRIC, RecordedStudy

    study = RecordedStudy(folder)
    best = study.best()
    if not best:
        return None, {}
    metric = str(best[0].user_attrs.get(METRIC, "value"))
    return best_trials(study, metric), figures(study, metric)
