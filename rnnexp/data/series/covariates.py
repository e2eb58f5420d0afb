"""What is known of the further columns of a series, and when.

known     known beforehand, over the whole horizon: a price, a plan, a weather forecast
observed  measured: known up to the issue time, and no further
static    a number that is the same in every row of a series: the area of a shop

A further column that is in none of these is observed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rnnexp.errors import UserError
from rnnexp.nearest import did_you_mean


def check_roles(columns: Sequence[str], roles: Mapping[str, Sequence[str]]) -> None:
    """Check that each column has one role.

    columns: the names of the value columns of a series, the target first. roles: of `known`,
    `observed` and `static` -> names.

    Raises:
        UserError: a column has two roles or is named twice, is the target, or does not exist.
    """
    target, further = columns[0], columns[1:]
    taken: dict[str, str] = {}
    for role, names in roles.items():
        for name in names:
            if name == target:
                raise UserError(f"data.{role}: {name!r} is the column to predict: remove it there")
            if taken.get(name) == role:
                raise UserError(f"data.{role} names {name!r} twice: remove one of them")
            if name in taken:
                raise UserError(
                    f"{name!r} stands in data.{taken[name]} and in data.{role}: remove it in one "
                    "of them"
                )
            taken[name] = role
            if role == "static" and name in further:
                raise UserError(
                    f"data.static: {name!r} is among the columns that change from row to row "
                    "(data.input_columns): remove it in one of them"
                )
            if role != "static" and name not in further:
                raise UserError(
                    f"data.{role}: {name!r} is not a further column of the series"
                    f"{did_you_mean(name, further)}"
                )
