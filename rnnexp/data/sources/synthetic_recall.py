"""SYNTHETIC documents that test memory alone: the first word determines the class.

A document is `yes` or `no`, followed by `distance` random words that do not depend on the class.
The network must remember the first word for `distance` steps, and the gradient must flow back over
as many (the latching problem of Bengio, Simard and Frasconi 1994, "Learning long-term dependencies
with gradient descent is difficult").

`yes` and `no` occur nowhere else, so a bag of words solves the task at any distance.
"""

from typing import Any

import numpy as np

from rnnexp.data.text.documents import Document
from rnnexp.data.text.source import DocumentSource
from rnnexp.errors import UserError

FIRST = ("no", "yes")  # first words of class 0 and class 1
OTHERS = (
    *(
        "apple",
        "bread",
        "chair",
        "door",
        "engine",
        "forest",
        "garden",
        "hammer",
        "island",
        "jacket",
    ),
    *("kettle", "ladder", "meadow", "needle", "orange", "pencil", "quarry", "river", "saddle"),
    "table",
)


class SyntheticRecall(DocumentSource):
    """SYNTHETIC documents, generated again, identically, for every run.

    distance: words after the first one. number: of documents, half of them in each class.
    generator_seed: seed of the generator; the run's seed does not change the data.
    """

    things = "SYNTHETIC documents"
    classes = tuple(f"synthetic_{word}" for word in FIRST)

    def __init__(
        self,
        distance: int = 20,
        number: int = 2500,
        generator_seed: int = 0,
        test_fraction: float = 0.2,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        for key, value, least in (("distance", distance, 1), ("number", number, 10)):
            if value < least:
                raise UserError(f"data.{key} is {value}: it must be at least {least}")
        if not 0.1 <= test_fraction <= 0.5:
            raise UserError(f"data.test_fraction is {test_fraction}: it must be from 0.1 to 0.5")
        if self.max_tokens is not None and self.max_tokens <= distance:
            raise UserError(
                f"data.max_tokens={self.max_tokens} would cut documents of {distance + 1} words "
                "and shorten the distance: set data.max_tokens=null"
            )
        self.distance, self.number, self.generator_seed = distance, number, generator_seed
        self.test_fraction = test_fraction

    @property
    def place(self) -> str:
        return f"SYNTHETIC, generated with data.generator_seed={self.generator_seed}"

    @property
    def notes(self) -> list[str]:
        return [f"the first word, {self.distance} words before the last, determines the class"]

    def words(self) -> list[str]:
        return [*FIRST, *OTHERS]

    def tokens_of(self, text: str) -> list[str]:
        return text.lower().split()

    def read(self) -> tuple[list[Document], list[Document]]:
        documents = [self._document(number) for number in range(self.number)]
        kept, test = self.split_off(documents, self.test_fraction, "test")
        return [documents[number] for number in kept], [documents[number] for number in test]

    def _document(self, number: int) -> Document:
        """Document `number`, which a larger distance extends and a larger number leaves alone."""
        generator = np.random.default_rng([self.generator_seed, number])
        others = generator.integers(len(OTHERS), size=self.distance)
        label = number % 2
        tokens = [FIRST[label], *(OTHERS[place] for place in others)]
        return Document(tokens, label, "", " ".join(tokens))
