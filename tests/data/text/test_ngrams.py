"""Log-count ratios of n-grams, against counting by hand."""

import math

import numpy as np
import pytest
import torch
from sklearn.feature_extraction.text import CountVectorizer

from rnnexp.data.text.documents import Document
from rnnexp.data.text.ngrams import Kind, LogCountRatios, NgramTable
from rnnexp.errors import UserError


def documents(*texts: tuple[str, int]) -> list[Document]:
    return [Document(text.split(), label, "lamps", text) for text, label in texts]


TRAINING = documents(
    ("good lamp good", 1), ("good light", 1), ("fine lamp", 1), ("not good", 0), ("bad lamp", 0)
)
TEST = documents(("not good lamp", 0), ("unheard of", 1), ("", 1))


def inputs_of(
    ratios: LogCountRatios, documents: dict[str, list[Document]], seed: int, classes: int = 2
) -> dict[str, list[np.ndarray]]:
    """The documents of the part `training`, which the ratios are fitted to, and the others."""
    training, table = ratios.fit(documents["training"], classes, seed)
    others = {part: listed for part, listed in documents.items() if part != "training"}
    found = {part: [table.of(one.tokens) for one in listed] for part, listed in others.items()}
    return {"training": training, **found}


def by_hand(positive: int, negative: int, positives: int = 3, negatives: int = 2) -> float:
    """With smoothing 1: the ratio of the fractions of documents that contain an n-gram."""
    return math.log((positive + 1) / (positives + 1)) - math.log((negative + 1) / (negatives + 1))


def test_ratios_are_those_of_document_counts() -> None:
    kinds: list[Kind] = ["unigram", "bigram", "skip_bigram", "trigram"]
    found = inputs_of(LogCountRatios(kinds, parts=2), {"training": TRAINING, "test": TEST}, seed=0)
    not_good_lamp = found["test"][0]
    assert not_good_lamp.shape == (3, 4) and not_good_lamp.dtype == np.float32
    expected = [
        # not; good; lamp: each counted once a document
        [by_hand(0, 1), by_hand(2, 1), by_hand(2, 1)],
        # <before> not; not good; good lamp
        [by_hand(0, 1), by_hand(0, 1), by_hand(1, 0)],
        # <before> _ not; <before> _ good; not _ lamp
        [by_hand(0, 1), by_hand(2, 1), by_hand(0, 0)],
        # <before> <before> not; <before> not good; not good lamp
        [by_hand(0, 1), by_hand(0, 1), by_hand(0, 0)],
    ]
    for column, values in enumerate(expected):
        ratios = not_good_lamp[:, column]
        unit = values[0] / ratios[0]  # one standard deviation of the training part
        assert unit > 0
        np.testing.assert_allclose(ratios * unit, values, rtol=1e-5, atol=1e-6)
    unheard = by_hand(0, 0)
    assert np.allclose(found["test"][1][:, 0] / found["test"][0][0, 0], unheard / by_hand(0, 1))
    assert found["test"][2].shape == (0, 4)


NAMES = {0: ["kos", "novak", "kolar"], 1: ["korhonen", "virta", "nieminen"], 2: ["rossi", "conti"]}


def names() -> list[Document]:
    return [Document(list(n), label, "", n) for label, listed in NAMES.items() for n in listed]


def test_ratios_of_many_classes_are_those_of_scikit_learn_s_counts() -> None:
    """One column per kind and class: documents of the class against all other documents."""
    lengths: dict[Kind, int] = {"unigram": 1, "trigram": 3, "fivegram": 5}
    label = np.array([document.label for document in names()])
    ratios = LogCountRatios(list(lengths), parts=2, smoothing=0.5)
    training, table = ratios.fit(names(), classes=3, seed=0)
    assert table.size == 9
    new = "novinen"
    found = table.of(list(new))
    assert found.shape == (7, 9) and found.dtype == np.float32
    assert [one.shape for one in training] == [(len(one.text), 9) for one in names()]
    for place, length in enumerate(lengths.values()):
        counter = CountVectorizer(analyzer=lambda name, n=length: ngrams(name, n), binary=True)
        count = counter.fit_transform([one.text for one in names()]).toarray()
        for one_class in range(3):
            own = label == one_class
            expected = []
            for ngram in ngrams(new, length):
                column = counter.vocabulary_.get(ngram)
                held = count[:, column] if column is not None else np.zeros(len(label))
                own_share = (held[own].sum() + 0.5) / (own.sum() + 0.5)
                share_of_others = (held[~own].sum() + 0.5) / ((~own).sum() + 0.5)
                expected.append(math.log(own_share / share_of_others))
            column = found[:, 3 * place + one_class]
            unit = expected[0] / column[0]  # one standard deviation of the training part
            assert unit > 0
            np.testing.assert_allclose(column * unit, expected, rtol=1e-5, atol=1e-6)


