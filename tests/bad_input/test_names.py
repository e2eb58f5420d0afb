"""Bad files of names and settings, as a user meets them: one sentence, exit code 2, and nothing
that looks complete; and long names, which are no mistake."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from rnnexp.cli import main
from tests.support.name_files import write_name_files, write_names
from tests.support.refusals import refused
from tests.support.shrink import TINY

Capture = pytest.CaptureFixture[str]
Plant = Callable[[Path], object]

TRAIN = ["train", "experiment=quickstart_names", "data=names", "data.root=names", *TINY]
CHECK = ["data", "check", "names", "data.root=names"]


@pytest.fixture
def folder(empty_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with names of four languages in it."""
    monkeypatch.setenv("RNNEXP_CACHE", str(empty_folder / "cache"))
    write_name_files(empty_folder / "names")
    return empty_folder


def keep(*kept: str) -> Plant:
    def plant(folder: Path) -> None:
        for path in (folder / "names").iterdir():
            if path.stem not in kept:
                path.unlink()

    return plant


def czech(content: bytes) -> Plant:
    return lambda folder: (folder / "names/Czech.txt").write_bytes(content)


FOLDERS: dict[str, tuple[Plant, str]] = {
    "empty folder": (keep(), r"/names: the folder has no Language\.txt files, one per language"),
    "one language": (
        keep("Czech"),
        r"/names: Czech is the only language; a classification needs at least two \(data",
    ),
    "empty file": (
        czech(b""),
        r"/names/Czech\.txt: the file has no name: add some, or remove the file",
    ),
    "empty lines": (czech(b"\n\r\n  \n"), r"/names/Czech\.txt: the file has no name"),
    "no usable character": (
        czech("Kos\n\n李\n".encode()),
        r"/names/Czech\.txt, line 3: '李' has none of the lecture's letters a to z and A to Z"
        r".*: remove the line, or set data/characters=all",
    ),
    "a number": (czech(b"Kos\n" + b"1" * 500 + b"\n"), r"Czech\.txt, line 2: '1{20}\.\.\.' has no"),
    "invalid UTF-8": (
        czech(b"Kos\nNov\xe1k\n"),
        r"/names/Czech\.txt, line 2: this is not UTF-8 text; save the file as UTF-8",
    ),
    "one name each": (
        lambda folder: [
            write_names(path, [path.stem]) for path in (folder / "names").glob("*.txt")
        ],
        r"data\.test_fraction=0\.2 leaves no test names: raise it, or add names",
    ),
}


@pytest.mark.parametrize("name", FOLDERS)
def test_a_bad_folder_of_names(name: str, folder: Path, capfd: Capture) -> None:
    plant, sentence = FOLDERS[name]
    plant(folder)
    said = refused(CHECK, capfd)
    assert re.search(sentence, said), said
    assert refused(TRAIN, capfd) == said


def test_a_missing_folder_says_how_to_get_it(
    folder: Path, capfd: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RNNEXP_DATA", str(folder / "nowhere"))
    assert "run `rnnexp data fetch names`" in refused(["data", "check", "names"], capfd)


def test_the_whole_alphabet_reads_what_the_lecture_s_does_not(folder: Path) -> None:
    FOLDERS["no usable character"][0](folder)
    assert main([*CHECK, "data/characters=all"]) == 0


@pytest.mark.parametrize("settings", [[], ["data.max_tokens=null"]], ids=["cut", "whole"])
def test_a_name_of_10_000_characters_is_trained_and_tested(
    folder: Path, settings: list[str], capfd: Capture
) -> None:
    for path in (folder / "names").glob("*.txt"):  # so that one is in every part
        path.write_text(path.read_text() * 2 + "Ba" + "la" * 4_999 + "vek\n", encoding="utf-8")
    assert main([*TRAIN, "data.split=rows", "data.test_fraction=0.4", *settings]) == 0
    [run] = (folder / "outputs/quickstart_names").iterdir()
    assert json.loads((run / "run.json").read_text())["status"] == "completed"
    said = capfd.readouterr().out
    assert ("names cut to 100 characters" in said) == (not settings)


# --- settings -----------------------------------------------------------------------------------

SETTINGS = {
    "a language that is not there": (
        ["data.languages=[Czech,Italain]"],
        r"/names: no language 'Italain'; did you mean Italian\?",
    ),
    "one language": (["data.languages=[Czech]"], r"Czech is the only language"),
    "split": (
        ["data.split=letters"],
        r"data\.split is 'letters', it must be 'rows' or 'names'",
    ),
    "draws": (
        ["data.draw=uniform"],
        r"data\.draw is 'uniform', it must be 'shuffled' or 'class_uniform'",
    ),
    "iterations of shuffled epochs": (
        ["data.iterations=100"],
        r"data\.iterations needs sampling with replacement: set data\.draw=class_uniform, or data",
    ),
    "no iteration": (
        ["data.draw=class_uniform", "data.iterations=0"],
        r"data\.iterations is too small: it must be at least 1",
    ),
    "characters": (
        ["data/characters=letters"],
        r"the group data/characters has no option letters; choose from all, lecture",
    ),
    "words": (
        ["data/tokenization=words"],
        r"data/tokenization is not a group of the chosen data or task: leave it out",
    ),
    "unknown token": (
        ["model.token_dropout=0.1"],
        r"this vocabulary does not have: set model\.token_dropout=0 or data\.vocabulary=train",
    ),
    "parts of the ratios": (
        ["data/ngrams=log_count_ratios"],
        r"data\.ngrams\.parts is 10, but one class has only 9 training documents: lower it",
    ),
}


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.usefixtures("folder")
def test_a_wrong_setting(name: str, capfd: Capture) -> None:
    overrides, sentence = SETTINGS[name]
    said = refused([*TRAIN, *overrides], capfd)
    assert re.search(sentence, said), said
