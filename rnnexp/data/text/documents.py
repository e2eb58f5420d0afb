"""A document: the tokens of one sequence, its class, and where it comes from."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Document:
    """One labelled sequence of tokens: the words of a review, the characters of a name.

    label: number of its class. group: what results are also told apart by (a product category);
    empty where there is none. text: as a person reads it.
    """

    tokens: Sequence[str]
    label: int
    group: str
    text: str
