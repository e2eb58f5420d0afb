"""The SYNTHETIC reviews follow their rule exactly, and single words do not predict the label."""

import re
from collections import Counter
from dataclasses import dataclass
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from rnnexp.data.sources.synthetic_reviews import (
    AFTER,
    BEFORE,
    FRAMES,
    NEGATIVE,
    POSITIVE,
    write_synthetic_reviews,
)
from rnnexp.data.text.review_files import categories, read_first

NUMBER = 300
CATEGORIES = ["synthetic_backpacks", "synthetic_kettles", "synthetic_lamps"]
TAGS = [
    "unique_id",
    "asin",
    "product_name",
    "product_type",
    "helpful",
    "rating",
    "title",
    "date",
    "reviewer",
    "reviewer_location",
    "review_text",
]


@dataclass(frozen=True)
class Review:
    category: str
    label: int
    fields: list[tuple[str, str]]  # tag and content, as they stand in the file

    @property
    def raw(self) -> str:
        return dict(self.fields)["review_text"]

    @property
    def text(self) -> str:
        return unescape(self.raw).lower()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reviews")
    write_synthetic_reviews(folder, 0, number=NUMBER)
    return folder


@pytest.fixture(scope="module")
def reviews(folder: Path) -> list[Review]:
    found = []
    for path in sorted(folder.glob("*/*.review")):
        label = {"positive": 1, "negative": -1}[path.stem]
        for block in re.findall(r"<review>\n(.*?)</review>\n", path.read_text(), re.DOTALL):
            fields = re.findall(r"<(\w+)>\n(.*?)\n</\1>\n", block, re.DOTALL)
            found.append(Review(path.parent.name, label, fields))
    return found


# --- the rule, reimplemented from its description -----------------------------------------------

NEGATIONS = ("not", "isn't", "cannot", "never", "hardly", "nobody")
NEGATION = re.compile(rf"\b({'|'.join(NEGATIONS)})\b")
CONTRAST = re.compile(r"\b(but|however|in the end)\b")
SENTIMENT = re.compile(rf"\b({'|'.join(POSITIVE + NEGATIVE)})\b")


def counts(text: str, *, negation: bool = True) -> list[int]:
    """The score of each clause."""
    found = []
    for clause in re.split(r"[.,]", text):
        if words := SENTIMENT.findall(clause):
            assert len(words) == 1
            sign = 1 if words[0] in POSITIVE else -1
            denied = NEGATION.search(clause.partition(words[0])[0]) if negation else None
            found.append(-sign if denied else sign)
    return found


def label(text: str) -> int:
    turns = list(CONTRAST.finditer(text))
    decisive = text[turns[-1].end() :] if turns else text
    return int(np.sign(sum(counts(decisive))))


def share_right(reviews: list[Review], labels: list[int]) -> float:
    return float(
        np.mean([review.label == one for review, one in zip(reviews, labels, strict=True)])
    )


def test_the_rule_decides_every_label(reviews: list[Review]) -> None:
    assert [label(review.text) for review in reviews] == [review.label for review in reviews]


def test_a_contrast_stands_before_the_last_clause_and_turns_the_review(
    reviews: list[Review],
) -> None:
    turned = [review for review in reviews if CONTRAST.search(review.text)]
    assert 0.2 * len(reviews) < len(turned) < 0.6 * len(reviews)
    for review in turned:
        before, after = CONTRAST.split(review.text, maxsplit=1)[::2]
        assert len(counts(after)) == 1
        assert sum(counts(after)) * sum(counts(before)) < 0


def test_no_half_of_the_rule_is_enough(reviews: list[Review]) -> None:
    clauses = [counts(review.text) for review in reviews]
    blind = [int(np.sign(sum(counts(review.text, negation=False)))) for review in reviews]
    assert share_right(reviews, blind) < 0.55  # without negation
    assert share_right(reviews, [int(np.sign(sum(one))) for one in clauses]) < 0.75  # without "but"
    assert share_right(reviews, [one[-1] for one in clauses]) < 0.92  # the last clause alone


# --- words alone --------------------------------------------------------------------------------


def test_every_word_is_as_frequent_in_both_classes(reviews: list[Review]) -> None:
    occurrences = {
        kind: Counter(
            word
            for review in reviews
            if review.label == kind
            for word in re.findall(r"[^\s.,]+", review.text)
        )
        for kind in (1, -1)
    }
    vocabulary = set(occurrences[1]) | set(occurrences[-1])
    assert 100 <= len(vocabulary) <= 250
    assert {*POSITIVE, *NEGATIVE, *NEGATIONS, "but", "however", "end"} <= vocabulary
    groups = [POSITIVE, NEGATIVE, NEGATIONS, *([word] for word in sorted(vocabulary))]
    for group in groups:
        positive, negative = (sum(occurrences[kind][word] for word in group) for kind in (1, -1))
        # at equal rates the difference has the variance of the sum, and stays within 4 deviations
        assert abs(positive - negative) < 4 * np.sqrt(positive + negative), group


