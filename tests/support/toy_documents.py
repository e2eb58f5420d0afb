"""A source of documents that a test writes down."""

from collections.abc import Sequence

from rnnexp.data.text.documents import Document
from rnnexp.data.text.source import DocumentSource
from rnnexp.tasks.classification.data import ClassificationData


def document(text: str, label: int, group: str = "") -> Document:
    return Document(text.split(), label, group, text)


class ToyDocuments(DocumentSource):
    """These documents, of these classes."""

    things = "notes"
    place = "made here"

    def __init__(
        self,
        classes: Sequence[str],
        known: Sequence[Document],
        tested: Sequence[Document],
        validation_fraction: float = 0.25,
    ) -> None:
        super().__init__(
            split_seed=0,
            validation_fraction=validation_fraction,
            vocabulary="train",
            min_count=1,
            max_tokens=None,
            batch_size=4,
            eval_batch_size=4,
            reshuffle=True,
        )
        self.classes, self.known, self.tested = classes, list(known), list(tested)
        self.setup()

    def read(self) -> tuple[list[Document], list[Document]]:
        return self.known, self.tested


def fed(source: DocumentSource) -> ClassificationData:
    """The data module over a source, read."""
    data = ClassificationData(source)
    data.setup()
    return data
