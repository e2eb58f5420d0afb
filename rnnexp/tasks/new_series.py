"""What the tasks on series say of the new ones that they predict."""

from collections.abc import Sequence

from rnnexp.data.series.cleaning import Series
from rnnexp.data.series.raw import RawSeries
from rnnexp.data.series.source import SeriesSource
from rnnexp.tasks.answers import listed, one_line


def how_read(
    raw: Sequence[RawSeries], series: Sequence[Series], known: Sequence[str], source: SeriesSource
) -> list[str]:
    """Sentences on how series were read. raw: as in the files; series: those that are predicted;
    known: the names of those in training."""
    notes = []
    utc = [one.name for one in raw if one.utc]
    if utc and source.clock.timezone is None:
        notes.append(f"times written with a UTC offset, or as an epoch, are UTC: {listed(utc)}")
    if strange := [one.name for one in series if one.name not in known]:
        notes.append(
            f"series that were not in training, scaled by their own history: {listed(strange)}; "
            f"those in training were {listed(known)} ({source.named})"
        )
    done = "masked" if source.cleaning.masks else "repaired"
    for one in series:
        if repaired := int((~one.observed[-source.look_back :]).sum()):
            notes.append(
                f"{one_line(one.name)}: {repaired:,} of the last {source.look_back} values were "
                f"missing or near zero, and were {done}"
            )
    return notes
