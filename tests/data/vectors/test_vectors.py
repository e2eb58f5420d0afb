"""Word vectors: every format against the numbers written to it, and one sentence per mistake."""

import copyreg
import gzip
import hashlib
import os
import pickle
import struct
import sys
import tracemalloc
import types
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import DictConfig, OmegaConf
from sklearn.preprocessing import StandardScaler

from rnnexp.config import config_dir, instantiate
from rnnexp.data.vectors import word_vectors as module
from rnnexp.data.vectors.files import read_vectors
from rnnexp.data.vectors.recognising import Format
from rnnexp.data.vectors.word_vectors import Loaded, WordVectors
from rnnexp.errors import UserError

# A no-break space and a "next line" are no white space here, and a tab does not occur.
WORDS = ["good", "bad", "naïve", "a\xa0b", "\x85", "日本", "end"]
VECTORS = np.random.default_rng(0).normal(size=(len(WORDS), 5)).astype(np.float32)
VOCABULARY = ["end", "<unknown>", "good", "日本", "a\xa0b", "missing", "\x85"]
EXPECTED = np.stack([VECTORS[WORDS.index(w)] if w in WORDS else np.zeros(5) for w in VOCABULARY])
KNOWN = np.array([word in WORDS for word in VOCABULARY])


def rows(ending: str = "\n") -> bytes:
    lines = [
        f"{word} {' '.join(map(str, vector))}{ending}"
        for word, vector in zip(WORDS, VECTORS.tolist(), strict=True)
    ]
    return "".join(lines).encode()


def binary(ending: bytes = b"") -> bytes:
    packed = (
        word.encode() + b" " + vector.astype("<f4").tobytes() + ending
        for word, vector in zip(WORDS, VECTORS, strict=True)
    )
    return b"7 5\n" + b"".join(packed)


class KeyedVectors:
    """Has the relevant attributes of gensim 4's class, and is pickled under gensim's name."""

    __module__ = "gensim.models.keyedvectors"

    def __init__(self, words: list[str] = WORDS, vectors: object = VECTORS) -> None:
        self.vector_size = 5
        self.index_to_key: list[Any] = words
        self.next_index = len(words)
        self.key_to_index = {word: index for index, word in enumerate(words)}
        self.vectors = vectors
        self.norms = np.linalg.norm(VECTORS, axis=1)
        self.expandos = {"count": np.arange(7), "sample_int": np.ones(7, np.uint32)}
        self.mapfile_path = None
        self.lifecycle_events = [{"fname_or_handle": "x.kv", "ignore": frozenset()}]


class Vocab:
    """One word of gensim 3."""

    __module__ = "gensim.models.keyedvectors"

    def __init__(self, index: int) -> None:
        self.count, self.index = 7 - index, index


class Word2VecKeyedVectors:
    """Has the relevant attributes of gensim 3's class."""

    __module__ = "gensim.models.keyedvectors"

    def __init__(self) -> None:
        self.vectors, self.index2word, self.vector_size = VECTORS, WORDS, 5
        self.vocab = {word: Vocab(index) for index, word in enumerate(WORDS)}
        self.vectors_norm = None


@pytest.fixture
def dumps() -> Iterator[Callable[..., bytes]]:
    """Pickle with the classes above in place of gensim's modules, which are removed afterwards."""
    gensim = types.ModuleType("gensim.models.keyedvectors")
    for kind in (KeyedVectors, Vocab, Word2VecKeyedVectors):
        setattr(gensim, kind.__name__, kind)

    def dumps(content: object, protocol: int = 4) -> bytes:
        with pytest.MonkeyPatch.context() as patch:
            for name in ("gensim", "gensim.models", gensim.__name__):
                patch.setitem(sys.modules, name, gensim)
            return pickle.dumps(content, protocol)

    yield dumps
    assert not any(name.startswith("gensim") for name in sys.modules)


@pytest.fixture
def write(tmp_path: Path) -> Callable[[bytes], Path]:
    def write(content: bytes) -> Path:
        path = tmp_path / "vectors"
        path.write_bytes(content)
        return path

    return write


Write = Callable[[bytes], Path]


def vectors_config(name: str) -> DictConfig:
    config = OmegaConf.load(config_dir() / f"data/vectors/{name}.yaml")
    assert isinstance(config, DictConfig)
    return config


