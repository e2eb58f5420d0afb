"""What a classification shows in TensorBoard: precision and recall, and the words in space."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

from rnnexp.data.text.source import DocumentSource
from rnnexp.files import write_text
from rnnexp.nn.representations import Embeddings
from rnnexp.printing import printable

FEW = 8  # most classes that have a curve each
MOST_WORDS, MOST_NUMBERS = 2000, 100_000  # in the projector
CURVES = "precision (up) against recall (right)"
PROJECTOR = "projector_config.pbtxt"  # where TensorBoard looks for it


def show_curves(
    board: SummaryWriter, log_probability: Tensor, target: Tensor, classes: Sequence[str]
) -> None:
    """PR CURVES: precision against recall of the second of two classes, or of each of a few.

    log_probability: (n, C). target: (n,), numbers of the classes.
    """
    if len(classes) > FEW:
        return
    for number, name in list(enumerate(classes))[1 if len(classes) == 2 else 0 :]:
        labels, probability = (target == number).numpy(), log_probability[:, number].exp().numpy()
        board.add_pr_curve(f"{CURVES}/{printable(name)}", labels, probability)


def show_words(
    board: SummaryWriter, network: nn.Module, source: DocumentSource, classes: Sequence[str]
) -> None:
    """PROJECTOR: the embeddings of the words that are most frequent in the training part, with
    their counts and the class in whose documents they stand most. Wide embeddings have fewer words,
    so that the file stays small.
    """
    table = getattr(network, "representation", None)
    if not isinstance(table, Embeddings):
        return
    counts = word_counts(source, len(classes))
    every = counts.sum(axis=1)
    most = min(MOST_WORDS, MOST_NUMBERS // max(table.size, 1))
    words = np.argsort(-every, kind="stable")[:most]
    words = words[every[words] > 0]
    device = next(network.parameters()).device
    with torch.no_grad():
        vectors = table.rows(torch.from_numpy(words).to(device)).float().cpu().numpy()
    lines = [f"{source.token}\tcount in training\tmostly in"]
    for word in words:
        label = source.vocabulary.tokens[word]
        mostly = classes[int(counts[word].argmax())]
        lines.append(f"{_cell(label)}\t{every[word]}\t{_cell(mostly)}")
    folder, name = Path(board.get_logdir()), f"{source.token}_vectors"
    write_text(folder / f"{name}.tsv", "".join(map(_line, vectors)))
    write_text(folder / f"{name}_labels.tsv", "\n".join(lines) + "\n")
    write_text(
        folder / PROJECTOR,
        f'embeddings {{\n  tensor_name: "{name}"\n  tensor_path: "{name}.tsv"\n'
        f'  metadata_path: "{name}_labels.tsv"\n}}\n',
    )


def word_counts(source: DocumentSource, classes: int) -> np.ndarray:
    """How often each word stands in the training documents of each class: (V, classes)."""
    store = source.stores["training"]
    label = torch.repeat_interleave(store.label, store.lengths)
    flat = (store.tokens * classes + label).numpy()
    size = len(source.vocabulary)
    return np.bincount(flat, minlength=size * classes).reshape(size, classes)


def _line(vector: np.ndarray) -> str:
    return "\t".join(f"{value:.4g}" for value in vector) + "\n"


def _cell(text: str) -> str:
    """A text for a file of columns; blanks alone would be invisible."""
    shown = printable(text).replace("\t", "\\t").replace("\n", "\\n")
    return shown if shown.strip() else f"'{shown}'"
