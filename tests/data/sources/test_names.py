"""Last names as runs read them: splits, alphabets, notes, and the real data set."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from rnnexp.config import check, compose, instantiate
from rnnexp.data.sources.names import Names
from rnnexp.data.text.documents import Document
from rnnexp.data.text.vocabulary import UNKNOWN
from rnnexp.errors import UserError
from tests.support.name_files import write_name_files, write_names
from tests.support.toy_documents import fed


def names(root: Path, *overrides: str) -> Names:
    config = compose(["data=names", f"data.root={root}", *overrides])
    check(config)
    data: Names = instantiate(config, "data")
    data.setup()
    return data


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_name_files(tmp_path / "names")


@pytest.fixture
def repeated(tmp_path: Path) -> Path:
    """Ten names a language; each stands there several times, half of them in both languages."""
    root = tmp_path / "repeated"
    shared = ["Müller", "Rossi", "Kos", "Bélec", "Anders"]
    for language, ending in {"East": "ov", "West": "es"}.items():
        own = [f"{stem}{ending}" for stem in ("Bal", "Dor", "Kam", "Lum", "Mar")]
        written = [*own, *shared] * 3 + [name.upper() for name in own] + ["Muller", "Belec ", "Kós"]
        write_names(root / f"{language}.txt", written)
    return root


def everything(data: Names) -> Iterator[tuple[str, Document]]:
    return ((part, one) for part, listed in data.documents.items() for one in listed)


def plain(name: str) -> str:
    """A name of `repeated` by its letters alone."""
    return name.lower().translate(str.maketrans("üéó", "ueo")).strip()


def parts_of_names(data: Names) -> dict[str, set[str]]:
    """A name -> the parts of the split that it is in."""
    parts = defaultdict(set)
    for part, one in everything(data):
        parts[plain(one.text)].add(part)
    return parts


def test_languages_are_the_classes_and_characters_the_tokens(root: Path) -> None:
    data = names(root)
    spec = fed(data).spec
    assert spec.classes == ["Czech", "Finnish", "Italian", "Welsh"]
    assert spec.vocabulary == 57 and spec.unknown is None
    assert spec.title == f"{spec.tested} names" and spec.groups == []
    for part, one in everything(data):
        assert one.tokens == list(one.text)
        row = next(n for n, other in enumerate(data.documents[part]) if other is one)
        batch = data.stores[part].batch(torch.tensor([row]))
        assert [data.vocabulary.tokens[number] for number in batch.tokens[0].tolist()] == list(
            one.text
        )
        assert data.classes[int(batch.label)] == data.classes[one.label]


def test_rows_are_drawn_from_every_language(root: Path) -> None:
    data = names(root, "data.test_fraction=0.25", "data.validation_fraction=0.33")
    counts = Counter((part, one.label) for part, one in everything(data))
    for label in range(4):
        assert [counts[part, label] for part in data.documents] == [6, 3, 3]


@pytest.mark.parametrize("characters", ["lecture", "all"])
def test_no_name_is_in_two_parts_of_the_split_of_names(repeated: Path, characters: str) -> None:
    settings = (f"data/characters={characters}", "data.validation_fraction=0.25")
    data = names(repeated, *settings, "data.split=names")
    assert all(len(parts) == 1 for parts in parts_of_names(data).values())
    assert {part for part, _ in everything(data)} == {"training", "validation", "test"}
    assert sum(1 for _ in everything(data)) == 2 * 38
    leaking = names(repeated, *settings)
    assert any(len(parts) > 1 for parts in parts_of_names(leaking).values())


def test_the_test_part_depends_on_the_split_seed_alone(repeated: Path) -> None:
    for split in ("rows", "names"):

        def tested(*overrides: str, split: str = split) -> list[str]:
            data = names(repeated, f"data.split={split}", *overrides)
            return [one.text for one in data.documents["test"]]

        first = tested()
        for override in (
            "seed=3",
            "data.validation_fraction=0.5",
            "data/characters=all",
            "data.vocabulary=train",
            "data.draw=class_uniform",
        ):
            assert tested(override) == first, override
        assert tested("data.split_seed=1") != first


def test_the_alphabet_of_the_data(root: Path) -> None:
    write_names(root / "Czech.txt", ["Novák", "Šíma", "Ou-Yang", "Kos", "Vrba"])
    lecture = names(root)
    assert "á" not in lecture.vocabulary and "-" not in lecture.vocabulary
    everything_there = names(root, "data/characters=all")
    assert {"á", "Š", "-"} <= set(everything_there.vocabulary.tokens)
    assert UNKNOWN not in everything_there.vocabulary
    trained = names(root, "data/characters=all", "data.vocabulary=train")
    seen = {token for one in trained.documents["training"] for token in one.tokens}
    assert set(trained.vocabulary.tokens) == seen | {UNKNOWN}


def test_new_names_are_read_as_those_of_the_files(root: Path) -> None:
    data = names(root)
    assert data.tokens_of("Łuk-Ömer") == list("ukOmer")
    assert data.left_out("Łuk-Ömer-") == ["Ł", "-"]
    assert names(root, "data/characters=all").left_out("Łuk-Ömer") == []


# --- notes --------------------------------------------------------------------------------------


def test_the_majority_and_the_ceiling_are_said(repeated: Path) -> None:
    """38 lines per language. The table is right on the 5 names that only one language has, in both
    spellings, and on half of the lines of names that both languages have equally often."""
    write_names(repeated / "North.txt", ["Novik"])
    said = names(repeated).notes[0]
    assert "49.4 % by always predicting East" in said
    own, shared = 2 * 5 * 4, 2 * (5 * 3 + 3)
    best = (own + shared / 2 + 1) / (own + shared + 1)
    assert f"{100 * best:.2f} % by a table" in said
    # "Belec " is not "Belec" to a network: six spellings that both languages have
    assert "(6 names occur in several languages)" in said
    assert "a table of all 27 different names" in said


def test_the_leak_is_said(repeated: Path, root: Path) -> None:
    data = names(repeated)
    trained = {plain(one.text) for one in data.documents["training"]}
    assert all(plain(one.text) in trained for one in data.documents["test"])
    said = data.notes[1]
    assert said.startswith("data.split=rows LEAKS: ")
    tested = len(data.documents["test"])
    assert f"{tested} of the {tested} test names are in the training part too" in said
    unleaked = names(root).notes[1]
    assert "0 lines repeat a name of their language, and 0 of the" in unleaked
    split = names(repeated, "data.split=names").notes[1]
    assert split == "data.split=names: each name is in one part only"


def test_what_becomes_of_other_characters_is_said(root: Path) -> None:
    odd = ["Novák", "Vorák", "Ší-ma", "Ou-Yang", "Lim ", "To\N{NO-BREAK SPACE}Be", "Groß", "Kos"]
    write_names(root / "Czech.txt", odd)
    notes = names(root).notes
    assert notes[2:] == [
        "accents removed: á -> a (2), í -> i (1), Š -> S (1)",
        "characters left out: - (2), no-break space (1), ß (1)",
        "names that begin or end with white space, which is kept: 1",
    ]
    assert names(root, "data/characters=all").notes[2:] == notes[4:]


def test_a_name_of_10_000_characters_is_handled(root: Path) -> None:
    path = root / "Czech.txt"
    path.write_text(path.read_text() + "Ba" + "la" * 5_000 + "vek\n")
    for seed in range(5):  # in whichever part it is
        data = names(root, f"data.split_seed={seed}", "data.test_fraction=0.4")
        lengths = torch.cat([store.lengths for store in data.stores.values()])
        assert int(lengths.max()) == 100
        assert data.notes[-1].startswith("names cut to 100 characters (data.max_tokens),")
    whole = names(root, "data.max_tokens=null")
    assert max(int(store.lengths.max()) for store in whole.stores.values()) == 10_005
    module = fed(whole)
    for loader in (module.train_dataloader(), module.val_dataloader(), module.test_dataloader()):
        for batch in loader:
            assert batch.tokens.shape[0] <= 64


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("data.split=languages", r"data\.split is 'languages', it must be 'rows' or 'names'"),
        ("data.test_fraction=1.0", "data.test_fraction is 1.0"),
        ("data.test_fraction=0.01", "leaves no test names: raise it, or add names"),
        ("data.languages=[Czech]", "Czech is the only language"),
        ("data.root=nowhere", "data.root=nowhere: there is no such folder"),
        ("data.iterations=5", "data.iterations needs sampling with replacement"),
        ("data.draw=often", r"data\.draw is 'often', it must be 'shuffled' or 'class_uniform'"),
    ],
)
def test_wrong_settings_are_named(root: Path, override: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        names(root, override)


def test_draws_of_the_lecture(root: Path) -> None:
    """All languages are equally likely, whatever their number of names."""
    write_names(root / "Czech.txt", ["Kos", "Vrba", "Zima"])
    data = names(root, "data.draw=class_uniform", "data.batch_size=1", "data.iterations=4000")
    loader = fed(data).train_dataloader()
    assert len(loader) == 4000
    counts = Counter(int(batch.label) for batch in loader)
    # binomial with p = 1/4: a deviation of 27
    assert all(abs(counts[label] - 1000) < 5 * 27 for label in range(4))
    shuffled = names(root)
    drawn = names(root, "data.draw=class_uniform")
    assert len(fed(drawn).train_dataloader()) == len(fed(shuffled).train_dataloader())


# --- the real names -----------------------------------------------------------------------------


def test_the_known_counts_of_the_real_names(data_root: Path) -> None:
    data = names(data_root / "names")
    documents = [one for _, one in everything(data)]
    assert len(documents) == 20_074 and len(data.classes) == 18
    rows = [("".join(one.tokens), one.label) for one in documents]
    assert len(rows) - len(set(rows)) == 2_080
    labels = defaultdict(set)
    for name, label in rows:
        labels[name].add(label)
    assert sum(len(several) > 1 for several in labels.values()) == 475
    arabic = data.classes.index("Arabic")
    assert sum(label == arabic for _, label in rows) == 2_000
    assert len({name for name, label in rows if label == arabic}) == 108
    limits, leak, accents, left_out, spaces = data.notes
    assert "46.9 % by always predicting Russian" in limits
    assert "97.15 % by a table" in limits and "(475 names occur in several" in limits
    assert "2,080 lines repeat a name of their language" in leak
    assert "ö -> o (24)" in accents and "ł" not in accents
    assert left_out == (
        "characters left out: - (25), ß (9), 1 (3), / (1), : (1), no-break space (1), ł (1)"
    )
    assert spaces == "names that begin or end with white space, which is kept: 10"


def test_the_split_of_real_names_keeps_each_in_one_part(data_root: Path) -> None:
    data = names(data_root / "names", "data.split=names")
    parts = defaultdict(set)
    for part, one in everything(data):
        parts["".join(one.tokens).strip().lower()].add(part)
    assert all(len(of_name) == 1 for of_name in parts.values())
    assert len(data.documents["test"]) == pytest.approx(0.2 * 20_074, rel=0.03)
    assert {one.label for one in data.documents["test"]} == set(range(18))
