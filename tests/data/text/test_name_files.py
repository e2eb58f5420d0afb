"""The reader of a folder of names."""

import os
from pathlib import Path

import pytest

from rnnexp.data.text.name_files import Name, languages, read_names
from rnnexp.errors import UserError
from tests.support.name_files import STEMS, write_name_files, write_names


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_name_files(tmp_path / "data" / "names")


def test_every_language_has_the_names_of_its_file_in_their_order(root: Path) -> None:
    names = read_names(root)
    assert list(names) == ["Czech", "Finnish", "Italian", "Welsh"]
    assert names["Czech"] == [
        Name(f"{stem}ek", "Czech", number) for number, stem in enumerate(STEMS, start=1)
    ]
    assert list(read_names(root, ["Welsh", "Czech"])) == ["Czech", "Welsh"]


def test_lines_end_in_any_way_and_empty_ones_are_no_names(root: Path) -> None:
    path = root / "Czech.txt"
    path.write_bytes("\ufeffNovák\r\n\r\n  \nDvořák \n\nKos\x85a".encode())
    assert [(one.text, one.line) for one in read_names(root)["Czech"]] == [
        ("Novák", 1),
        ("Dvořák ", 4),
        ("Kos\x85a", 6),
    ]


def test_only_text_files_of_the_folder_itself_are_languages(root: Path) -> None:
    (root / "notes.md").write_text("none")
    (root / "old.txt").mkdir()
    write_names(root / "more" / "Greek.txt", ["Pappas"])
    assert languages(root) == ["Czech", "Finnish", "Italian", "Welsh"]


def test_a_folder_above_is_told_the_right_one(root: Path) -> None:
    for above in (root.parent, root.parent.parent):
        with pytest.raises(UserError, match=rf"no Language\.txt files.*; did you mean {root}\?"):
            read_names(above)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", r"Czech\.txt: the file has no name: add some, or remove the file"),
        (b"\n \n\t\r\n", r"Czech\.txt: the file has no name"),
        (b"Kos\nNov\xe1k\n", r"Czech\.txt, line 2: this is not UTF-8 text; save the file as UTF-8"),
        ("Kos\nVrba\n".encode("utf-16-le"), r"Czech\.txt, line 1: this is not UTF-8 text"),
        (b"Kos\nV\0rba\n", r"Czech\.txt, line 2: this is not UTF-8 text"),
    ],
    ids=["empty", "empty lines", "Latin-1", "UTF-16 without a mark", "zero byte"],
)
def test_a_file_that_is_not_one_of_names(root: Path, content: bytes, sentence: str) -> None:
    (root / "Czech.txt").write_bytes(content)
    with pytest.raises(UserError, match=sentence):
        read_names(root)


@pytest.mark.parametrize(
    ("wanted", "sentence"),
    [
        (["Czech", "Italain"], r"no language 'Italain'; did you mean Italian\?"),
        (["Czech"], "Czech is the only language; a classification needs at least two"),
        ([], "no language is chosen"),
    ],
)
def test_wrong_languages_are_named(root: Path, wanted: list[str], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        read_names(root, wanted)


def test_a_folder_without_names(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"the folder has no Language\.txt files"):
        read_names(tmp_path)
    with pytest.raises(UserError, match="there is no such folder"):
        read_names(tmp_path / "none")


def test_a_file_that_may_not_be_read(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str, flags: int) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(UserError, match=r"Czech\.txt: the file cannot be read \(Permission denied"):
        read_names(root)
