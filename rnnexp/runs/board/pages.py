"""The folder that `rnnexp board` gives to TensorBoard: a link to the events of every run, under a
name that tells it from the others, and the columns of HPARAMS for all of them."""

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from rnnexp.callbacks.position import EVENTS
from rnnexp.errors import UserError
from rnnexp.printing import printable
from rnnexp.runs.board.hparams import columns
from rnnexp.runs.board.summary import final_metrics
from rnnexp.runs.comparison.leaderboard import Entry, differing, find_runs
from rnnexp.runs.comparison.leaderboard_texts import short_names
from rnnexp.runs.folder.reading import TRACE
from rnnexp.runs.hyperparameters import typed_keys

LONGEST = 200  # characters of a name, which names a link
MOST_KEYS = 3  # in a name, of those that nobody has given


class Pages:
    """Links to the events of all runs below some folders.

    folders: with runs, at any depth. place: an empty folder for the links. runs: how many of them
    were there at the beginning.

    Raises:
        UserError: a folder does not exist, or none holds a run with events.
    """

    def __init__(self, folders: Sequence[Path], place: Path) -> None:
        self.folders, self.place = folders, place
        self.linked: dict[Path, str] = {}
        entries = self.update()
        self.runs = len(entries)
        if not self.linked:
            raise UserError(
                f"no run in {', '.join(map(str, folders))} has events of TensorBoard: a run writes "
                "them with logger=tensorboard, which is the default"
            )
        self._write_columns(entries)

    def update(self) -> list[Entry]:
        """Link the runs that have come since. Returns all runs that are linked."""
        runs = find_runs(self.folders)
        found = {one.folder: events_of(one.folder) for one in runs}
        entries = [one for one in runs if found[one.folder]]
        for entry, name in zip(entries, names(entries), strict=True):
            for events in found[entry.folder]:
                if events not in self.linked:
                    traced = events == entry.folder / TRACE
                    self._link(events, f"{name}, traced" if traced else name)
        return entries

    def look_again(self) -> None:
        """As `update`, while someone may be moving or removing folders."""
        with suppress(UserError, OSError):
            self.update()

    def _link(self, events: Path, name: str) -> None:
        taken = set(self.linked.values())
        numbered = (name if n == 1 else f"{name} ({n})" for n in range(1, len(taken) + 2))
        free = next(one for one in numbered if one not in taken)
        (self.place / free).symlink_to(events.resolve(), target_is_directory=True)
        self.linked[events] = free

    def _write_columns(self, entries: Sequence[Entry]) -> None:
        """The columns of HPARAMS: the keys that differ and the metrics, over all runs. TensorBoard
        takes them from the first folder, which would otherwise be a single run."""
        differ = ["model", *telling_keys(entries), "seed"]
        whole = [entry.shown | {"seed": entry.seed} for entry in entries]
        settings = [{key: one[key] for key in differ if key in one} for one in whole]
        units: dict[str, str] = {}
        for entry in entries:
            units |= dict.fromkeys(final_metrics(entry.metrics, entry.headline), "")
        for entry in entries:
            named = {f"test/{name}": unit for name, unit in entry.units.items()}
            units |= {tag: unit for tag, unit in named.items() if tag in units}
        writer = EventFileWriter(str(self.place))
        writer.add_event(Event(summary=columns(settings, differ, units)))
        writer.close()


def events_of(folder: Path) -> list[Path]:
    """The folders with events of a run: one, unless it was made otherwise, and of its traces."""
    paths = [*(folder / "tensorboard").rglob(EVENTS), *(folder / TRACE).glob(EVENTS)]
    return sorted({path.parent for path in paths})


def names(entries: Sequence[Entry]) -> list[str]:
    """A name of each run: that of its experiment, in what it differs from the others of this name,
    and its seed, e.g. `quickstart_reviews, gru, hidden_size 32, seed 0`. Equal runs have the names
    of their folders besides."""
    same: dict[object, list[Entry]] = {}
    for entry in entries:
        same.setdefault(entry.shown.get("name"), []).append(entry)
    keys = {name: telling_keys(group) for name, group in same.items()}
    found = []
    for entry in entries:
        name = entry.shown.get("name")
        told = [str(name)]
        for key, short in short_names(keys[name]).items():
            value = entry.shown.get(key)
            if value is not None:
                told.append(str(value) if key == "model" else f"{short} {_number(value)}")
        found.append(_as_link(", ".join([*told, f"seed {entry.seed}"])))
    several = Counter(found)
    return [
        f"{name}, {entry.folder.name}"[:LONGEST] if several[name] > 1 else name
        for name, entry in zip(found, entries, strict=True)
    ]


def telling_keys(entries: Sequence[Entry]) -> list[str]:
    """The config keys in which runs differ: those that someone has given, if there are any, else
    the first ones."""
    keys = [key for key in differing(list(entries)) if key != "name"]
    given = {key for entry in entries for key in typed_keys(entry.overrides)}
    return [key for key in keys if key in given] or keys[:MOST_KEYS]


def _number(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _as_link(name: str) -> str:
    """The name of a file; TensorBoard takes what stands before a slash for a group."""
    shown = printable(name).replace("/", "-").replace("\n", " ")
    return shown[:LONGEST].strip().lstrip(".") or "run"
