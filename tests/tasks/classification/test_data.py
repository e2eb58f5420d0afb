"""The data module of the classification task: split, vocabulary, batches, and recorded facts."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from rnnexp.data.text.documents import Document
from rnnexp.data.text.ngrams import LogCountRatios, NgramTable
from rnnexp.data.text.source import DocumentSource, cut
from rnnexp.data.text.vocabulary import UNKNOWN
from rnnexp.data.vectors.word_vectors import Loaded
from rnnexp.errors import UserError
from rnnexp.nn.representations import Vectors
from tests.support.toy_documents import fed

SETTINGS: dict[str, Any] = {
    "split_seed": 0,
    "validation_fraction": 0.25,
    "vocabulary": "train",
    "min_count": 1,
    "max_tokens": None,
    "batch_size": 4,
    "eval_batch_size": 4,
    "reshuffle": True,
}


def document(text: str, label: int, group: str) -> Document:
    return Document(text.split(), label, group, text)


class Sayings(DocumentSource):
    """Sixteen documents of two groups and classes to train on, four to test on."""

    things = "sayings"
    classes = ("bad", "good")
    place = "made here"
    extra = "plain"

    def read(self) -> tuple[list[Document], list[Document]]:
        train = [
            document(f"{self.extra} number{n} is {'very ' * n}{word}", label, group)
            for n in range(4)
            for label, word in enumerate(("awful", "fine"))
            for group in ("lamps", "kettles")
        ]
        test = [
            document(f"unheard{n} of {word}", label, "lamps")
            for n in range(2)
            for label, word in enumerate(("awful", "fine"))
        ]
        return train, test


def ready(**changes: Any) -> Sayings:
    source = Sayings(**(SETTINGS | changes))
    source.setup()
    return source


def test_validation_is_a_share_of_every_group_and_class() -> None:
    data = ready()
    kinds = [(one.group, one.label) for one in data.documents["validation"]]
    assert sorted(kinds) == [("kettles", 0), ("kettles", 1), ("lamps", 0), ("lamps", 1)]
    assert len(data.documents["training"]) == 12
    assert fed(ready(validation_fraction=0.0)).val_dataloader() == []


def test_the_vocabulary_is_of_the_training_part_alone_or_of_everything() -> None:
    data = ready()
    trained = {token for one in data.documents["training"] for token in one.tokens}
    assert set(data.vocabulary.tokens) == trained | {UNKNOWN}
    tested = data.stores["test"].batch(torch.tensor([0])).tokens.tolist()[0]
    assert tested[:2] == [data.vocabulary.unknown] * 2
    everything = ready(vocabulary="everything")
    assert "unheard0" in everything.vocabulary and everything.vocabulary.unknown is None
    assert fed(everything).spec.unknown is None
    counts = Counter(token for one in data.documents["training"] for token in one.tokens)
    frequent = ready(min_count=4)
    assert set(frequent.vocabulary.tokens) == {UNKNOWN} | {t for t in counts if counts[t] >= 4}
    assert len(frequent.vocabulary) < len(data.vocabulary)


def test_the_spec_says_what_the_network_needs() -> None:
    spec = fed(ready()).spec
    assert spec.classes == ["bad", "good"]
    assert spec.groups == ["kettles", "lamps"]
    assert spec.tested == 4 and spec.things == "sayings"
    assert spec.title == "2 categories, 4 sayings"


def test_fingerprints_tell_data_split_and_vocabulary_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    def prints(**changes: Any) -> dict[str, str]:
        return dict(ready(**changes).facts()["fingerprints"])

    first = prints()
    assert prints() == first
    assert prints(seed=5) == first
    other_split = prints(split_seed=1)
    assert other_split["data"] == first["data"]
    assert other_split["split"] != first["split"]
    assert prints(min_count=4)["vocabulary"] != first["vocabulary"]
    assert prints(min_count=4)["split"] == first["split"]
    monkeypatch.setattr(Sayings, "extra", "simple")  # one word of every file is another
    assert prints()["data"] != first["data"]


def test_long_documents_keep_both_ends() -> None:
    numbers = list(range(10))
    assert cut(numbers, None) == numbers and cut(numbers, 10) == numbers
    assert cut(numbers, 4) == [0, 1, 8, 9]
    assert cut(numbers, 5) == [0, 1, 2, 8, 9]
    assert int(ready(max_tokens=3).stores["training"].lengths.max()) == 3


class TwoVectors:
    """Vectors of `fine` and `awful`, and of no other word."""

    def __init__(self, unknown: str) -> None:
        self.unknown = unknown

    def load(self, vocabulary: list[str]) -> Loaded:
        known = torch.tensor([word in ("fine", "awful") for word in vocabulary])
        vectors = torch.arange(len(vocabulary)).unsqueeze(1) * torch.ones(3)
        return Loaded(vectors * known.unsqueeze(1), known, "print", "file", "2 words have a vector")


def test_words_without_a_vector_are_left_out_or_learnt() -> None:
    skipping = ready(vectors=TwoVectors("skip"))
    assert sorted(skipping.vocabulary.tokens) == [UNKNOWN, "awful", "fine"]
    assert fed(skipping).spec.vectors == Vectors(dimension=3, known=2)
    assert set(skipping.stores["training"].lengths.tolist()) == {1}
    learning = ready(vectors=TwoVectors("learn"))
    assert len(learning.vocabulary) == len(ready().vocabulary)
    assert learning.facts()["fingerprints"]["vectors"] == "print"


class PlaceOfToken(LogCountRatios):
    """Extra inputs: the index of every token in its document."""

    def fit(
        self, training: list[Document], classes: int, seed: int
    ) -> tuple[list[np.ndarray], NgramTable]:
        table = PlacesOfTokens([], {}, {})
        return [table.of(document.tokens) for document in training], table


class PlacesOfTokens(NgramTable):
    size = 1

    def of(self, tokens: Sequence[str]) -> np.ndarray:
        return np.arange(len(tokens), dtype=np.float32)[:, None]


def test_further_inputs_stay_with_their_tokens() -> None:
    places = PlaceOfToken(["unigram"])
    data = ready(ngrams=places, max_tokens=4)
    assert fed(data).spec.extra == 1 and fed(ready()).spec.extra == 0
    longest = max(range(12), key=lambda row: len(data.documents["training"][row].tokens))
    size = len(data.documents["training"][longest].tokens)
    batch = data.stores["training"].batch(torch.tensor([longest]))
    assert batch.extra is not None
    assert batch.extra[0, :, 0].tolist() == [0, 1, size - 2, size - 1]
    # "awful" and "fine" stand last, and are all that is kept
    skipping = ready(ngrams=places, vectors=TwoVectors("skip"))
    batch = skipping.stores["training"].batch(torch.arange(12))
    assert batch.extra is not None
    sizes = [len(one.tokens) for one in skipping.documents["training"]]
    assert batch.extra[:, 0, 0].tolist() == [size - 1 for size in sizes]


def test_a_document_without_any_known_word_keeps_the_unknown_one() -> None:
    data = ready(vectors=TwoVectors("skip"), max_tokens=2)
    store = data.encode([document("nothing known", 0, "lamps")])
    assert store.tokens.tolist() == [data.vocabulary.unknown]


def test_wrong_settings_are_named() -> None:
    for key, value in {"batch_size": 0, "min_count": 0, "max_tokens": 1}.items():
        with pytest.raises(UserError, match=f"data.{key}"):
            ready(**{key: value})
    with pytest.raises(UserError, match=r"data.validation_fraction is 0.9"):
        ready(validation_fraction=0.9)