def assert_right(path: Path, format: Format | None = None) -> None:
    vectors, known, _ = read_vectors(path, VOCABULARY, 5, format)
    assert vectors.dtype == np.float32
    np.testing.assert_array_equal(vectors, EXPECTED)
    np.testing.assert_array_equal(known, KNOWN)


# --- what is read -------------------------------------------------------------------------------

FILES: dict[str, tuple[Format, bytes]] = {
    "glove": ("glove", rows()),
    "windows line ends": ("glove", rows("\r\n")),
    "word2vec text": ("word2vec_text", b"7 5\n" + rows()),
    "fasttext": ("fasttext", b"7 5\n" + rows(" \n")),
    "word2vec binary": ("word2vec_binary", binary()),
    "word2vec binary with line ends": ("word2vec_binary", binary(b"\n")),
}


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("name", FILES)
def test_every_format_is_recognised_and_read(write: Write, name: str, packed: bool) -> None:
    format, content = FILES[name]
    path = write(gzip.compress(content) if packed else content)
    assert_right(path)
    assert_right(path, format)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_gensims_own_format(dumps: Callable[..., bytes], write: Write, protocol: int) -> None:
    assert_right(write(dumps(KeyedVectors(), protocol)))
    assert_right(write(gzip.compress(dumps(KeyedVectors(), protocol))), "gensim")
    assert_right(write(dumps(KeyedVectors(vectors=np.asfortranarray(VECTORS)), protocol)))
    assert_right(write(dumps(KeyedVectors(vectors=VECTORS.astype(">f8")), protocol)))


def test_gensims_older_format(dumps: Callable[..., bytes], write: Write) -> None:
    older = dumps(Word2VecKeyedVectors(), 2)
    assert b"numpy._core" in older
    assert_right(write(older))
    assert_right(write(older.replace(b"numpy._core", b"numpy.core")))


def test_a_large_matrix_of_gensim_lies_beside(dumps: Callable[..., bytes], write: Write) -> None:
    path = write(dumps(KeyedVectors(vectors=None)))
    with pytest.raises(UserError, match=r"vectors\.vectors\.npy: the file is missing"):
        read_vectors(path, VOCABULARY, 5)
    np.save(f"{path}.vectors.npy", VECTORS)
    assert_right(path)


def test_the_first_row_of_a_word_counts(write: Write) -> None:
    path = write(b"a 1 2\nb 3 4\na 5 6\n")
    np.testing.assert_array_equal(read_vectors(path, ["b", "a"], 2)[0], [[3, 4], [1, 2]])


def test_words_with_spaces(write: Write) -> None:
    path = write(b"x 1 2\n. . . 3 4\n. 5 6\nat home 7 8\nat 9 10\n")
    vectors, known, _ = read_vectors(path, [".", "at home", "home", ". . ."], 2)
    np.testing.assert_array_equal(vectors, [[5, 6], [7, 8], [0, 0], [3, 4]])
    assert known.tolist() == [True, True, False, True]


def test_blank_lines_at_the_end(write: Write) -> None:
    assert_right(write(rows() + b"\n\n"))


