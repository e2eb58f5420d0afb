"""Which page a folder gets, and where it is written."""

import os
from collections.abc import Sequence
from pathlib import Path

from rnnexp import console
from rnnexp.launching import sweep
from rnnexp.report.backtest import backtest_page
from rnnexp.report.many import folders_page, search_page, sweep_page
from rnnexp.report.page import write_page
from rnnexp.report.run import run_page
from rnnexp.report.search import has_study
from rnnexp.runs.folder.reading import BACKTEST, REPORT, check_folder


def write_report(folders: Sequence[Path], output: Path | None = None) -> tuple[Path, bool]:
    """Write the page about a folder, or about all runs of several ones. Returns its path, and
    whether it took the place of an earlier page.

    output: the file; None for report.html in the folder or, of several, in the current one.

    Raises:
        UserError: a folder does not exist, holds nothing to report on, or is damaged; or something
            else is where the page would be.
        RunFailed: the page cannot be written.
    """
    for folder in folders:
        check_folder(folder, "the folder of a run or of a sweep")
    path = output or (folders[0] if len(folders) == 1 else Path()) / REPORT
    with console.working("drawing the page"):
        html = _page(folders, path)
    return path, write_page(path, html)


def _page(folders: Sequence[Path], path: Path) -> str:
    [first, *others] = folders
    if not others and os.path.lexists(first / "run.json"):
        return run_page(first, path)
    if not others and (first / BACKTEST).exists():
        return backtest_page(first)
    if not others and (first / sweep.FILE).exists():
        return sweep_page(first, path)
    if not others and has_study(first):
        return search_page(first, path)
    return folders_page(folders, path)
