"""Small files of last names for tests, in the format of the real ones."""

from pathlib import Path

ENDINGS = {"Czech": "ek", "Finnish": "nen", "Italian": "ini", "Welsh": "wyn"}
STEMS = ("Bal", "Dor", "Kam", "Lum", "Mar", "Nov", "Pet", "Rud", "Sil", "Tom", "Vor", "Zel")


def write_name_files(root: Path, languages: tuple[str, ...] = tuple(ENDINGS)) -> Path:
    """`Language.txt` with twelve names each, all different; the ending tells the language."""
    root.mkdir(parents=True)
    for language in languages:
        write_names(root / f"{language}.txt", [stem + ENDINGS[language] for stem in STEMS])
    return root


def write_names(path: Path, names: list[str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
    return path