def test_the_real_file(data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not list(data_root.glob("embeddings/glove.6B.100d*.txt")):
        pytest.skip("no GloVe file in the real data")
    monkeypatch.setenv("RNNEXP_DATA", str(data_root))
    monkeypatch.setenv("RNNEXP_CACHE", str(tmp_path))
    glove: WordVectors = instantiate(vectors_config("glove"), "")
    with glove.path.open(encoding="utf-8", newline="\n") as file:
        chosen = [line.split(" ") for line in islice(file, 0, None, 250)]
    loaded = glove.load([word for word, *_ in chosen] + ["no such word"])
    assert loaded.known.tolist() == [True] * len(chosen) + [False]
    expected = np.array([values for _, *values in chosen], np.float64).astype(np.float32)
    np.testing.assert_array_equal(loaded.vectors[:-1], expected)
    assert not loaded.vectors[-1].any()


@pytest.mark.parametrize("format", ["glove", "word2vec_binary"])
def test_memory_does_not_grow_with_the_file(tmp_path: Path, format: str) -> None:
    vector = np.arange(100, dtype="<f4")
    row = b" ".join(b"%d" % n for n in range(100)) + b"\n" if format == "glove" else vector
    path = tmp_path / "vectors.gz"
    number = 25_000
    with gzip.open(path, "wb", compresslevel=1) as file:
        if format == "word2vec_binary":
            file.write(b"%d 100\n" % number)
        for n in range(number):
            file.write(b"w%d " % n + bytes(row))
    tracemalloc.start()
    vectors, known, _ = read_vectors(path, ["w5", f"w{number - 1}"], 100)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert known.all() and (vectors == vector).all()
    assert peak < 4e6  # the file has 7 or 10 million bytes


# --- what cannot be read ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "vectors: the file is empty"),
        (b"\n\n", "vectors: the file is empty"),
        (gzip.compress(b"", mtime=0), "vectors: the file is empty"),
        (b"<html>\n", "vectors is a web page, not a file of word vectors: download the file again"),
        (b"words\n", "line 1: expected a word and its values, or a header"),
        (b"a 1 2 3\n", "data.vectors.dimension is 2, .*vectors has dimension 3"),
        (b"5 3\na 1 2 3\n", "data.vectors.dimension is 2, .*vectors has dimension 3"),
        (b"1 3\na " + bytes(12), "data.vectors.dimension is 2, .*vectors has dimension 3"),
        (b"a 1 2\nb 1", "line 2: the last line is incomplete"),
        (b"a 1 2\nb 1\n", "line 2: 1 values, expected 2"),
        (b"a 1 2\nother 1\nb 1 2\n", "line 2: 1 values, expected 2"),
        (b"2 2\na 1 2\nother 1\n", "line 3: 1 values, expected 2"),
        (b"a 1 2\nother 1 2 b 3 4\n", "line 2: two rows are in one line: download the file again"),
        (b"a 1 2\n\nb 1 two\n", "line 3: 'two' is not a number"),
        (b"x 1 2\nb 1 nan\n", "line 2: a value of 'b' is not finite"),
        (b"x 1 2\nb 1 -inf\n", "line 2: a value of 'b' is not finite"),
        (b"x 1 2\nb 1 1e39\n", "line 2: a value of 'b' is not finite"),
        (b"4 2\na 1 2\nb 1 2\n", "the file has 2 words, but its header says 4: .* write 2 2 in"),
        (b"1 2\na 1 2\nb 1 2\nc 1 2\n", "the file has 3 words, but its header says 1"),
        (b"2 2\na " + bytes(8), "word 2 of 2: the file ends here"),
        (b"2 2\na " + bytes(8) + b"b " + bytes(7), "word 2 of 2: the file ends here"),
        (b"1 2\na " + bytes(8) + b"b " + bytes(8), "has more words than its header says .1."),
        (b"1 2\na " + struct.pack("<2f", 1, np.inf), "word 1 of 1: a value of 'a' is not finite"),
        (b"1 2\n" + bytes(3_000_000), "word 1 of 1: the word is longer than 1,048,576 bytes"),
        (b"a " + b"1" * 3_000_000, "line 1: the line is longer than 1,048,576 bytes"),
        (gzip.compress(rows())[:-20], "damaged or incomplete"),
        (gzip.compress(rows())[:-8] + b"12345678", "damaged or incomplete .*CRC"),
        (b"x 1 2\n", "has none of the 2 words of the vocabulary"),
    ],
)
def test_a_mistake_is_one_sentence_with_its_place(
    write: Write, content: bytes, message: str
) -> None:
    with pytest.raises(UserError, match=message) as error:
        read_vectors(write(content), ["a", "b"], 2)
    assert "\n" not in str(error.value)


def test_a_format_that_is_not_the_files_own(write: Write) -> None:
    with pytest.raises(UserError, match="line 1: expected a header of two integers"):
        read_vectors(write(rows()), VOCABULARY, 5, "word2vec_text")
    with pytest.raises(UserError, match=r"format is glove, but .*vectors looks like word2vec_text"):
        read_vectors(write(b"7 5\n" + rows()), VOCABULARY, 5, "glove")
    with pytest.raises(UserError, match=r"format is word2vec_binary, but .* set .*format=null"):
        read_vectors(write(b"7 5\n" + rows()), VOCABULARY, 5, "word2vec_binary")


def test_a_folder_in_place_of_a_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        read_vectors(tmp_path, VOCABULARY, 5)


