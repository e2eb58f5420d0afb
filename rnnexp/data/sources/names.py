"""Last names with their language: a folder of `Language.txt` files."""

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

SHOWN = 20  # characters of a name in a message


class Names(DocumentSource):
    """The names of a folder, split into training and test. A token is a character.

    characters: the alphabet, and how other characters are handled.
    root: the folder; None: `names` in $RNNEXP_DATA, or where `rnnexp data fetch` puts it.
    languages: the languages to read, i.e. file names; None: all of the folder.
    split: `rows` splits the lines of every language, as in published results; a name that occurs
    several times may then be in both parts, which is a leak. `names` splits the different names,
    each with all its lines, stratified by their most frequent language. Names count as equal if
    they differ only in accents, case, or white space at the ends.
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
                f"data.test_fraction={self.test_fraction} leaves no test names: raise it, or add "
                "names"
            )
        return [documents[number] for number in kept], [documents[number] for number in test]

    def read_documents(self) -> list[Document]:
        return self.read_folder(Path(self.place))

    def read_folder(self, root: Path) -> list[Document]:
        """Read the names of every language as characters; the languages become the classes."""
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
                        "lecture's letters a to z and A to Z, not even with an accent: remove the "
                        "line, or set data/characters=all"
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

    # Notes for the console ----------------------------------------------------------------------

    @property
    def notes(self) -> list[str]:
        return [self._limits(), self._leak(), *self._character_notes()]

    def _limits(self) -> str:
        """The accuracy of the most frequent class, and of a table of all names."""
        everything = self._everything()
        languages = Counter(document.label for document in everything)
        [(label, most)] = languages.most_common(1)
        table = defaultdict[str, Counter[int]](Counter)
        for document in everything:
            table["".join(document.tokens)][document.label] += 1
        best = sum(max(counts.values()) for counts in table.values())
        several = sum(len(counts) > 1 for counts in table.values())
        return (
            f"accuracy on all names: {100 * most / len(everything):.1f} % by always predicting "
            f"{self.classes[label]}; {100 * best / len(everything):.2f} % by a table of all "
            f"{len(table):,} different names with their most frequent language, the upper bound "
            f"for any model of these characters ({several:,} names occur in several languages)"
        )

    def _leak(self) -> str:
        """How many names are in several parts."""
        if self.split == "names":
            return "data.split=names: each name is in one part only"
        trained = {folded(document) for document in self.documents["training"]}
        tested = [folded(document) in trained for document in self.documents["test"]]
        rows = [(*document.tokens, document.label) for document in self._everything()]
        return (
            f"data.split=rows LEAKS: {len(rows) - len(set(rows)):,} lines repeat a name of their "
            f"language, and {sum(tested):,} of the {len(tested):,} test names are in the training "
            "part too; data.split=names keeps each name in one part"
        )

    def _character_notes(self) -> list[str]:
        """Which characters are replaced or left out, and how many names are cut."""
        texts = [document.text for document in self._everything()]
        found = sorted(
            changed(texts, self.characters).items(), key=lambda item: (-item[1], item[0])
        )
        notes = []
        replaced = [f"{old} -> {new} ({count:,})" for (old, new), count in found if new]
        if replaced:
            notes.append(f"accents removed: {', '.join(replaced)}")
        left_out = [f"{_shown(old)} ({count:,})" for (old, new), count in found if not new]
        if left_out:
            notes.append(f"characters left out: {', '.join(left_out)}")
        spaces = sum(text != text.strip() for text in texts)
        if spaces:
            notes.append(f"names that begin or end with white space, which is kept: {spaces:,}")
        if self.max_tokens is not None:
            long = sum(len(one.tokens) > self.max_tokens for one in self._everything())
            if long:
                notes.append(
                    f"names cut to {self.max_tokens} characters (data.max_tokens), first and last "
                    f"half: {long:,}"
                )
        return notes


def folded(document: Document) -> str:
    """The form in which names are compared: without accents, case, and white space at the ends."""
    return without_accents("".join(document.tokens)).casefold().strip()


def _shown(character: str) -> str:
    """The character, or its Unicode name if it is invisible."""
    if character.isprintable() and not character.isspace():
        return character
    return unicodedata.name(character, f"U+{ord(character):04X}").lower()
