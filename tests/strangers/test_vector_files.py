"""Files of word vectors as they come: tabs, runs of blanks, words with blanks, a mark, headers that
are off by one; and files that are something else, which are named."""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from rnnexp.cli import main
from rnnexp.data.vectors.files import Found, read_vectors
from rnnexp.data.vectors.word_vectors import WordVectors
from rnnexp.errors import UserError

WORDS = ["the", "and", "not", "good", "bad"]
VALUES = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
VOCABULARY = ["bad", "<unknown>", "the", "good"]
EXPECTED = np.stack([VALUES[4], np.zeros(4), VALUES[0], VALUES[3]])
HEADER = "5 4\n"
ODD = [". . . 1 2 3 4\n", "at name@domain.com 1 2 3 4\n", "\xa0 1 2 3 4\n", "New  York 1 2 3 4\n"]


def rows(blank: str = " ", end: str = "\n", after_word: str | None = None) -> str:
    return "".join(
        f"{word}{blank if after_word is None else after_word}{blank.join(map(str, values))}{end}"
        for word, values in zip(WORDS, VALUES.tolist(), strict=True)
    )


FILES: dict[str, bytes] = {
    "two blanks": rows("  ").encode(),
    "a tab after the word": rows(after_word="\t").encode(),
    "tabs": rows("\t").encode(),
    "tabs and a header": (HEADER.replace(" ", "\t") + rows("\t")).encode(),
    "blanks at the ends": rows(end=" \n").encode(),
    "CR alone": rows(end="\r").encode(),
    "a header and CR alone": (HEADER + rows()).replace("\n", "\r").encode(),
    "a mark": rows().encode("utf-8-sig"),
    "a mark before a header": (HEADER + rows()).encode("utf-8-sig"),
    "UTF-16": rows().encode("utf-16"),
    "UTF-16 with a header": (HEADER + rows()).encode("utf-16"),
    "first words with blanks": ("".join(ODD) + rows()).encode(),
    "last words with blanks": (rows() + "".join(ODD)).encode(),
    "a blank for a word": ("  1 2 3 4\n" + rows()).encode(),
}


def write(folder: Path, content: bytes, name: str = "v.txt") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def read(path: Path, dimension: int = 4) -> Found:
    return read_vectors(path, VOCABULARY, dimension)


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("name", FILES)
def test_the_same_vectors_in_every_form(name: str, packed: bool, tmp_path: Path) -> None:
    content = FILES[name]
    found = read(write(tmp_path, gzip.compress(content) if packed else content))
    np.testing.assert_array_equal(found.vectors, EXPECTED)
    assert found.known.tolist() == [True, False, True, True]
    assert found.notes == []


UNUSUAL: dict[str, tuple[str, str]] = {
    "no final line end": (rows()[:-1], "v.txt: the last line has no line end; if the download"),
    "header one too many": ("6 4\n" + rows(), "the file has 5 words, but its header says 6"),
    "header one too few": ("4 4\n" + rows(), "the file has 5 words, but its header says 4"),
    "words that end in a number": (
        f"1 2 1 2 3 4\n{rows()}Windows 95 1 2 3 4\n",
        "the words of 2 rows end in a number after a blank, such as '1 2' (line 1)",
    ),
}


