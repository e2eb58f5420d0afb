"""Reviews as runs read them: choice, split, and the lecture's own datasets."""

import gzip
import pickle
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from rnnexp import cli
from rnnexp.config import check, compose, instantiate
from rnnexp.data.text.source import DocumentSource
from rnnexp.errors import UserError
from tests.support.review_files import write_review_files
from tests.support.toy_documents import fed


def ready(*overrides: str) -> DocumentSource:
    config = compose(list(overrides))
    check(config)
    source: DocumentSource = instantiate(config, "data")
    source.setup()
    return source


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_review_files(tmp_path / "reviews")


def reviews(root: Path, *overrides: str) -> DocumentSource:
    return ready("data=reviews", f"data.root={root}", "data.per_class=10", *overrides)


def kinds(data: DocumentSource, part: str) -> Counter[tuple[str, int]]:
    return Counter((one.group, one.label) for one in data.documents[part])


def test_the_split_is_80_20_in_every_category_and_class(root: Path) -> None:
    data = reviews(root, "data.validation_fraction=0.25")
    assert set(kinds(data, "test").values()) == {2}
    assert set(kinds(data, "validation").values()) == {2}
    assert set(kinds(data, "training").values()) == {6}
    texts = [one.text for part in data.documents.values() for one in part]
    assert len(set(texts)) == len(texts) == 40


def test_the_test_part_depends_on_the_split_seed_alone(root: Path) -> None:
    def tested(*overrides: str) -> list[str]:
        return [one.text for one in reviews(root, *overrides).documents["test"]]

    first = tested()
    for override in (
        "seed=3",
        "data.validation_fraction=0.5",
        "data.vocabulary=everything",
        "data/tokenization=lecture",
        "data.max_tokens=2",
        "data.batch_size=1",
    ):
        assert tested(override) == first, override
    assert tested("data.split_seed=1") != first


def test_only_the_first_of_each_file_are_taken_and_categories_chosen(root: Path) -> None:
    data = reviews(root, "data.per_class=5", "data.categories=[kettles]")
    everything = [one for part in data.documents.values() for one in part]
    assert {one.group for one in everything} == {"kettles"}
    assert all(f"Word{n} " in " ".join(sorted(o.text for o in everything)) for n in range(5))
    assert not any("Word5 " in one.text for one in everything)


def test_where_there_are_fewer_all_are_taken_and_said_so(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["data", "check", "reviews", f"data.root={root}", "data.per_class=12"]) == 0
    shown = capsys.readouterr().out
    assert "lamps has only 10 negative reviews, not 12" in shown
    assert "kettles has only 10 positive reviews, not 12" in shown
    with pytest.raises(UserError, match=r"data\.strict=false"):
        reviews(root, "data.per_class=12", "data.strict=true")


def test_the_lecture_s_tokenisation_does_not_decode_entities(root: Path) -> None:
    path = root / "lamps" / "positive.review"
    path.write_text(path.read_text().replace("It works &", "It &quot;works&quot; &"))
    lecture = reviews(root, "data/tokenization=lecture", "data.vocabulary=everything")
    assert "quot" in lecture.vocabulary and '"' not in lecture.vocabulary
    words = reviews(root, "data.vocabulary=everything")
    assert "quot" not in words.vocabulary and '"' in words.vocabulary


