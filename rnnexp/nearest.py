"""Suggests a valid word for a misspelt one."""

from collections.abc import Iterable
from difflib import get_close_matches


def did_you_mean(
    word: str, choices: Iterable[str], prefix: str = "", otherwise: str | None = None
) -> str:
    """The end of an error message: the choice closest to `word`, or all choices if none is close.

    It starts with "; " and is empty if there are no choices. prefix: put before the closest one.
    otherwise: said in the place of all choices, where they are too many.
    """
    known = sorted({str(choice) for choice in choices})
    near = get_close_matches(word, known, n=1, cutoff=0.6)
    if near:
        return f"; did you mean {prefix}{near[0]}?"
    if otherwise is not None:
        return otherwise
    return f"; choose from {', '.join(known)}" if known else ""
