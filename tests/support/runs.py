"""Run folders that several tests start from."""

import shutil
from collections.abc import Callable
from pathlib import Path


class Kept:
    """A folder that `make` fills once. `restored` undoes what tests have changed in it since.

    The path stays the same, so the paths that a run records stay valid.
    """

    def __init__(self, place: Path, make: Callable[[Path], object]) -> None:
        self.place = place
        place.mkdir(parents=True)
        make(place)
        self._copy = shutil.copytree(place, place.with_name(f"{place.name}_as_it_was"))

    def restored(self) -> Path:
        shutil.rmtree(self.place)
        return shutil.copytree(self._copy, self.place)
