"""Run folders that several tests begin with."""

import shutil
from collections.abc import Callable
from pathlib import Path


class Kept:
    """A folder as `make` filled it, which `restored` puts back to how it was then.

    The path stays the same, so paths that are recorded in the folder stay right.
    """

    def __init__(self, place: Path, make: Callable[[Path], object]) -> None:
        self.place = place
        place.mkdir(parents=True)
        make(place)
        self._copy = shutil.copytree(place, place.with_name(f"{place.name}_as_it_was"))

    def restored(self) -> Path:
        shutil.rmtree(self.place)
        return shutil.copytree(self._copy, self.place)
