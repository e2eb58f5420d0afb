"""SYNTHETIC documents: the first word gives the class, and no other word depends on it."""

from collections import Counter

import numpy as np
import pytest

from rnnexp.config import compose, instantiate
from rnnexp.data.sources.synthetic_recall import SyntheticRecall
from rnnexp.errors import UserError
from tests.support.toy_documents import fed


def ready(*overrides: str) -> SyntheticRecall:
    data: SyntheticRecall = instantiate(compose(["data=synthetic_recall", *overrides]), "data")
    data.setup()
    return data


def everything(data: SyntheticRecall) -> list[tuple[tuple[str, ...], int]]:
    return [(tuple(one.tokens), one.label) for part in data.documents.values() for one in part]


@pytest.mark.parametrize("distance", [1, 20])
def test_the_first_word_tells_the_class_so_many_words_before_the_end(distance: int) -> None:
    data = ready(f"data.distance={distance}")
    for tokens, label in everything(data):
        assert tokens[0] == ("no", "yes")[label]
        assert len(tokens) == distance + 1
        assert not {"no", "yes"} & set(tokens[1:])
    assert Counter(label for _, label in everything(data)) == {0: 1250, 1: 1250}
    assert {part: len(documents) for part, documents in data.documents.items()} == {
        "training": 1800,
        "validation": 200,
        "test": 500,
    }
    batch = next(iter(fed(data).val_dataloader()))
    assert batch.lengths is None and batch.tokens.shape == (200, distance + 1)


def test_the_other_words_tell_nothing() -> None:
    """At equal rates, the difference of two counts stays within 5 standard deviations."""
    counts = [Counter[str](), Counter[str]()]
    for tokens, label in everything(ready()):
        counts[label].update(tokens[1:])
    words = sorted(set(counts[0]) | set(counts[1]))
    assert len(words) == 20
    first, second = (np.array([count[word] for word in words]) for count in counts)
    assert (abs(first - second) < 5 * np.sqrt(first + second)).all()


def test_the_vocabulary_has_all_words_at_any_size() -> None:
    assert ready("data.number=10", "data.distance=1").vocabulary.tokens == ready().vocabulary.tokens
    assert len(ready().vocabulary) == 22


def test_more_documents_and_longer_ones_change_nothing_in_the_others() -> None:
    fewer, more = ready("data.number=100"), ready("data.number=200", "data.distance=30")
    shortened = {(tokens[:21], label) for tokens, label in everything(more)}
    assert set(everything(fewer)) < shortened


def test_the_generator_s_seed_decides_the_data_and_the_run_s_does_not() -> None:
    def print_of(*overrides: str) -> str:
        return str(ready("data.number=50", *overrides).facts()["fingerprints"]["data"])

    first = print_of()
    assert print_of("seed=5") == print_of("data.split_seed=3") == first
    assert print_of("data.generator_seed=1") != first


def test_it_draws_nothing_from_the_global_stream() -> None:
    np.random.seed(0)
    expected = np.random.random()
    np.random.seed(0)
    ready("data.number=10")
    assert np.random.random() == expected


def test_they_are_called_synthetic_wherever_they_are_shown() -> None:
    data = ready("data.number=50")
    spec = fed(data).spec
    assert spec.things == "SYNTHETIC documents" and "SYNTHETIC" in spec.title
    assert data.place == "SYNTHETIC, generated with data.generator_seed=0"
    assert all(name.startswith("synthetic_") for name in spec.classes)


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("data.distance=0", "data.distance is 0: it must be at least 1"),
        ("data.number=9", "data.number is 9: it must be at least 10"),
        ("data.test_fraction=0.01", "data.test_fraction is 0.01: it must be from 0.1 to 0.5"),
        ("data.max_tokens=20", "data.max_tokens=20 would cut documents of 21 words"),
    ],
)
def test_a_mistake_is_one_sentence(override: str, sentence: str) -> None:
    with pytest.raises(UserError) as caught:
        ready(override)
    assert sentence in str(caught.value) and "\n" not in str(caught.value)


def test_as_many_tokens_as_there_are_is_no_mistake() -> None:
    assert ready("data.number=10", "data.max_tokens=21").stores["test"].lengths.tolist() == [21, 21]
