"""The vocabulary: which tokens there are, and the number of each."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence

UNKNOWN = "<unknown>"


class Vocabulary:
    """Tokens in their order; a token's place is its number.

    Tokens that are not in it become `<unknown>` where that is in it, and are left out elsewhere.
    """

    def __init__(self, tokens: Sequence[str]) -> None:
        self.tokens = list(tokens)
        self.number = {token: number for number, token in enumerate(self.tokens)}
        if len(self.number) != len(self.tokens):
            raise ValueError("a token stands in the vocabulary twice")
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
    """Every token that occurs at least so often, the most frequent first, equals by alphabet."""
    counts = Counter(token for tokens in sequences for token in tokens)
    kept = [token for token, count in counts.items() if count >= least]
    return sorted(kept, key=lambda token: (-counts[token], token))