@pytest.mark.parametrize("name", UNUSUAL)
def test_what_is_unusual_is_read_and_said(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content, note = UNUSUAL[name]
    monkeypatch.setenv("RNNEXP_CACHE", str(tmp_path / "cache"))
    path = write(tmp_path, content.encode())
    vectors = WordVectors(str(path), "", "glove", None, 4, "skip")
    for _ in range(2):  # the second time from the cache
        loaded = vectors.load(VOCABULARY)
        np.testing.assert_array_equal(loaded.vectors, EXPECTED)
        [said] = loaded.notes
        assert note in said


def packed_with_zip(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        packed.writestr("inside.txt", content)
    return buffer.getvalue()


def packed_with_tar(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as packed:
        entry = tarfile.TarInfo("inside.txt")
        entry.size = len(content)
        packed.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


OTHERS: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "zip": (packed_with_zip, "is a zip archive of 'inside.txt', not .* unpack it, and set data.v"),
    "tar in gzip": (packed_with_tar, "is a tar archive, not a file of word vectors: unpack it"),
    "zip in gzip": (lambda c: gzip.compress(packed_with_zip(c)), "is a zip archive, not"),
    "bzip2": (bz2.compress, "is a bzip2 file"),
    "xz": (lzma.compress, "is an xz file"),
    "fastText": (
        lambda _: b"\xba\x16\x4f\x2f\x0c" + bytes(200),
        r"is a fastText model \(\.bin\), .*: take the file \.vec of the same vectors",
    ),
    "numpy": (lambda _: b"\x93NUMPY\x01\0", "is a NumPy array without its words"),
    "a page": (lambda _: b"\n<!DOCTYPE html>\n<p>", "is a web page, .*: download the file again"),
    "a pointer": (
        lambda _: b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n",
        "is a Git LFS pointer in place of the file, .*git lfs pull",
    ),
    "unknown": (lambda _: b"\x01\x02\0\x03" * 99, "is a binary file of an unknown kind"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_another_file_is_named(name: str, tmp_path: Path) -> None:
    change, sentence = OTHERS[name]
    path = write(tmp_path, change(rows().encode()))
    with pytest.raises(UserError, match=sentence) as error:
        read(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("name", [name for name in FILES if name != "a blank for a word"])
def test_the_dimension_that_a_file_has_is_told(name: str, tmp_path: Path) -> None:
    path = write(tmp_path, FILES[name])
    for wrong in (1, 3, 5, 8):
        with pytest.raises(UserError, match=rf"is {wrong}, but .*: set data\.vectors\.dimension=4"):
            read(path, wrong)


@pytest.mark.parametrize("torn", ["c 1.25 2.25 3.25 4.2", "c 1.25 2.25 3.25 4.", "c 1 2 3 -"])
def test_a_value_that_is_cut_off(torn: str, tmp_path: Path) -> None:
    content = "the 0.25 0.50 0.75 1.00\n" * 3 + torn
    with pytest.raises(UserError, match="line 4: the last line is incomplete"):
        read(write(tmp_path, content.encode()))
    assert read(write(tmp_path, content.replace(torn, "c 0.10 1.25 2.25 0.50").encode())).notes


def test_a_value_too_many_is_no_word(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"line 6: more than the expected 4 values.*'good 0.5' is"):
        read(write(tmp_path, (rows() + "good 0.5 1 2 3 4\n").encode()))


def test_a_row_that_is_cut_off(tmp_path: Path) -> None:
    cut = rows().rstrip().rpartition(" ")[0]
    with pytest.raises(UserError, match=r"line 5: the last line is incomplete \(3 values, expect"):
        read(write(tmp_path, cut.encode()))
    with pytest.raises(UserError, match="line 2: 3 values, expected 4"):
        read(write(tmp_path, rows().replace(rows().splitlines()[1], "and 1 2 3").encode()))


def test_the_first_word_after_a_mark_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RNNEXP_CACHE", str(tmp_path / "cache"))
    small = ["data.per_class=20", "data/vectors=glove", "data.vectors.dimension=4"]
    said = []
    for encoding in ("utf-8", "utf-8-sig"):
        path = write(tmp_path, rows().encode(encoding))
        assert (
            main(["data", "check", "synthetic_reviews", *small, f"data.vectors.file={path}"]) == 0
        )
        said.append(capfd.readouterr().out)
    assert said[0] == said[1] and "words (" in said[0]


@pytest.fixture
def embeddings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RNNEXP_DATA", str(tmp_path))
    monkeypatch.setenv("RNNEXP_CACHE", str(tmp_path / "cache"))
    (tmp_path / "embeddings").mkdir()
    return tmp_path / "embeddings"


def refusal(group: str, capfd: pytest.CaptureFixture[str]) -> str:
    capfd.readouterr()
    assert main(["data", "check", "synthetic_reviews", f"data/vectors={group}"]) == 2
    return capfd.readouterr().err


def test_word2vec_is_not_the_only_way(embeddings: Path, capfd: pytest.CaptureFixture[str]) -> None:
    said = refusal("word2vec", capfd)
    assert "`rnnexp data fetch word2vec` (1.7 GB), or set data/vectors=glove (0.9 GB), or" in said
    write(embeddings, b"a 1\n", "glove.6B.100d.subset.txt")
    said = refusal("word2vec", capfd)
    assert "or set data/vectors=glove, which reads glove.6B.100d.subset.txt, or" in said


def test_vectors_are_listed_under_the_name_that_they_have(
    embeddings: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in ("glove.6B.300d.txt", "word2vec-300.bin", "wiki.en.vec", "word2vec-300.bin.npy"):
        write(embeddings, b"a 1\n", name)
    offer = f"data.vectors.file={embeddings}/glove.6B.300d.txt data.vectors.dimension=300"
    assert offer in refusal("glove", capfd)
    assert main(["data", "list"]) == 0
    said = capfd.readouterr().out
    assert "glove.6B.300d.txt" in said and "word2vec-300.bin" in said and "npy" not in said
    assert "word vectors of your own: " in said and "wiki.en.vec" in said