def ngrams(name: str, length: int) -> list[str]:
    """The n-grams that end at each character; the padding before the first is a space."""
    padded = " " * (length - 1) + name
    return [padded[end - length : end] for end in range(length, len(padded) + 1)]


def test_a_unit_is_the_deviation_of_a_kind_and_class_in_the_training_part() -> None:
    training, _ = LogCountRatios(["bigram", "unigram"], parts=2).fit(names(), 3, seed=0)
    np.testing.assert_allclose(np.concatenate(training).std(axis=0), 1, rtol=1e-5)


def test_a_name_to_train_on_never_sees_its_own_class() -> None:
    """The last five letters of each name are unique: they predict the class of a new name with the
    same ending, and give all names of one fold the same inputs."""
    training, table = LogCountRatios(["fivegram"], parts=2).fit(names(), classes=3, seed=0)
    for document in names():
        assert table.of(document.tokens)[-1].argmax() == document.label
    assert len({own[-1].tobytes() for own in training}) <= 2


def test_a_document_to_train_on_never_sees_its_own_label() -> None:
    """Each text has a unique word, which would reveal the label if it were counted."""
    many = documents(*((f"word{number} and more", number % 2) for number in range(40)))
    found = inputs_of(
        LogCountRatios(["unigram"], parts=4), {"training": many, "test": many}, seed=0
    )
    own_word = np.array([rows[0, 0] for rows in found["training"]])
    told = np.array([rows[0, 0] for rows in found["test"]])  # evaluated as if they were new
    labels = np.array([document.label for document in many])
    assert (np.sign(told) == np.where(labels == 1, 1, -1)).all()
    assert np.abs(own_word).max() < 0.2 * np.abs(told).min()


