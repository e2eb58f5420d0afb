"""The lecture's archives: real ones are read as pickle reads them, malicious ones are refused."""

import copyreg
import gzip
import json
import pickle
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from rnnexp.data.text.review_archives import (
    MAX_PACKED,
    Archive,
    archive_pair,
    read_archive,
    read_converted,
    write_archive,
    write_converted,
)
from rnnexp.errors import UserError

TRAIN = Archive(
    positive={
        "books": [["a", "good", "book"], ["good", "café", "日本", "😀"]],
        "music": [["line\nline", "\u2028", 'a "quote"']],
    },
    negative={"books": [["a", "bad", "book"], []], "music": []},
    vocabulary=["good", "bad", "a", "book", "café"],
)
TEST = Archive({"books": [["good"]], "music": []}, {"books": [], "music": []}, TRAIN.vocabulary)
CONTENT = (TRAIN.positive, TRAIN.negative, TRAIN.vocabulary)


def packed(pickled: bytes) -> bytes:
    return gzip.compress(pickled, compresslevel=1)


def write(path: Path, content: object, protocol: int = 2) -> Path:
    path.write_bytes(packed(pickle.dumps(content, protocol)))
    return path


# --- malicious archives -------------------------------------------------------------------------

EXTENSION = 240  # a code of copyreg's registry; here it stands for os.system


def string(text: str) -> bytes:
    return b"X" + len(text).to_bytes(4, "little") + text.encode()


def with_reviews(reviews: bytes) -> bytes:
    """An archive whose reviews of books are the object that the opcodes create."""
    return b"\x80\x02}U\x05books" + reviews + b"s}]\x87."


def many(first: bytes, again: bytes, count: int) -> bytes:
    return b"](" + first + again * count + b"e"


def laughs(levels: int) -> bytes:
    """Nested lists of ten references each: 10**levels words in a few bytes."""
    inner = laughs(levels - 1) if levels else string("ha")
    return many(inner, b"h%c" % levels, 9) + b"q%c" % (levels + 1) if levels else inner + b"q\x01"


TOUCH = "touch marker"
CALL = string(TOUCH) + b"\x85R"
FILE_HANDLER = b"clogging\nFileHandler\n"  # opens its file when it is made

# Archives that execute code in the standard unpickler, and a part of the message that refuses them.
PROGRAMS = {
    "os.system": (b"cposix\nsystem\n" + CALL + b".", "'posix.system'"),
    "os.system as text": (b"cos\nsystem\n(S'touch marker'\ntR.", "'os.system'"),
    "os.system as a word": (
        with_reviews(b"](](cos\nsystem\n" + CALL + b"ee"),
        "'os.system'",
    ),
    "builtins.eval": (
        b"cbuiltins\neval\n" + string("open('marker', 'w').close()") + b"\x85R.",
        "'builtins.eval'",
    ),
    "__builtin__.eval": (
        b"c__builtin__\neval\n" + string("open('marker', 'w').close()") + b"\x85R.",
        "'__builtin__.eval'",
    ),
    "copyreg._reconstructor": (
        b"ccopyreg\n_reconstructor\n" + FILE_HANDLER * 2 + string("marker") + b"\x87R.",
        "'copyreg._reconstructor'",
    ),
    "STACK_GLOBAL with dots": (
        b"\x80\x04" + string("logging") + string("os.system") + b"\x93" + CALL + b".",
        "opcode STACK_GLOBAL",
    ),
    "INST": (b"(S'touch marker'\nios\nsystem\n.", "opcode INST"),
    "OBJ": (b"(" + FILE_HANDLER + string("marker") + b"o.", "'logging.FileHandler'"),
    "BUILD": (  # the object's first state says what its second is given to
        b"cargparse\nNamespace\n)\x81}U\x0c__setstate__cos\nsystem\nsb" + string(TOUCH) + b"b.",
        "'argparse.Namespace'",
    ),
    "EXT1": (b"\x82" + EXTENSION.to_bytes(1, "little") + CALL + b".", "opcode EXT1"),
    "EXT2": (b"\x83" + EXTENSION.to_bytes(2, "little") + CALL + b".", "opcode EXT2"),
    "EXT4": (b"\x84" + EXTENSION.to_bytes(4, "little") + CALL + b".", "opcode EXT4"),
}

