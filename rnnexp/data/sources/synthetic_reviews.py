"""SYNTHETIC product reviews: a seeded generator, for demonstrations and tests without any download.

The files have the format of real ones and their traps: raw `&` and `<`, HTML entities, text of
several lines, tags that repeat. They go through the same reader.

A review says something about one to five parts of a product: a clause each, with exactly one
sentiment word (`POSITIVE`, `NEGATIVE`). Clauses end at a comma or a full stop. The label follows
from the text by a rule without exceptions:

1. A clause counts 1 with a positive word and -1 with a negative one; the opposite where a negation
   (not, isn't, cannot, never, hardly, nobody) stands before that word in the clause, however many
   words lie between: "the lid is not at all what I would call sturdy" counts -1.
2. Where a contrast (but, however, in the end) stands before the last clause, that clause decides.
   Otherwise the sum of all clauses does.

Remarks that may stand before and after have no sentiment word, and count nothing.

Words alone tell nothing: whether a clause is negated and which sign its word has are independent
coins, and an affirmation has as many words as its negation. So every word is as frequent in
positive reviews as in negative ones, and most pairs of neighbours are. A network must remember a
negation until its word comes, keep the score, and drop it at a late "but".
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import numpy as np

from rnnexp.data.sources.reviews import Reviews
from rnnexp.data.text.documents import Document
from rnnexp.errors import UserError

Option = TypeVar("Option")

PARTS = {  # category -> the product, and what is said to be good or bad about it
    "synthetic_backpacks": ("backpack", ("strap", "zip", "pocket", "lining", "buckle", "frame")),
    "synthetic_kettles": ("kettle", ("lid", "spout", "handle", "switch", "heater", "base")),
    "synthetic_lamps": ("lamp", ("shade", "bulb", "stand", "dimmer", "cable", "joint")),
}
KINDS = {"positive": 1, "negative": -1}  # name of the file -> label in the rule

POSITIVE = (
    *("sturdy", "solid", "reliable", "elegant", "practical"),
    *("pleasant", "excellent", "lovely", "impressive"),
)
NEGATIVE = (
    *("flimsy", "shoddy", "faulty", "ugly", "useless"),
    *("annoying", "awful", "dreadful", "disappointing"),
)
CALLED = ("what I would call", "what most people call")
BETWEEN = ("", "", "", "to my mind", "by any standard", *CALLED)
FRAMES = (  # affirmed, negated (as many words), what stands between that and the sentiment word
    ("the {part} is", "the {part} isn't", BETWEEN),
    ("the {part} is certainly", "the {part} is not", BETWEEN),
    ("the {part} is clearly", "the {part} is hardly", BETWEEN),
    ("the {part} is always", "the {part} is never", BETWEEN),
    ("the {part} is in every way", "the {part} is not at all", CALLED),
    ("everybody finds", "nobody finds", ("the {part}", "the {part} of this {product}")),
    ("I would gladly", "I would never", ("call the {part}", "describe the {part} as")),
    ("I can say that", "I cannot say that", ("the {part} is", "people find the {part}")),
)
JOINTS = (". ", ", and ")
CONTRASTS = (", but ", ". However, ", ". In the end ")
CLAUSES = (1, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 5)  # numbers of clauses, each entry equally likely
SHORTEST, LONGEST = 5, 40  # words of a review

BEFORE = (  # remarks; what would be markup or an entity stands here as real files have it
    "I bought this {product} in March.",
    "I ordered it from Moss & Fern.",
    "It cost < 40 dollars.",
    "It was a present from my aunt &amp; uncle.",
)
AFTER = (
    "The box says &quot;deluxe&quot; in red letters.",
    "We use it at the caf&eacute; every day.",
    "My sister&#8217;s {product} is two years older.",
    "This is our second {product}.",
)
MONTHS = "January February March April May June July August September October November December"


class SyntheticReviews(Reviews):
    """SYNTHETIC reviews, generated anew (and alike) for every run.

    generator_seed: seed of the generator; the run's own seed does not change the data.
    """

    things = "SYNTHETIC reviews"

    def __init__(self, generator_seed: int = 0, per_class: int = 500, **settings: Any) -> None:
        if per_class is None or per_class < 1:
            raise UserError(f"data.per_class is {per_class}: it must be at least 1")
        super().__init__(per_class=per_class, **settings)
        self.generator_seed, self.number = generator_seed, per_class

    @property
    def place(self) -> str:
        return f"SYNTHETIC, generated with data.generator_seed={self.generator_seed}"

    def read_documents(self) -> list[Document]:
        with TemporaryDirectory(prefix="rnnexp-synthetic-") as folder:
            write_synthetic_reviews(Path(folder), self.generator_seed, number=self.number)
            return self.read_folder(Path(folder))


def write_synthetic_reviews(folder: Path, seed: int, *, number: int) -> None:
    """Write `positive.review` and `negative.review` for each of three invented categories.

    The files are `<folder>/<category>/<kind>.review`, ASCII, with `number` reviews each. The same
    seed gives the same bytes; more reviews continue a file and change nothing in the others.
    """
    for place, (category, (product, parts)) in enumerate(PARTS.items()):
        (folder / category).mkdir(parents=True, exist_ok=True)
        for kind, label in KINDS.items():
            generator = np.random.default_rng([seed, place, label + 1])
            blocks = [_review(category, product, parts, label, generator) for _ in range(number)]
            (folder / category / f"{kind}.review").write_bytes("".join(blocks).encode("ascii"))


# --- what a review says -------------------------------------------------------------------------


def verdict(counts: Sequence[int], contrast: bool) -> int:
    """The label by the rule above: 1, -1, or 0 where a review would not make up its mind.

    counts: 1 or -1 for each clause, negations reckoned in. contrast: one stands before the last
    clause; what it then says has to contradict the clauses before.
    """
    if not contrast:
        return int(np.sign(sum(counts)))
    *before, last = counts
    return last if sum(before) * last < 0 else 0


def _text(product: str, parts: Sequence[str], label: int, generator: np.random.Generator) -> str:
    """A review of this label: clauses are drawn without a look at it, until they have it.

    Of the reviews of several clauses every second turns at the end. Of the others, those of three
    clauses and more, every second ends with a clause against its own sum: neither the last clause
    alone nor the sum alone tells the label.
    """
    clauses = _pick(CLAUSES, generator)
    contrast = clauses > 1 and _coin(generator)
    dissent = clauses > 2 and not contrast and _coin(generator)
    while True:
        signs = [1 if _coin(generator) else -1 for _ in range(clauses)]
        negated = [_coin(generator) for _ in range(clauses)]
        counts = [-sign if no else sign for sign, no in zip(signs, negated, strict=True)]
        if verdict(counts, contrast) != label or (counts[-1] != label) != dissent:
            continue
        about = generator.permutation(parts)[:clauses]
        said = [_clause(*each, generator) for each in zip(about, signs, negated, strict=True)]
        text = _joined(said, contrast, generator)
        text = _remark(BEFORE, generator) + text + _remark(AFTER, generator)
        if SHORTEST <= len(text.split()) <= LONGEST:
            return text.strip().replace("{product}", product)


def _clause(part: str, sign: int, negated: bool, generator: np.random.Generator) -> str:
    affirmed, denied, between = _pick(FRAMES, generator)
    opening = denied if negated else affirmed
    word = _pick(POSITIVE if sign > 0 else NEGATIVE, generator)
    words = f"{opening} {_pick(between, generator)} {word}".split()
    return " ".join(words).replace("{part}", part)


def _joined(clauses: Sequence[str], contrast: bool, generator: np.random.Generator) -> str:
    """Sentences of these clauses; the contrast, if there is one, before the last of them."""
    joints = [_pick(JOINTS, generator) for _ in clauses[1:]]
    if contrast:
        joints[-1] = _pick(CONTRASTS, generator)
    text = ""
    for joint, clause in zip(["", *joints], clauses, strict=True):
        starts = joint in ("", ". ")
        text += joint + (clause[0].upper() + clause[1:] if starts else clause)
    return text + "."


def _remark(remarks: Sequence[str], generator: np.random.Generator) -> str:
    """A remark in two reviews of three, sometimes a paragraph of its own."""
    if generator.integers(3) == 0:
        return " "
    gap = _pick((" ", "\n", "\n\n"), generator)
    return gap + _pick(remarks, generator) + gap


# --- the file -----------------------------------------------------------------------------------


def _review(
    category: str, product: str, parts: Sequence[str], label: int, generator: np.random.Generator
) -> str:
    """One `<review>` block. Nothing but the rating, and the text by its rule, tells the label."""
    text = _text(product, parts, label, generator)
    model = int(generator.integers(1, 10))
    asin = f"SYNTHETIC{model}"
    reviewer = f"SYNTHETIC reviewer {generator.integers(1000)}"
    title = f"About this {product}"
    stars = 3 + label * int(generator.integers(1, 3))
    day, year = generator.integers(1, 29), generator.integers(2001, 2008)
    seen = int(generator.integers(20))
    fields = [
        ("unique_id", f"{asin}:{title}:{reviewer}".lower().replace(" ", "_")),
        ("asin", asin),
        ("product_name", f"SYNTHETIC {product} & box no. {model}"),
        ("product_type", category),
        ("product_type", category),
        ("helpful", f"{generator.integers(seen + 1)} of {seen}" if seen else ""),
        ("rating", f"{stars}.0"),
        ("title", title),
        ("date", f"{_pick(MONTHS.split(), generator)} {day}, {year}"),
        ("reviewer", reviewer),
        ("reviewer_location", "Nowhere"),
        ("review_text", text),
    ]
    if _coin(generator):  # real files repeat tags in some reviews and not in others
        del fields[3]
    body = "".join(f"<{tag}>\n{content}\n</{tag}>\n" for tag, content in fields)
    return f"<review>\n{body}</review>\n"


def _pick(options: Sequence[Option], generator: np.random.Generator) -> Option:
    return options[int(generator.integers(len(options)))]


def _coin(generator: np.random.Generator) -> bool:
    return bool(generator.integers(2))