def test_equal_texts_are_left_out_together() -> None:
    twins = documents(*((f"word{number // 2} here", number // 2 % 2) for number in range(40)))
    found = inputs_of(LogCountRatios(["unigram"], parts=4), {"training": twins, "test": []}, seed=0)
    own_word = np.array([rows[0, 0] for rows in found["training"]])
    known = documents(*((f"word{number} here", number % 2) for number in range(20)))
    told = inputs_of(
        LogCountRatios(["unigram"], parts=4), {"training": twins, "test": known}, seed=0
    )
    assert np.abs(own_word).max() < np.abs([rows[0, 0] for rows in told["test"]]).min()


def test_a_class_whose_texts_are_all_equal_is_in_one_part_alone() -> None:
    """The other folds have no document of the class: its ratios are finite, and equal for all words
    that occur in no other fold."""
    same = documents(*((f"word{n}", n % 2) for n in range(8)), *[("same", 2)] * 4)
    training, table = LogCountRatios(["unigram"], parts=2).fit(same, classes=3, seed=0)
    assert table.of(["same"])[0].argmax() == 2
    assert all(np.isfinite(own).all() for own in training)
    with_it = [own for own in training if own[0, 2] == training[-1][0, 2]]
    assert len(with_it) > 4


def test_the_seed_divides_the_training_part() -> None:
    many = documents(*((f"word{number % 7} of {number}", number % 2) for number in range(40)))

    def inputs(seed: int) -> np.ndarray:
        found = inputs_of(LogCountRatios(["unigram"], parts=2), {"training": many}, seed)
        return np.concatenate(found["training"])

    assert np.array_equal(inputs(0), inputs(0))
    assert not np.array_equal(inputs(0), inputs(1))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("of_the_last", [2, 12])
def test_groups_smaller_than_the_number_of_parts(of_the_last: int) -> None:
    """Three groups have four documents of each class, the last has `of_the_last`."""
    training = [
        Document(["word", f"{group}{number}"], number % 2, f"group{group}", f"{group}{number}")
        for group in range(4)
        for number in range(8 if group < 3 else 2 * of_the_last)
    ]
    parts = {"training": training, "test": training}
    found = inputs_of(LogCountRatios(["unigram"], parts=10), parts, seed=0)
    own_word = np.abs([rows[1, 0] for rows in found["training"]])
    told = np.abs([rows[1, 0] for rows in found["test"]])  # evaluated as if they were new
    assert len(own_word) == len(training) and own_word.max() < told.min()


def test_what_cannot_be_is_refused_in_one_sentence() -> None:
    with pytest.raises(UserError, match=r"data\.ngrams\.kinds"):
        LogCountRatios(["sixgram"])  # type: ignore[list-item]
    with pytest.raises(UserError, match=r"data\.ngrams\.kinds .* each kind only once"):
        LogCountRatios(["unigram", "unigram"])
    with pytest.raises(UserError, match=r"data\.ngrams\.parts is 1"):
        LogCountRatios(["unigram"], parts=1)
    with pytest.raises(UserError, match=r"data\.ngrams\.smoothing is 0"):
        LogCountRatios(["unigram"], smoothing=0)
    with pytest.raises(UserError, match="one class has only 2 training documents"):
        inputs_of(LogCountRatios(["unigram"], parts=3), {"training": TRAINING}, 0)
    with pytest.raises(UserError, match="one class has only 0 training documents"):
        inputs_of(LogCountRatios(["unigram"], parts=2), {"training": TRAINING}, 0, classes=3)
    words = [f"word{number}" for number in range(7_000)]
    many = [Document(words, number % 2, "", str(number)) for number in range(4)]
    inputs_of(LogCountRatios(["unigram", "fourgram"], parts=2), {"training": many}, 0)
    with pytest.raises(UserError, match=r"has fivegram, but 7,000 different words give more"):
        inputs_of(LogCountRatios(["unigram", "fivegram"], parts=2), {"training": many}, 0)


def test_a_table_can_be_written_and_read_back() -> None:
    kinds: list[Kind] = ["trigram", "unigram"]
    _, table = LogCountRatios(kinds, parts=2).fit(TRAINING, classes=2, seed=0)
    again = NgramTable.from_plain(table.to_plain(), kinds)
    for tokens in (["not", "good"], ["unheard", "of", "good", "lamp"], []):
        assert np.array_equal(again.of(tokens), table.of(tokens))
    assert again.of(["unheard", "of"])[0].tolist() == again.of(["bad", "unheard"])[1].tolist()


def test_a_table_of_many_classes_can_be_written_and_read_back() -> None:
    kinds: list[Kind] = ["fourgram", "unigram"]
    _, table = LogCountRatios(kinds, parts=2).fit(names(), classes=3, seed=0)
    again = NgramTable.from_plain(table.to_plain(), kinds)
    assert again.size == table.size == 6
    for name in ("niemi", "xkos", ""):
        assert np.array_equal(again.of(list(name)), table.of(list(name)))


def test_a_table_of_an_earlier_version_has_one_ratio_an_ngram() -> None:
    _, table = LogCountRatios(["bigram"], parts=2).fit(TRAINING, classes=2, seed=0)
    plain = table.to_plain()
    plain["ratios"] = {"bigram": plain["ratios"]["bigram"].squeeze(1)}
    assert plain["ratios"]["bigram"].shape == torch.Size([len(plain["ngrams"]["bigram"]) + 1])
    again = NgramTable.from_plain(plain, ["bigram"])
    assert np.array_equal(again.of(["not", "good"]), table.of(["not", "good"]))


@pytest.mark.parametrize("damage", ["no table", "another kind", "a ratio less", "no words"])
def test_what_is_no_table_is_refused(damage: str) -> None:
    _, table = LogCountRatios(["unigram"], parts=2).fit(TRAINING, classes=2, seed=0)
    plain = table.to_plain()
    match damage:
        case "no table":
            plain = {}
        case "another kind":
            plain["ngrams"] = {"bigram": plain["ngrams"]["unigram"]}
        case "a ratio less":
            plain["ratios"]["unigram"] = plain["ratios"]["unigram"][1:]
        case "no words":
            plain["words"] = None
    with pytest.raises(ValueError, match=r"not a table of unigram|do not match"):
        NgramTable.from_plain(plain, ["unigram"])
