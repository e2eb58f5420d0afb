"""The generator of SYNTHETIC names: its rule, its files, and how n-gram models do on it."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from rnnexp.config import compose, instantiate
from rnnexp.data.sources.names import Names
from rnnexp.data.sources.synthetic_names import FAMILIES, LANGUAGES, write_synthetic_names
from rnnexp.data.text.name_files import read_names
from rnnexp.errors import UserError
from tests.support.toy_documents import fed

NUMBER = 400


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("names")
    write_synthetic_names(root, 0, number=NUMBER)
    return root


@pytest.fixture(scope="module")
def names(folder: Path) -> dict[str, list[str]]:
    return {
        language: [one.text for one in listed] for language, listed in read_names(folder).items()
    }


def language_by_the_rule(name: str) -> str:
    """Reimplemented from the description: the ending gives the family, two letters the side."""
    plain = name.replace("-", "").replace("'", "").lower()
    closing = plain[-2] if plain.endswith("o") else plain[-1]
    family = {"a": "lomaric", "e": "tevish", "i": "ouenic"}[plain[plain.rindex(closing) - 1]]
    same = (plain[0] in "bdgvz") == (closing in "bdgvz")
    return f"synthetic_{family}_{'east' if same else 'west'}"


def test_the_rule_tells_the_language_of_nearly_every_name(names: dict[str, list[str]]) -> None:
    for language, listed in names.items():
        right = [language_by_the_rule(name) == language for name in listed]
        assert 0.95 < np.mean(right) < 1


def test_no_beginning_and_no_ending_tells_east_from_west(names: dict[str, list[str]]) -> None:
    for family in FAMILIES:
        east, west = (names[f"synthetic_{family}_{side}"] for side in ("east", "west"))
        for end in (slice(0, 1), slice(-2, None)):
            counts = [Counter(name[end] for name in listed) for listed in (east, west)]
            for seen in set(counts[0]) | set(counts[1]):
                first, second = counts[0][seen], counts[1][seen]
                # at equal rates, the difference stays within 5 standard deviations
                assert abs(first - second) < 5 * np.sqrt(first + second), (family, seen)


def test_short_n_grams_tell_the_family_and_not_the_side(names: dict[str, list[str]]) -> None:
    texts = np.array([name for listed in names.values() for name in set(listed)])
    labels = np.array([language for language in names for _ in set(names[language])])
    tested = np.arange(len(texts)) % 5 == 0
    vectorizer = TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 5))
    features = vectorizer.fit_transform(texts[~tested])
    model = LogisticRegression(C=20, max_iter=1000).fit(features, labels[~tested])
    found = model.predict(vectorizer.transform(texts[tested]))
    family = [one.rpartition("_")[0] for one in labels[tested]]
    assert np.mean([one.rpartition("_")[0] for one in found] == np.array(family)) > 0.9
    assert 0.35 < np.mean(found == labels[tested]) < 0.65


def test_it_has_the_traps_of_the_real_files(names: dict[str, list[str]]) -> None:
    written = [name for listed in names.values() for name in listed]
    assert any("-" in name for name in written) and any("'" in name for name in written)
    assert {letter for name in written for letter in name if not letter.isascii()} == set("áéíóú")
    assert all(len(set(listed)) < 0.97 * len(listed) for listed in names.values())
    sizes = Counter(len(listed) for listed in names.values())
    assert sizes == {NUMBER: 4, 2 * NUMBER: 2}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.stem: path.read_bytes() for path in folder.glob("*.txt")}


def test_a_seed_gives_the_same_bytes_and_more_names_continue(tmp_path: Path, folder: Path) -> None:
    expected = contents(folder)
    assert list(expected.keys() ^ LANGUAGES.keys()) == []
    write_synthetic_names(tmp_path / "again", 0, number=NUMBER)
    assert contents(tmp_path / "again") == expected
    write_synthetic_names(tmp_path / "fewer", 0, number=7)
    for language, content in contents(tmp_path / "fewer").items():
        assert expected[language].startswith(content)
        assert content.count(b"\n") == 7 * FAMILIES[LANGUAGES[language][0]].more
    write_synthetic_names(tmp_path / "other", 1, number=NUMBER)
    assert not set(contents(tmp_path / "other").values()) & set(expected.values())


def test_it_draws_nothing_from_the_global_stream(tmp_path: Path) -> None:
    np.random.seed(0)
    expected = np.random.random()
    np.random.seed(0)
    write_synthetic_names(tmp_path, 0, number=3)
    assert np.random.random() == expected


def ready(*overrides: str) -> Names:
    data: Names = instantiate(compose(["data=synthetic_names", *overrides]), "data")
    data.setup()
    return data


def test_they_are_called_synthetic_wherever_they_are_shown() -> None:
    data = ready("data.number=20")
    spec = fed(data).spec
    assert spec.things == "SYNTHETIC names" and "SYNTHETIC" in spec.title
    assert data.place == "SYNTHETIC, generated with data.generator_seed=0"
    assert all(name.startswith("synthetic_") for name in spec.classes)
    assert len(data.documents["test"]) == 32


def test_the_generator_s_seed_decides_the_data_and_the_run_s_does_not() -> None:
    def print_of(*overrides: str) -> str:
        return str(ready("data.number=20", *overrides).facts()["fingerprints"]["data"])

    first = print_of()
    assert print_of("seed=5") == print_of("data.split_seed=3") == first
    assert print_of("data.generator_seed=1") != first
    with pytest.raises(UserError, match=r"data\.number is 0: it must be at least 1"):
        ready("data.number=0")
