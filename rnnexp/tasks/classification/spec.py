"""The spec of the classification task."""

from dataclasses import dataclass
from typing import Any, Self

from rnnexp.data.loading.module import Spec
from rnnexp.nn.representations import Vectors


@dataclass(frozen=True)
class ClassificationSpec(Spec):
    """classes, groups: names of the classes and groups. vocabulary: number of tokens. unknown:
    number of the unknown token, or None. vectors: sizes of the word vectors, or None. extra: extra
    inputs per step, beside the token."""

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
