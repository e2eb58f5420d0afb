"""Product reviews: a folder of categories, each with positive.review and negative.review."""

from pathlib import Path
from typing import Any

from rnnexp.data.folders import data_folder
from rnnexp.data.text.documents import Document
from rnnexp.data.text.review_files import LABELS, categories, read_first
from rnnexp.data.text.source import DocumentSource
from rnnexp.data.text.tokenization import LectureWords, Words
from rnnexp.errors import UserError


class Reviews(DocumentSource):
    """The first reviews of every category and class, split into training and test.

    root: the folder of categories, or a folder that contains it as `sorted_data*`; None: `reviews`
    in $RNNEXP_DATA, or where `rnnexp data fetch` puts it.
    categories: the categories to read; None: all of the folder.
    per_class: positive and negative reviews of each category, the first of each file; None: all.
    strict: whether a category with fewer reviews is an error; otherwise the report says so.
    test_fraction: share of the test documents, stratified by category and class.
    encoding: encoding of the files; None: detected for each file, UTF-8 or Latin-1.
    """

    things = "reviews"
    classes = LABELS

    def __init__(
        self,
        tokenization: LectureWords | Words,
        root: str | None = None,
        categories: list[str] | None = None,
        per_class: int | None = None,
        strict: bool = False,
        test_fraction: float = 0.2,
        encoding: str | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        if per_class is not None and per_class < 1:
            raise UserError(f"data.per_class is {per_class}: it must be at least 1")
        if not 0 < test_fraction < 1:
            raise UserError(f"data.test_fraction is {test_fraction}: it must lie between 0 and 1")
        self.tokenization, self.root, self.categories = tokenization, root, categories
        self.per_class, self.strict, self.test_fraction = per_class, strict, test_fraction
        self.encoding = encoding
        self._notes: list[str] = []

    @property
    def place(self) -> str:
        root = data_folder("reviews", self.root).resolve()
        inside = [folder for folder in root.glob("sorted_data*") if folder.is_dir()]
        return str(inside[0] if len(inside) == 1 else root)

    @property
    def notes(self) -> list[str]:
        return self._notes

    def read(self) -> tuple[list[Document], list[Document]]:
        documents = self.read_documents()
        kept, test = self.split_off(documents, self.test_fraction, "test")
        if not test:
            raise UserError(
                f"data.test_fraction={self.test_fraction} leaves no test reviews: raise it, or "
                "data.per_class"
            )
        return [documents[number] for number in kept], [documents[number] for number in test]

    def tokens_of(self, text: str) -> list[str]:
        return self.tokenization(text)

    def read_documents(self) -> list[Document]:
        return self.read_folder(Path(self.place))

    def read_folder(self, root: Path) -> list[Document]:
        """Read and tokenise the chosen reviews of every category."""
        documents = []
        for category in categories(root, self.categories):
            found = read_first(
                root,
                category,
                self.per_class,
                encoding=self.encoding,
                decode_entities=self.tokenization.decode_entities,
            )
            for label, name in enumerate(LABELS):
                self._note_missing(category, name, len(found[name]))
                documents += [
                    Document(self.tokenization(review.text), label, category, review.text)
                    for review in found[name]
                ]
        return documents

    def _note_missing(self, category: str, name: str, found: int) -> None:
        if self.per_class is None or found == self.per_class:
            return
        note = f"{category} has only {found} {name} reviews, not {self.per_class}"
        if self.strict:
            raise UserError(f"{note} (data.per_class): lower it, or set data.strict=false")
        self._notes.append(note)
