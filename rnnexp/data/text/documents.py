"""A labelled document."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Document:
    """One labelled sequence of tokens: the words of a review, the characters of a name.

    label: index of its class. group: a group by which results are also reported (a product
    category), or empty. text: the original text.
    """

    tokens: Sequence[str]
    label: int
    group: str
    text: str