HUGE = (2**60).to_bytes(8, "little")
WORDS = b"](" + b"U\x01w" * 1000 + b"eq\x00"
REVIEWS = many(WORDS, b"h\x00", 99) + b"q\x01"
OTHERS = {
    "set with a state": (b"cbuiltins\nset\n}U\x01aU\x01bsb.", "opcode BUILD"),
    "set itself": (with_reviews(b"](](cbuiltins\nset\nee"), "a review is not a list of words"),
    "PERSID": (b"Pmarker\n.", "opcode PERSID"),
    "BINPERSID": (string("marker") + b"Q.", "opcode BINPERSID"),
    "huge BINUNICODE8": (b"\x80\x04\x8d" + HUGE, "cut off"),
    "huge BINUNICODE": (b"X\xff\xff\xff\xff", "cut off"),
    "huge BINSTRING": (b"T\xff\xff\xff\x7f", "cut off"),
    "huge BINBYTES8": (b"\x80\x04\x8e" + HUGE, "opcode BINBYTES8"),
    "huge BYTEARRAY8": (b"\x80\x05\x96" + HUGE, "opcode BYTEARRAY8"),
    "huge LONG4": (b"\x8b\xff\xff\xff\x7f", "opcode LONG4"),
    "huge FRAME": (b"\x80\x04\x95" + HUGE + b"].", "cut off"),
    "huge LONG_BINPUT": (b"]r\xff\xff\xff\xff.", "memo number 4294967295"),
    "huge PUT": (b"]p" + b"9" * 100_000 + b"\n.", "a number in its pickle"),
    "huge name": (b"c" + b"a" * 10**6 + b"\n" + b"b" * 10**6 + b"\n.", "its pickle refers to 'aaa"),
    "nested lists": (b"]" * 10**6 + b"a" * (10**6 - 1) + b".", "does not hold positive reviews"),
    "nested words": (with_reviews(b"]" * 100_000 + b"a" * 99_999), "not a list of words"),
    "nested beyond the limit": (b"]" * (10**6 + 1), "more than 1,000,000 objects"),
    "nested dicts": (b"}" + b"U\x01a}" * 100_000 + b"s" * 100_000 + b".", "does not hold"),
    "nested marks": (b"(" * 10**6, "nested more than 100 deep"),
    "nested tuples as a key": (b"}]" + b"\x85" * 100_000 + b"]s.", "not a string"),
    "nested tuples in a set": (b"\x8f(]" + b"\x85" * 100_000 + b"\x90.", "not a string"),
    "a list in itself": (with_reviews(b"]q\x00h\x00a"), "not a list of words"),
    "billion laughs": (laughs(60) + b".", "does not hold positive reviews"),
    "billion laughs as reviews": (with_reviews(laughs(60)), "a review is not a list of words"),
    "a review many times": (
        with_reviews(many(WORDS, b"h\x00", 20_000)),
        "more than 10,000,000 reviews and words",
    ),
    "a category many times": (
        b"}("
        + b"U\x03all"
        + REVIEWS
        + b"".join(b"U\x03%03dh\x01" % number for number in range(200))
        + b"u}]\x87.",
        "more than 10,000,000 reviews and words",
    ),
    "a set many times": (
        many(WORDS, b"cbuiltins\nset\n(h\x00tR", 2000) + b".",
        "more than 1,000,000 objects",
    ),
    "trailing data": (pickle.dumps(CONTENT, 2) + b"cos\nsystem\n", "more data follow the end"),
    "a second pickle": (pickle.dumps(CONTENT, 2) * 2, "more data follow the end"),
    "nothing": (b"", "cut off"),
}


