"""What the data decide of a classification."""

from dataclasses import dataclass
from typing import Any, Self

from rnnexp.data.loading.module import Spec
from rnnexp.nn.representations import Vectors


@dataclass(frozen=True)
class ClassificationSpec(Spec):
    """classes, groups: their names. vocabulary: how many tokens there are. unknown: the number of
    the unknown one, where there is one. vectors: of the words, where the data have some. extra: how
    many inputs a step has beside its token."""

    classes: list[str]
    groups: list[str]
    vocabulary: int
    unknown: int | None
    vectors: Vectors | None = None
    extra: int = 0

    @classmethod
    def from_plain(cls, content: dict[str, Any]) -> Self:
        vectors = content.get("vectors")
        if vectors is not None:
            content = content | {"vectors": Vectors(**vectors)}
        return super().from_plain(content)
