"""SYNTHETIC product reviews: a seeded generator, for demonstrations and tests without a download.

The files have the format and the traps of real ones: unescaped `&` and `<`, HTML entities, text of
several lines, repeated tags. The same reader processes them.

A review judges one to five parts of a product, each in one clause with exactly one sentiment word
(`POSITIVE`, `NEGATIVE`). Clauses end at a comma or a full stop. The label follows from the text by
a rule without exceptions:

1. A clause scores 1 with a positive word and -1 with a negative one. A negation (not, isn't,
   cannot, never, hardly, nobody) anywhere before the word in the clause flips the sign: "the lid is
   not at all what I would call sturdy" scores -1.
2. If a contrast (but, however, in the end) precedes the last clause, the last clause decides.
   Otherwise the sum of all clauses decides.

Optional remarks before and after have no sentiment word and do not count.

Single words carry no information: negation and the sign of the sentiment word are independent coin
flips, and a negated clause has as many words as an affirmed one. So every word, and almost every
bigram, is equally frequent in positive and negative reviews. A network must remember a negation
until the sentiment word, keep the score, and drop the score at a late "but".
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

PARTS = {  # category -> the product, and the parts that reviews judge
    "synthetic_backpacks": ("backpack", ("strap", "zip", "pocket", "lining", "buckle", "frame")),
    "synthetic_kettles": ("kettle", ("lid", "spout", "handle", "switch", "heater", "base")),
    "synthetic_lamps": ("lamp", ("shade", "bulb", "stand", "dimmer", "cable", "joint")),
}
KINDS = {"positive": 1, "negative": -1}  # file name -> label in the rule

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
FRAMES = (  # affirmed; negated, with as many words; options between these and the sentiment word
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
CLAUSES = (1, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 5)  # number of clauses; each entry is equally likely
SHORTEST, LONGEST = 5, 40  # words of a review

BEFORE = (  # remarks, with unescaped characters and entities as in real files
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
    """SYNTHETIC reviews, generated again, identically, for every run.

    generator_seed: seed of the generator; the run's seed does not change the data.
    """

    things = "SYNTHETIC reviews"

    def __init__(self, generator_seed: int = 0, per_class: int = 500, **settings: Any) -> None:
        if per_class is None or per_class < 1:
            raise UserError(f"data.per_class is {per_class}: it must be at least 1")
        super().__init__(per_class=per_class, **settings)
        if self.root is not None:
            raise UserError("data.root: SYNTHETIC reviews are generated, leave it out")
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
    seed gives the same bytes. A larger number only appends reviews to each file.
    """
    for place, (category, (product, parts)) in enumerate(PARTS.items()):
        (folder / category).mkdir(parents=True, exist_ok=True)
        for kind, label in KINDS.items():
            generator = np.random.default_rng([seed, place, label + 1])
            blocks = [_review(category, product, parts, label, generator) for _ in range(number)]
            (folder / category / f"{kind}.review").write_bytes("".join(blocks).encode("ascii"))


# --- the text of a review -----------------------------------------------------------------------


def verdict(counts: Sequence[int], contrast: bool) -> int:
    """The label by the rule above: 1 or -1, or 0 for an invalid review.

    counts: the score of each clause, 1 or -1, after negation. contrast: whether a contrast precedes
    the last clause; the review is then valid if the last clause contradicts the sum of the others.
    """
    if not contrast:
        return int(np.sign(sum(counts)))
    *before, last = counts
    return last if sum(before) * last < 0 else 0


def _text(product: str, parts: Sequence[str], label: int, generator: np.random.Generator) -> str:
    """A review with this label, by rejection sampling of clauses.

    Half of the reviews of several clauses have a contrast before the last clause. Of the others,
    half of those with three or more clauses end with a clause whose sign differs from the sum. So
    neither the last clause alone nor the sum alone determines the label.
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
    """Join clauses to sentences, with a contrast before the last clause if there is one."""
    joints = [_pick(JOINTS, generator) for _ in clauses[1:]]
    if contrast:
        joints[-1] = _pick(CONTRASTS, generator)
    text = ""
    for joint, clause in zip(["", *joints], clauses, strict=True):
        starts = joint in ("", ". ")
        text += joint + (clause[0].upper() + clause[1:] if starts else clause)
    return text + "."


def _remark(remarks: Sequence[str], generator: np.random.Generator) -> str:
    """A remark with probability 2/3, inline or in its own line or paragraph; else a space."""
    if generator.integers(3) == 0:
        return " "
    gap = _pick((" ", "\n", "\n\n"), generator)
    return gap + _pick(remarks, generator) + gap


# --- the file -----------------------------------------------------------------------------------


def _review(
    category: str, product: str, parts: Sequence[str], label: int, generator: np.random.Generator
) -> str:
    """One `<review>` block. Only the rating and the text depend on the label."""
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