# --- pickles ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "vectors", "message"),
    [
        (WORDS[:-1], VECTORS, "do not have one vector for each word"),
        (WORDS, VECTORS[:, :4], "data.vectors.dimension is 5, .* has dimension 4"),
        (WORDS, np.where(VECTORS > 0.5, np.nan, VECTORS), "word .*: a value of .* is not finite"),
        (WORDS, VECTORS.astype(np.int64), "vectors are damaged .they are not floating-point"),
        (WORDS, VECTORS[0], "not a matrix of floating-point numbers"),
        (WORDS, "seven", "the vectors are damaged .they are not an array"),
        (["x"] * 7, VECTORS, "has none of the 7 words"),
        ([1, 2, 3, 4, 5, 6, 7], VECTORS, "has none of the 7 words"),
    ],
    ids=["fewer words", "dimension", "nan", "integers", "one", "text", "others", "numbers"],
)
def test_keyed_vectors_with_a_mistake(
    dumps: Callable[..., bytes], write: Write, words: list[str], vectors: object, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        read_vectors(write(dumps(KeyedVectors(words, vectors))), VOCABULARY, 5)


@pytest.mark.parametrize("damage", ["cut", "pickle", "integers"])
def test_a_damaged_matrix_beside(dumps: Callable[..., bytes], write: Write, damage: str) -> None:
    path = write(dumps(KeyedVectors(vectors=None)))
    beside = Path(f"{path}.vectors.npy")
    array = VECTORS.astype(np.int64) if damage == "integers" else VECTORS
    np.save(beside, array.astype(object) if damage == "pickle" else array)
    if damage == "cut":
        beside.write_bytes(beside.read_bytes()[:-4])
    with pytest.raises(UserError, match=r"are damaged|not a matrix"):
        read_vectors(path, VOCABULARY, 5)


class Payload:
    """An object whose unpickling calls an arbitrary function."""

    def __init__(self, function: Callable, *args: object) -> None:
        self.call = function, args

    def __reduce__(self) -> tuple:
        return self.call


MARKER = "ran"  # a file that a payload would make in the current folder
FRAME = b"\x80\x04"
NESTED_KEY = b"}" + b"N" + b"2\x86" * 60 + b"Ns"  # doubled sixty times: its hash never ends
KEYED = b"cgensim.models.keyedvectors\nKeyedVectors\n"
HOSTILE = {
    "system": pickle.dumps(Payload(os.system, f"touch {MARKER}")),
    "system, older": pickle.dumps(Payload(os.system, f"touch {MARKER}"), 2),
    "eval": pickle.dumps(Payload(eval, f"open('{MARKER}', 'w')")),
    "in a state": pickle.dumps({"vectors": Payload(os.system, f"touch {MARKER}")}),
    "reconstructor": pickle.dumps(Payload(copyreg._reconstructor, Path, object, None)),  # type: ignore[attr-defined]
    "numpy function": FRAME + b"cnumpy\nfromfile\n(S'x'\ntR.",
    "dotted name": FRAME + b"\x8c\x05numpy\x8c\x0bcore.os.sys\x93.",
    "dotted, begins well": FRAME + b"\x8c\x05numpy\x8c\x0cndarray.dump\x93.",
    "extension": FRAME + b"\x82\x01.",
    "extension 4": FRAME + b"\x84\x01\x00\x00\x00.",
    "persistent": FRAME + b"Px\n.",
    "binary persistent": FRAME + b"NQ.",
    "buffer": b"\x80\x05\x97.",
    "instance": FRAME + b"(ios\nsystem\n.",
    "cut": FRAME + b"]]]",
    "no stop": FRAME,
    "unknown opcode": FRAME + b"\xff.",
    "protocol": b"\x80\x63.",
    "text bomb": FRAME + b"\x8d" + struct.pack("<Q", 2**60) + b".",
    "bytes bomb": FRAME + b"\x8e" + struct.pack("<Q", 2**34) + b".",
    "array bomb": b"\x80\x05\x96" + struct.pack("<Q", 2**34) + b".",
    "frame bomb": FRAME + b"\x95" + struct.pack("<Q", 2**60) + b".",
    "memo bomb": FRAME + b"Nr\xff\xff\xff\x7f.",
    "nested lists": FRAME + b"]" * 100_000 + b"a" * 99_999 + b".",
    "nested key": FRAME + NESTED_KEY + b".",
    "nested member": FRAME + b"\x8f(" + b"N" + b"2\x86" * 60 + b"\x90.",
    "nested dictionary": FRAME + b"(" + b"N" + b"2\x86" * 60 + b"Nd.",
    "other content": pickle.dumps(["good", "bad"]),
    "no state": FRAME + KEYED + b")\x81.",
    "the class itself": FRAME + KEYED + b".",
    "state of the class": FRAME + KEYED + b"N}\x8c\x0c__setstate__Ns\x86b.",
    "state of a list": FRAME + b"]}b.",
    "endless shape": FRAME + KEYED + b")\x81}(\x8c\x0cindex_to_key]\x8c\x07vectors"
    b"cnumpy._core.multiarray\n_reconstruct\n)R(K\x01J\xff\xff\xff\x7fJ\xff\xff\xff\x7f\x86"
    b"cnumpy\ndtype\n\x8c\x02f4\x85R(K\x03\x8c\x01<tb\x89C\x00tbub.",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_pickle(
    write: Write, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = write(HOSTILE[name])
    tracemalloc.start()
    with pytest.raises(UserError, match=r"pickle|KeyedVectors|vectors are damaged") as error:
        read_vectors(path, VOCABULARY, 5)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "\n" not in str(error.value)
    assert peak < 1e8
    assert not (tmp_path / MARKER).exists()


def test_the_payloads_would_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pickle.loads(HOSTILE["system"])
    assert (tmp_path / MARKER).exists()


def test_what_was_done_to_a_stub_does_not_outlive_the_file(
    dumps: Callable[..., bytes], write: Write
) -> None:
    with pytest.raises(UserError):
        read_vectors(write(HOSTILE["state of the class"]), VOCABULARY, 5)
    assert_right(write(dumps(KeyedVectors())))


# --- WordVectors, the class in configs ----------------------------------------------------------


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RNNEXP_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("RNNEXP_DATA", raising=False)
    return tmp_path / "cache" / "vectors"


def word_vectors(path: Path | None, **settings: Any) -> WordVectors:
    defaults: dict[str, Any] = {
        "file": None if path is None else str(path),
        "pattern": "glove.6B.100d*.txt",
        "source": "glove",
        "format": None,
        "dimension": 5,
        "unknown": "skip",
    }
    return WordVectors(**defaults | settings)


def assert_loaded(loaded: Loaded) -> None:
    np.testing.assert_array_equal(loaded.vectors, EXPECTED)
    np.testing.assert_array_equal(loaded.known, KNOWN)


def test_what_is_loaded(cache: Path, write: Write) -> None:
    before = torch.random.get_rng_state()
    loaded = word_vectors(write(rows())).load(VOCABULARY)
    assert_loaded(loaded)
    assert loaded.vectors.dtype == torch.float32 and loaded.known.dtype == torch.bool
    assert loaded.fingerprint == hashlib.sha256(rows()).hexdigest()
    assert loaded.coverage == "5 of 7 words (71.4 %) have a vector in vectors"
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_second_time_nothing_is_read(
    cache: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(rows())
    first = word_vectors(path).load(VOCABULARY)
    moved = path.rename(path.with_name("moved"))

    def read(*args: object) -> None:
        raise AssertionError("read again")

    monkeypatch.setattr(module, "read_vectors", read)
    again = word_vectors(moved).load(VOCABULARY)  # the content counts, not the name
    assert_loaded(again)
    assert again.fingerprint == first.fingerprint
    for changed, vocabulary in [
        (word_vectors(moved, dimension=4), VOCABULARY),
        (word_vectors(moved, format="glove"), VOCABULARY),
        (word_vectors(moved), VOCABULARY[::-1]),
        (word_vectors(write(rows() + rows())), VOCABULARY),
    ]:
        with pytest.raises(AssertionError, match="read again"):
            changed.load(vocabulary)
    monkeypatch.setattr(module, "VERSION", module.VERSION + 1)
    with pytest.raises(AssertionError, match="read again"):
        word_vectors(moved).load(VOCABULARY)


def test_a_changed_matrix_of_gensim_is_seen(
    cache: Path, dumps: Callable[..., bytes], write: Write
) -> None:
    path = write(dumps(KeyedVectors(vectors=None)))
    np.save(f"{path}.vectors.npy", VECTORS)
    first = word_vectors(path).load(VOCABULARY)
    assert_loaded(first)
    np.save(f"{path}.vectors.npy", -VECTORS)
    changed = word_vectors(path).load(VOCABULARY)
    assert changed.fingerprint != first.fingerprint
    np.testing.assert_array_equal(changed.vectors, -EXPECTED)


def test_a_damaged_cache_file_is_made_anew(cache: Path, write: Write) -> None:
    glove = word_vectors(write(rows()))
    glove.load(VOCABULARY)
    (kept,) = cache.iterdir()
    whole = kept.read_bytes()
    damaged = [whole[:size] for size in range(0, len(whole), 50)]
    for place in range(0, len(whole), 5):
        damaged.append(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
    for content in damaged:
        kept.write_bytes(content)
        assert_loaded(glove.load(VOCABULARY))
    kept.write_bytes(damaged[5])
    glove.load(VOCABULARY)
    assert kept.read_bytes() == whole
    assert list(cache.iterdir()) == [kept]


def test_a_cache_that_cannot_be_written(cache: Path, write: Write) -> None:
    cache.parent.mkdir()
    cache.write_text("no folder")
    assert_loaded(word_vectors(write(rows())).load(VOCABULARY))


def test_the_file_is_found_by_its_pattern(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched = cache.parent / "embeddings"
    wish = r"`rnnexp data fetch glove` \(0\.9 GB\), or set data\.vectors\.file=FILE"
    with pytest.raises(
        UserError, match=rf"embeddings has no file glove\.6B\.100d\*\.txt: .*{wish}"
    ):
        word_vectors(None).load(VOCABULARY)
    fetched.mkdir(parents=True)
    (fetched / "glove.6B.100d.txt").write_bytes(rows())
    assert_loaded(word_vectors(None).load(VOCABULARY))
    monkeypatch.setenv("RNNEXP_DATA", str(tmp_path))
    with pytest.raises(UserError, match=f"{tmp_path}/embeddings has no file"):
        word_vectors(None).load(VOCABULARY)
    (tmp_path / "embeddings").mkdir()
    (tmp_path / "embeddings" / "glove.6B.100d.subset.txt").write_bytes(rows())
    assert_loaded(word_vectors(None).load(VOCABULARY))
    (tmp_path / "embeddings" / "glove.6B.100d.txt").write_bytes(rows())
    with pytest.raises(UserError, match=r"several files .*subset\.txt, .*data\.vectors\.file=FILE"):
        word_vectors(None).load(VOCABULARY)


def test_a_file_that_is_not_there(cache: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"data\.vectors\.file=.*nowhere: there is no such file"):
        word_vectors(tmp_path / "nowhere").load(VOCABULARY)


def test_no_dimension(cache: Path) -> None:
    with pytest.raises(UserError, match=r"data\.vectors\.dimension is 0"):
        word_vectors(None, dimension=0)


@pytest.mark.parametrize(
    ("name", "dimension", "file"),
    [
        ("glove", 100, "glove.6B.100d.txt"),
        ("word2vec", 300, "GoogleNews-vectors-negative300.bin.gz"),
    ],
)
def test_what_is_fetched_is_what_the_config_looks_for(
    cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    dimension: int,
    file: str,
) -> None:
    from rnnexp.data.fetching.downloads import DOWNLOADS

    monkeypatch.setenv("RNNEXP_DATA", str(tmp_path))
    wanted: WordVectors = instantiate(vectors_config(name), "")
    assert (wanted.dimension, wanted.source, wanted.unknown) == (dimension, name, "skip")
    assert (DOWNLOADS[name].members, DOWNLOADS[name].folder) == ((file,), "embeddings")
    (tmp_path / "embeddings").mkdir()
    (tmp_path / "embeddings" / file).touch()
    assert wanted.path == tmp_path / "embeddings" / file


def test_standardized(cache: Path, write: Write) -> None:
    path = write(rows())
    plain = word_vectors(path).load([*WORDS, "unheard"])
    scaled = word_vectors(path, standardize=True).load([*WORDS, "unheard"])
    known = plain.vectors[plain.known].numpy()
    expected = StandardScaler().fit_transform(known)
    np.testing.assert_allclose(scaled.vectors[scaled.known].numpy(), expected, rtol=1e-5, atol=1e-6)
    assert scaled.vectors[~scaled.known].count_nonzero() == 0
