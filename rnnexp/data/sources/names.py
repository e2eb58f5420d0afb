"""Last names and the language they come from: a folder of `Language.txt` files."""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any, Literal

from rnnexp.data.folders import data_folder
from rnnexp.data.text.characters import AllCharacters, LectureCharacters, changed, without_accents
from rnnexp.data.text.documents import Document
from rnnexp.data.text.name_files import read_names
from rnnexp.data.text.source import DocumentSource
from rnnexp.data.text.splits import grouped_split, stratified_split
from rnnexp.errors import UserError

SHOWN = 20  # characters of a name in a sentence


class Names(DocumentSource):
    """Names of a folder, split into training and test. A token is a character.

    characters: which ones there are, and what becomes of the others.
    root: the folder; None: `names` in $RNNEXP_DATA, or where it was fetched to.
    languages: their names, as the files have them; None: all that are found.
    split: `rows` draws lines of every language, as published results do: a name that stands in
    several lines or files can be trained on and tested too. `names` draws names of every language
    (of its most frequent one, where a name has several), with all their lines: none is in two
    parts. Two names are one if they differ in accents, case or white space at the ends alone.
    """

    things = "names"
    token = "character"

    def __init__(
        self,
        characters: LectureCharacters | AllCharacters,
        root: str | None = None,
        languages: list[str] | None = None,
        split: Literal["rows", "names"] = "rows",
        test_fraction: float = 0.2,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        if not 0 < test_fraction < 1:
            raise UserError(f"data.test_fraction is {test_fraction}: it must lie between 0 and 1")
        self.characters, self.root, self.languages = characters, root, languages
        self.split, self.test_fraction = split, test_fraction

    @property
    def place(self) -> str:
        return str(data_folder("names", self.root).resolve())

    def words(self) -> list[str] | None:
        alphabet = self.characters.alphabet
        return None if alphabet is None else list(alphabet)

    def read(self) -> tuple[list[Document], list[Document]]:
        documents = self.read_documents()
        kept, test = self.split_off(documents, self.test_fraction, "test")
        if not test:
            raise UserError(
                f"data.test_fraction={self.test_fraction} leaves no name to test on: raise it, or "
                "take more names"
            )
        return [documents[number] for number in kept], [documents[number] for number in test]

    def read_documents(self) -> list[Document]:
        return self.read_folder(Path(self.place))

    def read_folder(self, root: Path) -> list[Document]:
        """The names of every language, as characters; the languages become the classes."""
        names = read_names(root, self.languages)
        self.classes = list(names)
        documents = []
        for label, (language, listed) in enumerate(names.items()):
            for name in listed:
                tokens = self.tokens_of(name.text)
                if not "".join(tokens).strip():
                    text = name.text if len(name.text) <= SHOWN else f"{name.text[:SHOWN]}..."
                    raise UserError(
                        f"{root / language}.txt, line {name.line}: {text!r} has none of the "
                        "lecture's letters a to z and A to Z, not even with an accent: take the "
                        "line out, or set data/characters=all"
                    )
                documents.append(Document(tokens, label, "", name.text))
        return documents

    def tokens_of(self, text: str) -> list[str]:
        return self.characters(text)

    def left_out(self, text: str) -> list[str]:
        return [character for character, new in changed([text], self.characters) if not new]

    def split_off(
        self, documents: list[Document], fraction: float, name: str
    ) -> tuple[list[int], list[int]]:
        labels = [document.label for document in documents]
        if self.split == "rows":
            return stratified_split(labels, fraction, self.split_seed, name)
        return grouped_split(
            [folded(document) for document in documents], labels, fraction, self.split_seed, name
        )

    # What a person should know ------------------------------------------------------------------

    @property
    def notes(self) -> list[str]:
        return [self._limits(), self._leak(), *self._what_becomes()]

    def _limits(self) -> str:
        """What the most frequent class, and a table of all names, would get right."""
        everything = self._everything()
        languages = Counter(document.label for document in everything)
        [(label, most)] = languages.most_common(1)
        table = defaultdict[str, Counter[int]](Counter)
        for document in everything:
            table["".join(document.tokens)][document.label] += 1
        best = sum(max(counts.values()) for counts in table.values())
        several = sum(len(counts) > 1 for counts in table.values())
        return (
            f"always {self.classes[label]}: {100 * most / len(everything):.1f} % of all names "
            f"right; a table of all {len(table):,} different ones, each with its most frequent "
            f"language: {100 * best / len(everything):.2f} %, the ceiling of whatever reads these "
            f"characters (names that stand in the files of several languages: {several:,})"
        )

    def _leak(self) -> str:
        """Whether names are in two parts, and how many."""
        if self.split == "names":
            return "data.split=names: no name is in two parts"
        trained = {folded(document) for document in self.documents["training"]}
        tested = [folded(document) in trained for document in self.documents["test"]]
        rows = [(*document.tokens, document.label) for document in self._everything()]
        return (
            f"data.split=rows LEAKS: {len(rows) - len(set(rows)):,} lines repeat a name of their "
            f"language, and {sum(tested):,} of the {len(tested):,} tested names are trained on as "
            "well; data.split=names keeps each in one part"
        )

    def _what_becomes(self) -> list[str]:
        """What became of the characters that did not stay, and of long names."""
        texts = [document.text for document in self._everything()]
        found = sorted(
            changed(texts, self.characters).items(), key=lambda item: (-item[1], item[0])
        )
        notes = []
        replaced = [f"{old} {new} ({count:,})" for (old, new), count in found if new]
        if replaced:
            notes.append(f"characters without their accents: {', '.join(replaced)}")
        left_out = [f"{_shown(old)} ({count:,})" for (old, new), count in found if not new]
        if left_out:
            notes.append(f"characters left out: {', '.join(left_out)}")
        spaces = sum(text != text.strip() for text in texts)
        if spaces:
            notes.append(f"names that begin or end with white space, which stays: {spaces:,}")
        if self.max_tokens is not None:
            long = sum(len(one.tokens) > self.max_tokens for one in self._everything())
            if long:
                notes.append(
                    f"names with over {self.max_tokens} characters (data.max_tokens), of which the "
                    f"first and last halves of so many are read: {long:,}"
                )
        return notes


def folded(document: Document) -> str:
    """What two lines have in common that have the same name."""
    return without_accents("".join(document.tokens)).casefold().strip()


def _shown(character: str) -> str:
    """The character, or its name where nothing would be seen of it."""
    if character.isprintable() and not character.isspace():
        return character
    return unicodedata.name(character, f"U+{ord(character):04X}").lower()
