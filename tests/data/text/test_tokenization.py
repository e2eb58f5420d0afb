"""Tokenisation, also against the lecture's own word lists."""

import gzip
import io
import pickle
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from rnnexp.data.text.review_files import read_first
from rnnexp.data.text.tokenization import LectureWords, Words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("This is Good.", "this is good"),
        ("Don't buy 2 of it's kind!", "don't buy 2 of it's kind"),
        ("well-made, e.g. mp3 (4.5 stars)", "well made e g mp3 4 5 stars"),
        ("'quoted' the '80s dogs' ''", "'quoted' the '80s dogs' ''"),
        ("&quot;No&quot; &#8217;tis", "quot no quot 8217 tis"),
        ("na\xefve don’t", "na ve don t"),  # noqa: RUF001
        ("snake_case", "snake case"),
        (" ... \n", ""),
    ],
)
def test_lecture_words(text: str, words: str) -> None:
    assert LectureWords()(text) == words.split()


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("I DON'T like it.", "i do n't like it ."),
        ("can't won't isn't ain't n't", "ca n't wo n't is n't ai n't n't"),
        ("don’t don`t It’s", "do n't do n't it 's"),  # noqa: RUF001
        ("it's I'm you're I've he'll she'd", "it 's i 'm you 're i 've he 'll she 'd"),
        ("couldn't've", "could n't 've"),
        ("the dogs' 1980's o'clock", "the dogs ' 1980 's o ' clock"),
        ("'d' 'tis 'great'", "' d ' ' tis ' great '"),
        ("dont count nt", "dont count nt"),
        ("2 of 1,000 at $4.50, 10:30", "2 of 1,000 at $ 4.50 , 10:30"),
        ("mp3 3rd 2.5GHz 100%", "mp3 3rd 2.5 ghz 100 %"),
        ("1. Yes", "1 . yes"),
        ("well-made - 2-3 -- no", "well - made - 2 - 3 -- no"),
        ("wait... what.. now..... end…", "wait ... what ... now ... end ..."),
        ("wow! wow!! wow!!!!!!!!", "wow ! wow ! ! wow ! ! !"),
        ("what?!?! *****", "what ? ! ? ! * * *"),
        ("-----", "-- -"),
        ("“So” he said (and/or): “no”; a_b", '" so " he said ( and / or ) : " no " ; a _ b'),
        ("Café na\xefve", "café na\xefve"),
        ("fianc\x1ae d\ufffdcor \ufeffco\xadop", "fianc e d cor coop"),
        (" \n\t", ""),
    ],
)
def test_words(text: str, tokens: str) -> None:
    assert Words()(text) == tokens.split()


@pytest.mark.parametrize("tokenize", [LectureWords(), Words()])
@pytest.mark.parametrize(
    "unit", ["a", ".", "!", "'", "n'", "n't", "1,", "-", "don'", "I can't've 1,0.5 rock'n'roll 'S"]
)
def test_no_letter_and_no_digit_is_lost(tokenize: LectureWords | Words, unit: str) -> None:
    def letters(text: str) -> str:
        return re.sub("[^a-z0-9]", "", text)

    text = unit * (500_000 // len(unit))  # a pattern that backtracks would take for ever
    assert letters("".join(tokenize(text))) == letters(text.lower())


# --- the real files -----------------------------------------------------------------------------


class NoGlobals(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"{module}.{name}")


def read_archive(path: Path) -> Any:
    """(positive, negative, vocabulary); the first two map a category to lists of words."""
    return NoGlobals(io.BytesIO(gzip.decompress(path.read_bytes())), encoding="latin1").load()


@pytest.mark.parametrize("number", [3, 250])
def test_lecture_words_are_those_of_the_lecture_s_archives(data_root: Path, number: int) -> None:
    folder = data_root / "reviews"
    parts = [
        read_archive(folder / "lecture_format" / f"sentiment_dataset_{part}_{number}.tar.gz")
        for part in ("train", "test")
    ]
    tokenize = LectureWords()
    vocabulary: set[str] = set()
    for category in parts[0][0]:
        reviews = read_first(
            folder / "sorted_data_acl",
            category,
            number,
            decode_entities=tokenize.decode_entities,
        )
        for index, label in enumerate(("positive", "negative")):
            ours = [tokenize(review.text) for review in reviews[label]]
            theirs = [words for part in parts for words in part[index][category]]
            assert len(ours) == len(theirs) == number
            assert Counter(map(tuple, ours)) == Counter(map(tuple, theirs))
            vocabulary.update(*ours)
    assert sorted(vocabulary) == parts[0][2] == parts[1][2]


def test_more_of_the_words_than_of_the_lecture_s_have_a_vector(data_root: Path) -> None:
    with (data_root / "embeddings" / "glove.6B.100d.subset.txt").open(encoding="utf-8") as file:
        known = {line.split(" ", 1)[0] for line in file}

    def coverage(tokenize: LectureWords | Words) -> float:
        tokens = [
            token
            for kind in read_first(
                data_root / "reviews" / "sorted_data_acl",
                "books",
                200,
                decode_entities=tokenize.decode_entities,
            ).values()
            for review in kind
            for token in tokenize(review.text)
        ]
        return sum(token in known for token in tokens) / len(tokens)

    # The subset has no "i", no "a", no "n't", no "'s" and no number; all of GloVe has them.
    assert 0.91 < coverage(LectureWords()) < coverage(Words()) > 0.92
