"""The vocabulary: tokens and their numbers."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence

UNKNOWN = "<unknown>"


class Vocabulary:
    """An ordered list of tokens; the index of a token is its number.

    Tokens outside the vocabulary become `<unknown>` if the vocabulary contains it, and are left
    out otherwise.

    Raises:
        ValueError: a token occurs twice.
    """

    def __init__(self, tokens: Sequence[str]) -> None:
        self.tokens = list(tokens)
        self.number = {token: number for number, token in enumerate(self.tokens)}
        if len(self.number) != len(self.tokens):
            raise ValueError("the vocabulary has a token twice")
        self.unknown = self.number.get(UNKNOWN)

    def __len__(self) -> int:
        return len(self.tokens)

    def __contains__(self, token: str) -> bool:
        return token in self.number

    def encode(self, tokens: Iterable[str]) -> list[int]:
        """The numbers of these tokens."""
        numbers = (self.number.get(token, self.unknown) for token in tokens)
        return [number for number in numbers if number is not None]

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(json.dumps(self.tokens).encode()).hexdigest()


def count_tokens(sequences: Iterable[Sequence[str]], least: int = 1) -> list[str]:
    """Tokens that occur at least `least` times, the most frequent first; ties in string order."""
    counts = Counter(token for tokens in sequences for token in tokens)
    kept = [token for token, count in counts.items() if count >= least]
    return sorted(kept, key=lambda token: (-counts[token], token))
