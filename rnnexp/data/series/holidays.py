"""Public holidays by date, from the library `holidays`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from rnnexp.errors import UserError
from rnnexp.nearest import did_you_mean

KEY = "data.conditioning.holidays"
CODES = ": give a code such as US, DE, DE-BY or GB-ENG"


class PublicHolidays:
    """The public holidays of a country, or of one of its subdivisions, with the days on which they
    are observed.

    place: the library's codes, e.g. `US` or `DE-BY`.

    Raises:
        UserError: the library is not installed, or does not know the place.
    """

    def __init__(self, place: str) -> None:
        self.place, self.library = place, _library(place)
        self.country, dash, subdivision = place.partition("-")
        self.subdivision = subdivision if dash else None
        known = self.library.list_supported_countries(include_aliases=False)
        if self.country not in known:
            near = _near(self.country, self._names())
            hint = f"; did you mean {near}{dash}{subdivision.upper()}?" if near else CODES
            raise UserError(f"{KEY}={place}: there is no country {self.country!r}{hint}")
        choices = known[self.country]
        if dash and subdivision not in choices:
            aliases = self.library.country_holidays(self.country).subdivisions_aliases
            near = _near(subdivision, aliases) or subdivision.upper()
            hint = did_you_mean(near, choices, f"{self.country}-") or f": set {KEY}={self.country}"
            raise UserError(
                f"{KEY}={place}: {self.country} has no subdivision {subdivision!r}{hint}"
            )

    def _names(self) -> dict[str, str]:
        """The code of each country by its other names: `UnitedStates`, `USA`."""
        registered = self.library.registry.COUNTRIES.values()
        return {name: code for name, code, *more in registered for name in (name, code, *more)}

    def among(self, days: np.ndarray) -> np.ndarray:
        """bool (N,): which of the days (N,), datetime64[D], are public holidays.

        Raises:
            UserError: the library does not know the holidays of one of their years.
        """
        years = np.unique(days.astype("datetime64[Y]")).astype(np.int64) + 1970
        if not len(years):
            return np.zeros(0, bool)
        # A year more at both ends: a holiday may be observed in the year before its own.
        covered = range(int(years[0]) - 1, int(years[-1]) + 2)
        found = self.library.country_holidays(self.country, self.subdivision, years=covered)
        holidays = np.array(sorted(found), dtype="datetime64[D]")
        first, last = found.start_year, found.end_year
        known = np.isin(years, holidays.astype("datetime64[Y]").astype(np.int64) + 1970)
        known &= (years >= first) & (years <= last)
        if not known.all():
            raise UserError(
                f"{KEY}={self.place}: the library holidays knows the years {first} to {last} of "
                f"{self.country}, but the series have steps of {years[~known][0]}: leave them out, "
                f"or set {KEY}=null"
            )
        return np.isin(days, holidays)


def _near(word: str, names: Mapping[str, str]) -> str | None:
    """The code that stands for a word, whatever its case and blanks."""
    folded = {"".join(name.split()).casefold(): code for name, code in names.items()}
    return folded.get("".join(word.split()).casefold())


def _library(place: str) -> Any:
    try:
        import holidays
        import holidays.registry
    except ImportError as error:
        raise UserError(
            f"{KEY}={place} needs the library holidays, which is not installed: pip install "
            f"'rnnexp[holidays]', or set {KEY}=null"
        ) from error
    return holidays