def test_an_affirmation_has_the_length_of_its_negation_and_differs_in_it_alone() -> None:
    for affirmed, negated, _ in FRAMES:
        assert len(affirmed.split()) == len(negated.split())
        assert NEGATION.search(negated) and not NEGATION.search(affirmed)
    for between in (between for _, _, several in FRAMES for between in several):
        assert not NEGATION.search(between) and not SENTIMENT.search(between)
    assert len(POSITIVE) == len(NEGATIVE) == len(set(POSITIVE + NEGATIVE)) / 2


def test_a_bag_of_words_and_pairs_stays_near_chance(reviews: list[Review]) -> None:
    texts = np.array([review.text for review in reviews])
    labels = np.array([review.label for review in reviews])
    test = np.arange(len(texts)) % 5 == 0
    vectorizer = TfidfVectorizer(ngram_range=(1, 2))
    words = vectorizer.fit_transform(texts[~test])
    model = LogisticRegression(C=10, max_iter=1000).fit(words, labels[~test])
    assert model.score(words, labels[~test]) > 0.7  # it fits what it saw, and learns nothing
    assert model.score(vectorizer.transform(texts[test]), labels[test]) < 0.65


# --- the files ----------------------------------------------------------------------------------


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.review")}


def test_a_seed_gives_the_same_bytes_and_another_gives_others(tmp_path: Path, folder: Path) -> None:
    write_synthetic_reviews(tmp_path / "again", 0, number=NUMBER)
    assert contents(tmp_path / "again") == contents(folder)
    write_synthetic_reviews(tmp_path / "other", 1, number=NUMBER)
    assert contents(tmp_path / "other").keys() == contents(folder).keys()
    assert not set(contents(tmp_path / "other").values()) & set(contents(folder).values())


def test_more_reviews_continue_a_file(tmp_path: Path, folder: Path) -> None:
    write_synthetic_reviews(tmp_path, 0, number=7)
    for name, content in contents(tmp_path).items():
        assert contents(folder)[name].startswith(content)
        assert content.count(b"<review>") == 7


def test_it_draws_nothing_from_the_global_stream(tmp_path: Path) -> None:
    np.random.seed(0)
    expected = np.random.random()
    np.random.seed(0)
    write_synthetic_reviews(tmp_path, 0, number=3)
    assert np.random.random() == expected


def test_the_format_is_that_of_the_real_files(folder: Path, reviews: list[Review]) -> None:
    assert sorted(path.name for path in folder.iterdir()) == CATEGORIES
    amounts = Counter((review.category, review.label) for review in reviews)
    assert amounts == {(name, kind): NUMBER for name in CATEGORIES for kind in (1, -1)}
    for review in reviews:
        fields = dict(review.fields)
        assert list(fields) == TAGS
        assert fields["product_type"] == review.category
        assert fields["product_name"].startswith("SYNTHETIC ")
        assert fields["rating"] in (["4.0", "5.0"] if review.label > 0 else ["1.0", "2.0"])
        assert re.fullmatch(r"[A-Z][a-z]+ \d\d?, 200[1-7]", fields["date"])
        assert re.fullmatch(r"(\d+ of \d+)?", fields["helpful"])
        assert 5 <= len(review.raw.split()) <= 40
        assert 1 <= len(counts(review.text)) <= 5
        assert "{" not in review.raw


def test_the_reader_of_the_real_files_reads_them(folder: Path, reviews: list[Review]) -> None:
    assert categories(folder) == CATEGORIES
    read = [
        (one.category, {"positive": 1, "negative": -1}[kind], one.text, one.rating)
        for category in CATEGORIES
        for kind, several in read_first(folder, category, None).items()
        for one in several
    ]
    expected = [
        (one.category, one.label, unescape(one.raw), float(dict(one.fields)["rating"]))
        for one in reviews
    ]
    assert read == expected


def test_a_real_file_has_these_tags(data_root: Path) -> None:
    lines = (data_root / "reviews/sorted_data_acl/books/positive.review").read_text().splitlines()
    block = lines[: lines.index("</review>")]
    assert re.findall(r"<([a-z]\w+)>", "\n".join(block)) == ["review", *TAGS]


def test_it_has_the_traps_of_the_real_files(reviews: list[Review]) -> None:
    raw = [review.raw for review in reviews]
    assert any(" & " in text for text in raw)
    assert any(" < " in text for text in raw)
    assert any("\n\n" in text for text in raw)
    entities = {entity for text in raw for entity in re.findall(r"&#?\w+;", text)}
    assert entities == {"&quot;", "&amp;", "&eacute;", "&#8217;"}
    repeats = [[tag for tag, _ in review.fields].count("product_type") for review in reviews]
    assert Counter(repeats).keys() == {1, 2}


def test_remarks_count_nothing() -> None:
    for remark in BEFORE + AFTER:
        assert not any(rule.search(remark.lower()) for rule in (NEGATION, CONTRAST, SENTIMENT))