def endless_gzip() -> bytes:
    """A gzip stream of 10 GB, about 10 MB packed."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    block = deflate.compress(b"]" * 2**24) + deflate.flush(zlib.Z_FULL_FLUSH)
    return b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff" + block * 600


GOOD = packed(pickle.dumps(CONTENT, 2))
FILES = {
    "gzip bomb": (endless_gzip(), "unpacks to more than 134,217,728 bytes"),
    "no gzip": (b"not gzip at all", "not a gzip file"),
    "empty file": (b"", "cut off"),
    "wrong checksum": (GOOD[:-8] + b"\x00\x00\x00\x00" + GOOD[-4:], "not a gzip file, or damaged"),
    "a second member": (GOOD * 2, "more data follow its end"),
    "data after the end": (GOOD + b"\x00", "more data follow its end"),
}
HOSTILE = {
    name: (packed(pickled), why) for name, (pickled, why) in (PROGRAMS | OTHERS).items()
} | FILES

READ_THEM_ALL = f"""
import copyreg, json, resource, sys
from pathlib import Path
from rnnexp.data.text.review_archives import read_archive
from rnnexp.errors import UserError

copyreg.add_extension("os", "system", {EXTENSION})
resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))
try:
    bytearray(2**30)
    sys.exit("the limit of memory does not hold")
except MemoryError:
    pass
said = []
for number in range({len(HOSTILE)}):
    try:
        read_archive(Path(f"{{number}}.tar.gz"))
        said.append("it was read")
    except UserError as error:
        said.append(str(error))
    except BaseException as error:
        said.append(f"{{type(error).__name__}}: {{error}}")
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def sentences(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The message for each malicious archive, from a process with 1 GiB of address space."""
    if sys.platform != "linux":
        pytest.skip("memory is limited in the Linux way")
    folder = tmp_path_factory.mktemp("hostile")
    for number, (content, _) in enumerate(HOSTILE.values()):
        (folder / f"{number}.tar.gz").write_bytes(content)
    before = set(folder.iterdir())
    done = subprocess.run(
        [sys.executable, "-c", READ_THEM_ALL], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0 and not done.stderr, done.stderr
    assert set(folder.iterdir()) == before  # no marker
    return dict(zip(HOSTILE, json.loads(done.stdout), strict=True))


@pytest.fixture
def extension() -> Iterator[None]:
    copyreg.add_extension("os", "system", EXTENSION)
    yield
    copyreg.remove_extension("os", "system", EXTENSION)


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.usefixtures("extension")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_the_standard_module_runs_these(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: the standard unpickler does create the marker."""
    monkeypatch.chdir(tmp_path)
    pickle.loads(PROGRAMS[name][0])
    assert (tmp_path / "marker").exists()


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_archives_are_refused(name: str, sentences: dict[str, str]) -> None:
    sentence = sentences[name]
    assert HOSTILE[name][1] in sentence
    assert sentence.split(" is refused: ")[0].endswith(".tar.gz")
    assert sentence.endswith("; get the archive again from a source that you trust")
    assert sentence.isprintable() and len(sentence) < 200


def test_every_cut_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cut.tar.gz"
    for size in range(len(GOOD)):
        path.write_bytes(GOOD[:size])
        with pytest.raises(UserError, match=r"cut\.tar\.gz is refused: it is cut off; "):
            read_archive(path)


def test_a_large_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "large.tar.gz"
    with path.open("wb") as file:
        file.write(GOOD)
        file.truncate(MAX_PACKED + 1)  # takes no space
    with pytest.raises(UserError, match="it has more than 67,108,864 bytes"):
        read_archive(path)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ((TRAIN.positive, TRAIN.negative), "does not hold positive reviews"),
        ((*CONTENT, []), "does not hold positive reviews"),
        ([[], *CONTENT[1:]], "does not hold positive reviews"),
        ((*CONTENT[:2], {"good": "bad"}), "does not hold positive reviews"),
        ((*CONTENT[:2], "good"), "does not hold positive reviews"),
        ("abc", "does not hold positive reviews"),
        ((*CONTENT[:2], ["good", []]), "vocabulary is not a list of words"),
        ((*CONTENT[:2], ["good", "bad", "good"]), "twice"),
        (({"books": {"a": []}}, *CONTENT[1:]), "the reviews of a category are not a list"),
        (({}, {"books": ["good book"]}, []), "a review is not a list of words"),
        (({"books": [["good", ["book"]]]}, *CONTENT[1:]), "a review is not a list of words"),
    ],
)
def test_other_shapes(content: object, why: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=why):
        read_archive(write(tmp_path / "other.tar.gz", content))


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none: the archive cannot be read \(No such file"):
        read_archive(tmp_path / "none")
    with pytest.raises(UserError, match=r"the archive cannot be read \(Is a directory\)"):
        read_archive(tmp_path)


# --- real archives ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "train", "test", "words"), [(3, 2, 1, 704), (250, 200, 50, 14866)]
)
def test_real_archives(size: int, train: int, test: int, words: int, data_root: Path) -> None:
    for path, count in zip(
        archive_pair(data_root / "reviews" / "lecture_format", size), (train, test), strict=True
    ):
        archive = read_archive(path)
        for kind in (archive.positive, archive.negative):
            assert list(kind) == ["books", "electronics", "kitchen_&_housewares"]
            assert [len(reviews) for reviews in kind.values()] == [count] * 3
        assert len(archive.vocabulary) == words
        with gzip.open(path) as file:
            expected = pickle.load(file, encoding="latin1")
        assert (archive.positive, archive.negative, archive.vocabulary) == expected


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_vocabulary_that_is_a_set(protocol: int, tmp_path: Path) -> None:
    content = [TRAIN.positive, TRAIN.negative, set(TRAIN.vocabulary)]
    archive = read_archive(write(tmp_path / "set.tar.gz", content, protocol))
    assert archive.vocabulary == ["a", "bad", "book", "café", "good"]


