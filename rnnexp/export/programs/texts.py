"""Predict the classes of texts with model.onnx. This needs NumPy and onnxruntime alone.

    python predict.py "a text" "another text"
    python predict.py --csv FILE          a CSV file with a column `text`

It prints CSV, as `rnnexp predict DIR --text ... --output FILE.csv` writes it: a row for each text,
with its likeliest class and p_CLASS, the probability of each class. A text that cannot be read has
empty cells and an `error`, and the exit code is 1.
"""

import argparse
import csv
import importlib.util
import io
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # else onnxruntime reports to its makers
import onnxruntime

HERE = Path(__file__).parent
METADATA = json.loads((HERE / "metadata.json").read_text("utf-8"))
BATCH = 64


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("texts", nargs="*", help="a text")
    parser.add_argument("--csv", metavar="FILE", help="a CSV file with a column `text`")
    arguments = parser.parse_args()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")
    if METADATA["not_supported"]:
        return refuse(f"this program does not know {METADATA['not_supported']}; use rnnexp predict")
    texts = arguments.texts + (read_csv(arguments.csv) if arguments.csv else [])
    if not texts:
        return refuse("give a text, or a file with --csv FILE")
    probability, faults = predict(texts)
    columns = ["text", "prediction", *(f"p_{name}" for name in METADATA["classes"])]
    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow(columns + (["error"] if faults else []))
    for row, text in enumerate(texts):
        shown = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        cells = [shown, *[""] * (len(columns) - 1), faults.get(row, "")]
        if row not in faults:
            likeliest = METADATA["classes"][int(probability[row].argmax())]
            cells = [shown, likeliest, *(f"{p:.9g}" for p in probability[row]), ""]
        out.writerow(cells if faults else cells[:-1])
    return 1 if faults else 0


def refuse(sentence: str) -> int:
    print(f"predict.py: {sentence}", file=sys.stderr)
    return 2


def read_csv(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        sys.exit(refuse(f"{path} cannot be read: {error.strerror}"))
    except UnicodeDecodeError:
        sys.exit(refuse(f"{path} is not UTF-8 text"))
    except csv.Error as error:
        sys.exit(refuse(f"{path} is no CSV file: {error}"))
    if not rows or any(row.get("text") is None for row in rows):
        sys.exit(refuse(f"{path} must have a column `text` in every row"))
    return [row["text"] for row in rows]


# From texts to probabilities --------------------------------------------------------------------


def predict(texts: list[str]) -> tuple[np.ndarray, dict[int, str]]:
    """The probabilities (n, C) of n texts, and row -> what is wrong with it."""
    words = json.loads((HERE / "vocabulary.json").read_text("utf-8"))
    number = {word: place for place, word in enumerate(words)}
    ratios = Ratios() if METADATA["ngrams"] else None
    split = tokenizer()
    faults, encoded, strange = {}, {}, dict[str, None]()
    for row, text in enumerate(texts):
        if any(one == "\0" or "\ud800" <= one <= "\udfff" for one in text):
            faults[row] = "is not UTF-8 text"
            continue
        tokens = split(text)
        strange |= dict.fromkeys(one for one in tokens if one not in number)
        unknown = METADATA["unknown"]
        skips = unknown is None or METADATA["skip_unknown"]
        kept = [i for i, one in enumerate(tokens) if one in number or not skips]
        most = METADATA["max_tokens"]
        if not text.strip():
            faults[row] = "is empty"
        elif not tokens or not (kept or unknown is not None):
            faults[row] = f"has no {METADATA['token']} that the network knows"
        elif most is None and len(kept) > METADATA["longest"]:
            faults[row] = (
                f"is too long: it has {len(kept):,} {METADATA['token']}s, at most "
                f"{METADATA['longest']:,} are read"
            )
        else:
            if most is not None and len(kept) > most:  # the first and the last half
                kept = kept[: most - most // 2] + kept[-(most // 2) :]
            ids = [number.get(tokens[i], unknown) for i in kept] or [unknown or 0]
            extra = ratios.of(tokens) if ratios else np.zeros((len(tokens), 0), np.float32)
            encoded[row] = ids, extra[kept] if kept else np.zeros_like(extra[:1])
    if strange:
        print(f"predict.py: not in the vocabulary: {', '.join(strange)}", file=sys.stderr)
    probability = np.full((len(texts), len(METADATA["classes"])), np.nan, np.float32)
    rows = sorted(encoded, key=lambda row: len(encoded[row][0]))
    for batch in (rows[i : i + BATCH] for i in range(0, len(rows), BATCH)):
        probability[batch] = np.exp(run([encoded[row] for row in batch]))
    return probability, faults


def tokenizer() -> Any:
    """What splits a text, in tokens.py: a file of rnnexp, unchanged."""
    spec = importlib.util.spec_from_file_location("tokens", HERE / "tokens.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, METADATA["tokens"])()


def run(batch: list[tuple[list[int], np.ndarray]]) -> np.ndarray:
    """The log-probabilities (B, C) of encoded texts, padded to the longest one."""
    lengths = np.array([len(ids) for ids, _ in batch])
    tokens = np.zeros((len(batch), lengths.max()), np.int64)
    extra = np.zeros((*tokens.shape, batch[0][1].shape[1]), np.float32)
    for row, (ids, ratios) in enumerate(batch):
        tokens[row, : len(ids)], extra[row, : len(ids)] = ids, ratios
    inputs = {"tokens": tokens, "lengths": lengths} | ({"extra": extra} if extra.size else {})
    return session().run([METADATA["output"]], inputs)[0]


def session(found: list[Any] = []) -> Any:  # noqa: B006 - one for all calls
    if not found:
        path = str(HERE / "model.onnx")
        found.append(onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]))
    return found[0]


class Ratios:
    """The log-count ratios of the n-grams that end at each token, which the network reads too."""

    def __init__(self) -> None:
        self.kinds = METADATA["ngrams"]["kinds"]  # name -> distances from the last token
        self.number = {word: i for i, word in enumerate(METADATA["ngrams"]["words"], start=1)}
        with np.load(HERE / "ngrams.npz") as tables:
            self.tables = {name: tables[name] for name in tables.files}

    def of(self, tokens: list[str]) -> np.ndarray:
        unknown, furthest = len(self.number) + 1, max(map(max, self.kinds.values()))
        numbers = [0] * furthest + [self.number.get(one, unknown) for one in tokens]
        padded, columns = np.array(numbers, np.int64), []
        for kind, distances in self.kinds.items():
            ngram = np.zeros(len(tokens), np.int64)
            for back in distances:
                ngram = ngram * (unknown + 1) + padded[furthest - back :][: len(tokens)]
            known, ratios = self.tables[f"ngrams_{kind}"], self.tables[f"ratios_{kind}"]
            place = np.searchsorted(known, ngram)
            found = known[np.minimum(place, len(known) - 1)] == ngram
            columns.append(ratios[np.where(found, place, len(known))])
        return np.concatenate(columns, axis=1)


if __name__ == "__main__":
    sys.exit(main())