def test_the_categories_may_lie_one_folder_deeper(tmp_path: Path) -> None:
    write_review_files(tmp_path / "reviews" / "sorted_data_acl")
    (tmp_path / "reviews" / "lecture_format").mkdir()
    data = reviews(tmp_path / "reviews")
    assert data.groups == ["kettles", "lamps"]
    assert str(data.place).endswith("sorted_data_acl")


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("data.categories=[lmaps]", r"no category 'lmaps'; did you mean lamps\?"),
        ("data.per_class=0", "data.per_class is 0"),
        ("data.test_fraction=1.0", "data.test_fraction is 1.0"),
        ("data.root=nowhere", "data.root=nowhere: there is no such folder"),
        ("data.vocabulary=all", "data.vocabulary"),
    ],
)
def test_wrong_settings_are_named(root: Path, override: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        reviews(root, override)


def test_a_review_of_100_000_words_is_handled(root: Path) -> None:
    path = root / "lamps" / "negative.review"
    path.write_text(path.read_text().replace("It broke", "It " + "really " * 100_000 + "broke", 1))
    whole = reviews(root, "data.max_tokens=null", "data.split_seed=0")
    lengths = torch_lengths(whole)
    assert max(lengths) > 100_000
    assert max(torch_lengths(reviews(root))) == 400
    for loader in (fed(whole).val_dataloader(), fed(whole).test_dataloader()):
        for batch in loader:  # the long one never pads others to its length
            assert batch.tokens.numel() <= max(65_536, int(batch.tokens.shape[1]))


def torch_lengths(data: DocumentSource) -> list[int]:
    return [n for store in data.stores.values() for n in store.lengths.tolist()]


# --- the lecture's datasets ---------------------------------------------------------------------


def tokens(data: DocumentSource, part: str) -> Counter[tuple[str, ...]]:
    return Counter(tuple(document.tokens) for document in data.documents[part])


def convert(name: str, folder: Path, *arguments: Any) -> int:
    return cli.main(["data", "convert", name, str(folder), *map(str, arguments)])


def test_our_datasets_in_the_lecture_s_format_and_back(root: Path, tmp_path: Path) -> None:
    archives, lines = tmp_path / "archives", tmp_path / "lines"
    source = (f"data.root={root}", "data.per_class=10", "data/tokenization=lecture")
    assert convert("reviews", archives, *source, "--to", "lecture") == 0
    with gzip.open(archives / "sentiment_dataset_train_10.tar.gz") as file:
        positive, negative, vocabulary = pickle.load(file, encoding="latin1")
    assert set(positive) == set(negative) == {"lamps", "kettles"}
    assert {len(listed) for listed in positive.values()} == {8}
    assert "don't" not in vocabulary and "n't" in vocabulary  # as "do n't" stands in the text

    ours = reviews(root, "data/tokenization=lecture", "data.vocabulary=everything")
    theirs = ready("data=lecture_reviews", f"data.root={archives}")
    assert sorted(theirs.vocabulary.tokens) == sorted(ours.vocabulary.tokens)
    assert theirs.vocabulary.tokens == vocabulary
    assert tokens(theirs, "test") == tokens(ours, "test")

    assert convert("lecture_reviews", lines, f"data.root={archives}") == 0
    converted = ready("data=lecture_reviews", f"data.root={lines}")
    assert converted.facts()["fingerprints"] == theirs.facts()["fingerprints"]
    assert converted.place == str(lines.resolve())


def test_what_cannot_be_converted_is_refused_in_one_sentence(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert convert("synthetic_load", tmp_path / "new") == 2
    assert "has no reviews to convert" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
    for form in ("json", "lecture"):
        assert convert("reviews", root, f"data.root={root}", "--to", form) == 2
        assert "is not empty" in capsys.readouterr().err


def test_the_lecture_s_real_datasets_are_ours_from_the_raw_files(data_root: Path) -> None:
    folder = data_root / "reviews" / "lecture_format"
    theirs = ready("data=lecture_reviews", f"data.root={folder}", "data.size=250")
    ours = ready(
        "data=reviews",
        f"data.root={data_root / 'reviews'}",
        "data.per_class=250",
        "data/tokenization=lecture",
        "data.vocabulary=everything",
        "data.max_tokens=null",
    )

    def everything(data: DocumentSource) -> Counter[tuple[str, int, tuple[str, ...]]]:
        return Counter(
            (one.group.replace("_&_", "_"), one.label, tuple(one.tokens))
            for part in data.documents.values()
            for one in part
        )

    assert sum(everything(theirs).values()) == 1500
    assert [t[1:] for t in sorted(everything(theirs))] == [t[1:] for t in sorted(everything(ours))]
    assert sorted(theirs.vocabulary.tokens) == sorted(ours.vocabulary.tokens)
