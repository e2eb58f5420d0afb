"""The vocabulary."""

import pytest

from rnnexp.data.text.vocabulary import UNKNOWN, Vocabulary, count_tokens


def test_tokens_are_counted_the_most_frequent_first_and_equals_by_alphabet() -> None:
    sequences = [["b", "a", "c", "a"], ["d", "b", "a"]]
    assert count_tokens(sequences) == ["a", "b", "c", "d"]
    assert count_tokens(sequences, least=2) == ["a", "b"]


def test_strangers_become_the_unknown_token_or_are_left_out() -> None:
    open_one = Vocabulary([UNKNOWN, "good", "bad"])
    assert open_one.encode(["bad", "odd", "good"]) == [2, 0, 1]
    closed = Vocabulary(["good", "bad"])
    assert closed.unknown is None
    assert closed.encode(["bad", "odd", "good"]) == [1, 0]


def test_the_order_is_part_of_the_fingerprint() -> None:
    assert Vocabulary(["a", "b"]).fingerprint != Vocabulary(["b", "a"]).fingerprint
    with pytest.raises(ValueError, match="twice"):
        Vocabulary(["a", "a"])
