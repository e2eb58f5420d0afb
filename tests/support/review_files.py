"""Small product reviews for tests, in the format of the real ones."""

from pathlib import Path

SENTENCES = {
    "negative": ("It broke at once, do n't buy it.", "A bad & ugly thing; I sent it back."),
    "positive": ("It works & works, I love it.", "A good, solid thing for < 20 dollars."),
}


def write_review_files(
    root: Path, categories: tuple[str, ...] = ("lamps", "kettles"), number: int = 10
) -> Path:
    """`<category>/{negative,positive}.review` with so many reviews in each file, all different."""
    for category in categories:
        (root / category).mkdir(parents=True)
        for label, sentences in SENTENCES.items():
            reviews = [
                f"<review>\n<title>\nNumber {n}\n</title>\n<review_text>\n"
                f"{sentences[n % 2]} Word{n} of {category}.\n</review_text>\n</review>\n"
                for n in range(number)
            ]
            (root / category / f"{label}.review").write_text("".join(reviews), encoding="utf-8")
    return root


def write_vectors(path: Path, words: list[str], dimension: int) -> Path:
    """A file of word vectors as GloVe writes them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = []
    for place, word in enumerate(words):
        numbers = [(place + 1) * (number % 7 - 3) / 10 for number in range(dimension)]
        lines.append(" ".join([word, *map("{:.2f}".format, numbers)]))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
