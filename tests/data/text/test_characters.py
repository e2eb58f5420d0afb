"""Characters of names: the lecture's 57, all characters, and those that change."""

import pytest

from rnnexp.data.text.characters import AllCharacters, LectureCharacters, changed, without_accents

DECOMPOSED = "e\N{COMBINING ACUTE ACCENT}"


def test_the_lecture_has_57_characters() -> None:
    alphabet = LectureCharacters.alphabet
    assert alphabet is not None
    assert len(alphabet) == len(set(alphabet)) == 57
    assert [one for one in alphabet if not one.isalpha()] == [" ", ".", ",", ";", "'"]
    assert all(one.isascii() for one in alphabet)


@pytest.mark.parametrize(
    ("name", "folded"),
    [
        ("Ślusàrski", "Slusarski"),
        ("O'Néàl", "O'Neal"),
        (f"Andr{DECOMPOSED}", "Andre"),
        ("Van der Berg, J.", "Van der Berg, J."),
        ("Nguyễn", "Nguyen"),  # two marks on one letter
        ("Ou-Yang", "OuYang"),
        ("Rafaj1", "Rafaj"),
        ("Groß", "Gro"),
        ("Marszałek", "Marszaek"),
        ("The First\N{NO-BREAK SPACE} Page", "The First Page"),
        ("Park ", "Park "),
        ("Иванов", ""),
        ("", ""),
    ],
)
def test_the_lecture_s_folding(name: str, folded: str) -> None:
    assert "".join(LectureCharacters()(name)) == folded


def test_all_characters_stay_and_a_letter_is_one_with_its_accent() -> None:
    assert AllCharacters.alphabet is None
    assert AllCharacters()("Groß-Żuk ") == list("Groß-Żuk ")
    assert AllCharacters()(f"Ren{DECOMPOSED}") == ["R", "e", "n", "é"]
    assert AllCharacters()("李") == ["李"]


def test_without_accents_keeps_every_letter() -> None:
    assert without_accents("ÉłßЙ李") == "EłßИ李"


def test_what_becomes_of_each_character_is_counted() -> None:
    texts = ["Ou-Yang", f"L{DECOMPOSED}", "Lés-ß"]
    expected = {("é", "e"): 2, ("-", ""): 2, ("ß", ""): 1}
    assert changed(texts, LectureCharacters()) == expected
    assert changed(texts, AllCharacters()) == {}
