"""The page of many runs: a sweep, a search, or all runs below some folders."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rnnexp.errors import UserError
from rnnexp.launching import sweep
from rnnexp.report.figures import Drawn, inline
from rnnexp.report.page import duration, link, rendered
from rnnexp.report.ranking import Ranking, ranking
from rnnexp.report.run import commands
from rnnexp.report.search import read_study
from rnnexp.runs.comparison.leaderboard import Entry, find_runs, ranked
from rnnexp.runs.experiment import to_type
from rnnexp.runs.folder.reading import read_run, read_sweep
from rnnexp.tables import counted

MOST_ERROR = 300  # characters of an error in a table
MOST_NAMES = 4  # of runs, in a title


@dataclass(frozen=True)
class Failure:
    """A run without a result, or a job without a record. url: empty without a folder."""

    name: str
    url: str
    status: str
    overrides: str
    error: str


@dataclass(frozen=True)
class Many:
    """All of the page."""

    rankings: list[Ranking]
    failures: list[Failure]
    counts: list[tuple[str, int]]
    seconds: str  # of training, of all together
    again: str = ""  # what to type to try the jobs without a result again


# Pages --------------------------------------------------------------------------------------------


def sweep_page(folder: Path, output: Path) -> str:
    """The HTML of the page about a sweep.

    Raises:
        UserError: sweep.json is damaged.
    """
    asked = read_sweep(folder)
    lost = missing_jobs(folder)
    jobs = asked["jobs"]
    entries = [] if len(lost) == len(jobs) else find_runs([folder])
    found = many(entries, output)
    found.failures.extend(lost)
    if any(one.status != "running" for one in found.failures):
        found = replace(found, again=to_type("resume", folder.resolve(), "--failed"))
    name = next((str(entry.config["name"]) for entry in entries if "name" in entry.config), "")
    return rendered(
        "many.html",
        kind=f"sweep of {len(jobs)} jobs",
        title=name or folder.resolve().name,
        started=asked["started"],
        folder="/".join(folder.resolve().parts[-2:]),
        commands=commands(asked),
        found=found,
        study=None,
        drawn=Drawn(),
    )


def search_page(folder: Path, output: Path) -> str:
    """The HTML of the page about a search.

    Raises:
        UserError: it has no runs, or its study cannot be read.
    """
    entries = find_runs([folder])
    table, figures = read_study(folder)
    return rendered(
        "many.html",
        kind="search",
        title=folder.resolve().name,
        started="",
        folder="/".join(folder.resolve().parts[-2:]),
        commands={},
        found=many(entries, output),
        study=table,
        drawn=inline(figures),
    )


def folders_page(folders: Sequence[Path], output: Path) -> str:
    """The HTML of the page about all runs below some folders.

    Raises:
        UserError: there is none.
    """
    entries = find_runs(folders)
    several = len(folders) > 1
    return rendered(
        "many.html",
        kind=counted(len(entries), "run"),
        title=_names(entries) if several else folders[0].resolve().name,
        started="",
        folder=", ".join("/".join(folder.resolve().parts[-2:]) for folder in folders),
        commands={},
        found=many(entries, output),
        study=None,
        drawn=Drawn(),
    )


def _names(entries: Sequence[Entry]) -> str:
    names = list(dict.fromkeys(str(entry.config["name"]) for entry in entries))
    more = len(names) - MOST_NAMES
    return ", ".join(names[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


# Their parts --------------------------------------------------------------------------------------


def many(entries: Sequence[Entry], output: Path) -> Many:
    """What a page shows of many runs."""
    tables = ranked(list(entries))
    rankings = [
        ranking(f"t{place}", title, table, groups, output)
        for place, (title, (table, groups)) in enumerate(tables.items())
    ]
    times = [entry.seconds for entry in entries if entry.seconds == entry.seconds]
    ends = [entry for entry in entries if entry.status not in ("completed", "pruned")]
    return Many(
        rankings=rankings,
        failures=[_failure(entry, output) for entry in ends],
        counts=Counter(entry.status for entry in entries).most_common(),
        seconds=duration(sum(times)) if times else "",
    )


def missing_jobs(folder: Path) -> list[Failure]:
    """The jobs of a sweep that left no record."""
    return [
        Failure(one.folder.name, "", one.status, " ".join(one.overrides), "")
        for one in sweep.failures(folder)
        if one.status == sweep.MISSING
    ]


def _failure(entry: Entry, output: Path) -> Failure:
    error = entry.damage
    if not error:
        try:
            error = str(read_run(entry.folder).get("error", ""))
        except UserError as damage:
            error = str(damage)
    return Failure(
        entry.folder.name,
        link(entry.folder, output),
        entry.status,
        " ".join(entry.overrides),
        error if len(error) <= MOST_ERROR else f"{error[:MOST_ERROR]}…",
    )