def test_every_category_is_in_both(tmp_path: Path) -> None:
    content = ({"toys": [["good"]]}, {"books": [["bad"]]}, ["good", "bad"])
    archive = read_archive(write(tmp_path / "one.tar.gz", content))
    assert archive.positive == {"books": [], "toys": [["good"]]}
    assert archive.negative == {"books": [["bad"]], "toys": []}


# --- written ------------------------------------------------------------------------------------


def test_round_trip_as_the_lecture_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "new" / "sentiment_dataset_train_2.tar.gz"
    write_archive(path, TRAIN)
    assert read_archive(path) == TRAIN
    with gzip.open(path, "rb") as file:
        read = pickle.loads(file.read(), encoding="latin1")
    assert read == CONTENT and type(read) is tuple
    assert path.read_bytes()[3:8] == bytes(5)  # neither a file name nor a time
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_equal_archives_give_equal_bytes(tmp_path: Path) -> None:
    write_archive(tmp_path / "a", TRAIN)
    apart = json.loads(json.dumps([TRAIN.positive, TRAIN.negative, TRAIN.vocabulary]))
    turned = dict(reversed(apart[0].items()))
    assert turned["books"][0][1] is not apart[2][0]  # equal words, different objects
    write_archive(tmp_path / "b", Archive(turned, apart[1], apart[2]))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_an_old_archive_stays_until_the_new_one_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "archive"
    path.write_bytes(b"old")

    def full(self: Path, content: bytes) -> int:
        with self.open("wb") as file:
            file.write(content[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(UserError, match="archive cannot be written: No space left on device"):
        write_archive(path, TRAIN)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


# --- converted ----------------------------------------------------------------------------------


def test_converted_round_trip(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "converted"
    write_converted(folder, TRAIN, TEST)
    assert read_converted(folder) == (TRAIN, TEST)
    assert sorted(path.name for path in folder.iterdir()) == [
        "test.jsonl",
        "train.jsonl",
        "vocabulary.json",
    ]
    assert list(folder.parent.iterdir()) == [folder]
    lines = (folder / "train.jsonl").read_bytes().splitlines()
    assert json.loads(lines[0]) == {
        "category": "books",
        "label": "positive",
        "words": ["a", "good", "book"],
    }
    assert len(lines) == 5


def test_converted_real_archives(data_root: Path, tmp_path: Path) -> None:
    train, test = map(read_archive, archive_pair(data_root / "reviews" / "lecture_format", 3))
    write_converted(tmp_path / "converted", train, test)
    assert read_converted(tmp_path / "converted") == (train, test)


def test_converted_appears_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "converted"

    def full(self: Path, *_: object, **__: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", full)  # the vocabulary, last of the three
        with pytest.raises(UserError, match="cannot be written: No space left on device"):
            write_converted(folder, TRAIN, TEST)
    assert list(tmp_path.iterdir()) == []

    folder.mkdir()
    write_converted(folder, TRAIN, TEST)  # an empty folder is as good as none
    with pytest.raises(UserError, match="converted is not empty: move it away"):
        write_converted(folder, TRAIN, TEST)
    assert read_converted(folder) == (TRAIN, TEST)


def test_archives_that_do_not_belong_together(tmp_path: Path) -> None:
    other = Archive(TEST.positive, TEST.negative, ["good"])
    with pytest.raises(UserError, match="the vocabularies of train and test differ"):
        write_converted(tmp_path / "converted", TRAIN, other)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "line",
    {
        "empty": b"",
        "cut off": b'{"category": "books", "label": "positive", "wor',
        "no object": b"[]",
        "no words": b'{"category": "books", "label": "positive"}',
        "unknown label": b'{"category": "books", "label": "neutral", "words": []}',
        "a number for a word": b'{"category": "books", "label": "positive", "words": [1]}',
        "words as text": b'{"category": "books", "label": "positive", "words": "good"}',
        "no UTF-8": b'{"category": "books", "label": "positive", "words": ["\xff"]}',
        "nested": b"[" * 10**6,
    }.values(),
)
def test_damaged_lines(line: bytes, tmp_path: Path) -> None:
    write_converted(tmp_path / "converted", TRAIN, TEST)
    path = tmp_path / "converted" / "train.jsonl"
    lines = path.read_bytes().splitlines()
    lines[2] = line
    path.write_bytes(b"\n".join(lines))
    with pytest.raises(UserError, match=r"train\.jsonl, line 3: expected a review with"):
        read_converted(tmp_path / "converted")


def test_damaged_files(tmp_path: Path) -> None:
    folder = tmp_path / "converted"
    write_converted(folder, TRAIN, TEST)
    for content in (b'["good"', b'{"good": 1}', b'["good", 1]', b'["good", "good"]', b"[" * 10**6):
        (folder / "vocabulary.json").write_bytes(content)
        with pytest.raises(UserError, match=r"vocabulary\.json: expected a list of different"):
            read_converted(folder)
    (folder / "vocabulary.json").write_text("[]")
    (folder / "test.jsonl").write_text("")
    with pytest.raises(UserError, match=r"test\.jsonl: the file has no reviews"):
        read_converted(folder)
    (folder / "test.jsonl").unlink()
    with pytest.raises(UserError, match=r"test\.jsonl: the file cannot be read \(No such file"):
        read_converted(folder)


# --- found --------------------------------------------------------------------------------------


def test_archive_pair(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="none: there is no such folder"):
        archive_pair(tmp_path / "none", 3)
    (tmp_path / "sentiment_dataset_train_3.tar.gz.part").touch()
    with pytest.raises(UserError, match="the folder has no archive sentiment_dataset_train_N"):
        archive_pair(tmp_path, None)

    train, test = (tmp_path / f"sentiment_dataset_{part}_40.tar.gz" for part in ("train", "test"))
    train.touch()
    with pytest.raises(UserError, match=r"test_40\.tar\.gz: this archive is missing"):
        archive_pair(tmp_path, None)
    test.touch()
    assert archive_pair(tmp_path, None) == archive_pair(tmp_path, 40) == (train, test)
    with pytest.raises(UserError, match=r"no archives of size 4; choose data\.size from 40"):
        archive_pair(tmp_path, 4)

    (tmp_path / "sentiment_dataset_test_200.tar.gz").touch()
    with pytest.raises(UserError, match=r"several sizes; choose data\.size from 40, 200"):
        archive_pair(tmp_path, None)
    assert archive_pair(tmp_path, 40) == (train, test)
    with pytest.raises(UserError, match=r"train_200\.tar\.gz: this archive is missing"):
        archive_pair(tmp_path, 200)
