"""Bad reviews, vectors and settings, as a user meets them: one sentence, exit code 2, and nothing
that looks complete."""

import gzip
import json
import os
import pickle
import re
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from rnnexp.cli import main
from rnnexp.data.text.review_archives import MAX_UNPACKED, Archive, write_archive
from tests.support.refusals import refused
from tests.support.review_files import write_review_files, write_vectors
from tests.support.shrink import TINY

Capture = pytest.CaptureFixture[str]
Plant = Callable[[Path], object]

REVIEWS = ["data.root=reviews", "data.per_class=10"]
VECTORS = ["data/vectors=glove", "data.vectors.file=vectors.txt", "data.vectors.dimension=8"]
WORDS = ["it", "works", "love", "broke", "a", "thing"]
TRAIN = ["train", "experiment=quickstart_reviews", *TINY]


@pytest.fixture
def folder(empty_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with reviews of lamps and kettles in it, and vectors of some words."""
    monkeypatch.setenv("RNNEXP_CACHE", str(empty_folder / "cache"))
    write_review_files(empty_folder / "reviews")
    write_vectors(empty_folder / "vectors.txt", WORDS, dimension=8)
    return empty_folder


def edit(old: bytes, new: bytes) -> Plant:
    """Change the negative reviews of lamps in one place."""

    def plant(folder: Path) -> None:
        path = folder / "reviews/lamps/negative.review"
        content = path.read_bytes()
        assert old in content
        path.write_bytes(content.replace(old, new, 1))

    return plant


def content(make: Callable[[bytes], bytes]) -> Plant:
    def plant(folder: Path) -> None:
        path = folder / "reviews/lamps/negative.review"
        path.write_bytes(make(path.read_bytes()))

    return plant


# --- review files -------------------------------------------------------------------------------

FILE = r"/reviews/lamps/negative\.review"
TEXT = b"It broke at once, do n't buy it. Word0 of lamps."
FILES: dict[str, tuple[Plant, str]] = {
    "truncated": (
        content(lambda text: text[: text.index(b"Word7")]),
        FILE
        + r", line 57: the file ends before this review does; it is incomplete, download it again",
    ),
    "truncated in a tag": (
        content(lambda text: text[:-4]),
        FILE + r", line 80: '</revi' is outside any tag; the file is damaged, download it again",
    ),
    "unclosed title": (
        edit(b"</title>\n", b""),
        FILE + r", line 2: <title> has no </title> before its review ends \(line 7\): insert one",
    ),
    "unclosed text": (
        edit(b"</review_text>\n", b""),
        FILE + r", line 5: <review_text> has no </review_text> .* \(line 7\): insert one",
    ),
    "unclosed review": (
        edit(b"</review>\n", b""),
        FILE + r", line 1: this review has no </review> .* \(line 8\): insert one there",
    ),
    "empty review": (
        edit(b"<review>", b"<review>\n</review>\n<review>"),
        FILE + r", line 1: this review has no <review_text>: add one, or remove the review",
    ),
    "empty text": (
        edit(TEXT, b""),
        FILE + r", line 1: this review has an empty <review_text>: add one, or remove the review",
    ),
    "no reviews of one kind": (
        content(lambda text: b""),
        FILE + r": the file has no review, and both kinds are needed: download it again",
    ),
    "no file of one kind": (
        lambda folder: (folder / "reviews/lamps/negative.review").unlink(),
        FILE + r": this file is missing, and a category needs both kinds: add the file, or choose",
    ),
    "UTF-16 without a mark": (
        content(lambda text: text.decode().encode("utf-16-le")),
        FILE + r", line 1: this is not text .*; save the file as UTF-8 or Latin-1",
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_a_damaged_review_file(name: str, folder: Path, capfd: Capture) -> None:
    plant, sentence = FILES[name]
    plant(folder)
    assert re.search(sentence, refused(["data", "check", "reviews", *REVIEWS], capfd))


def test_the_run_of_a_damaged_review_file_looks_failed(folder: Path, capfd: Capture) -> None:
    FILES["truncated"][0](folder)
    said = refused([*TRAIN, "data=reviews", *REVIEWS], capfd)
    assert re.search(FILES["truncated"][1], said)
    [run] = (folder / "outputs/quickstart_reviews").iterdir()
    assert {path.name for path in run.iterdir()} == {"run.json", "config.yaml", "log.txt"}
    assert json.loads((run / "run.json").read_text())["error"] in said


def test_a_damaged_review_file_is_not_converted(folder: Path, capfd: Capture) -> None:
    FILES["truncated"][0](folder)
    before = set(folder.iterdir())
    for form in ("json", "lecture"):
        convert = ["data", "convert", "reviews", "new", *REVIEWS, "--to", form]
        assert re.search(FILES["truncated"][1], refused(convert, capfd))
    assert set(folder.iterdir()) == before


def test_a_wrong_encoding(folder: Path, capfd: Capture) -> None:
    """Not UTF-8, as is said; found out by itself it is read."""
    edit(b"broke", b"br\xf6ke")(folder)
    check = ["data", "check", "reviews", *REVIEWS]
    said = refused([*check, "data.encoding=utf-8"], capfd)
    assert (
        "negative.review, line 6: this is not utf-8 text; set data.encoding to the right encoding"
        in said
    )
    said = refused([*check, "data.encoding=nonsense"], capfd)
    assert "negative.review: there is no encoding 'nonsense'" in said
    assert main([*check, "data.encoding=latin-1"]) == main(check) == 0


# --- settings -----------------------------------------------------------------------------------

SETTINGS = {
    "unknown category": (
        ["data.categories=[lmaps]"],
        r"/reviews: no category 'lmaps'; did you mean lamps\?",
    ),
    "no category": (["data.categories=[]"], r"data.categories is empty; choose from kettles, la"),
    "vocabulary": (
        ["data.vocabulary=nonsense"],
        r"data\.vocabulary is 'nonsense', it must be 'train' or 'everything'",
    ),
    "nothing to test on": (
        ["data.test_fraction=0"],
        r"data\.test_fraction is 0: it must lie between 0 and 1",
    ),
    "too much to test on": (
        ["data.test_fraction=1.5"],
        r"data\.test_fraction is 1\.5: it must lie between 0 and 1",
    ),
    "too little to test on": (
        ["data.test_fraction=0.01"],
        r"data\.test_fraction=0\.01 leaves no test reviews: raise it, or data\.per_class",
    ),
    "none of a class": (["data.per_class=0"], r"data\.per_class is 0: it must be at least 1"),
    "strict": (
        ["data.strict=true", "data.per_class=11"],
        r"kettles has only 10 negative reviews, not 11 \(data\.per_class\): lower it, or set",
    ),
    "too few for n-grams": (
        ["data/ngrams=log_count_ratios", "data.ngrams.parts=30"],
        r"data\.ngrams\.parts is 30, but one class has only 14 training documents: lower it",
    ),
}


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.usefixtures("folder")
def test_a_wrong_setting_of_the_data(name: str, capfd: Capture) -> None:
    overrides, sentence = SETTINGS[name]
    assert re.search(sentence, refused(["data", "check", "reviews", *REVIEWS, *overrides], capfd))


ONE_HOT = "model/representation=one_hot"
TRAININGS = {
    "one-hot words with vectors": (
        [*VECTORS, "model=grunet", ONE_HOT],
        r"model: data\.vectors needs model/representation=embeddings",
    ),
    "one-hot words with n-grams": (
        ["data/ngrams=log_count_ratios", "data.ngrams.parts=2", "model=grunet", ONE_HOT],
        r"model: data\.ngrams needs model/representation=embeddings",
    ),
    "torch's GRU on one-hot words": (
        ["model=gru", ONE_HOT],
        r"one-hot vectors are never built, .*: choose a recurrence of cells, for example",
    ),
    "last input of two layers": (
        ["model/readout=last_input", "model.num_layers=2"],
        r"one layer and one direction: set num_layers=1 and bidirectional=False",
    ),
    "every step": (
        ["model/readout=every_step"],
        r"one output per sequence: choose a model/readout other than every_step",
    ),
    "a forecast": (
        ["task=forecasting"],
        r"task Forecasting cannot use the data Reviews: omit task=\.\.\., which follows",
    ),
    "monitor of a forecast": (
        ["monitor=val/smape"],
        r"monitor=val/smape is not a validation metric; choose from val/accuracy, .*val/loss",
    ),
    "nothing to validate on": (
        ["data.validation_fraction=0"],
        r"monitor=val/loss needs validation data: set monitor=null to keep the last checkpo",
    ),
    "no batch to validate on": (
        ["+trainer.limit_val_batches=0"],
        r"trainer\.limit_val_batches is 0: it must be null, a number of batches from 1",
    ),
    "no batch to test on": (
        ["+trainer.limit_test_batches=0.1"],
        r"trainer\.limit_test_batches=0\.1 leaves no batch of 1: raise it",
    ),
    "cleaning": (
        ["data/cleaning=careful"],
        r"data/cleaning is not a group of the chosen data or task: leave it out",
    ),
}


@pytest.mark.parametrize("name", TRAININGS)
@pytest.mark.usefixtures("folder")
def test_what_does_not_go_together(name: str, capfd: Capture) -> None:
    overrides, sentence = TRAININGS[name]
    said = refused([*TRAIN, "data=reviews", *REVIEWS, *overrides], capfd)
    assert re.search(sentence, said), said


@pytest.mark.parametrize(
    ("task", "data", "sentence"),
    [
        (
            "classification",
            "synthetic_load",
            "task Classification cannot use the data SyntheticLoad: omit task=..., "
            "which follows from the data (here forecasting), or choose other data",
        ),
        (
            "forecasting",
            "synthetic_reviews",
            "task Forecasting cannot use the data SyntheticReviews: omit task=..., "
            "which follows from the data (here classification), or choose other data",
        ),
    ],
)
@pytest.mark.usefixtures("empty_folder")
def test_a_task_for_other_data(task: str, data: str, sentence: str, capfd: Capture) -> None:
    small = {"synthetic_load": "data.days=120", "synthetic_reviews": "data.per_class=10"}[data]
    assert sentence in refused(["train", f"task={task}", f"data={data}", small, *TINY], capfd)


# --- word vectors -------------------------------------------------------------------------------


def vectors(make: Callable[[bytes], bytes]) -> Plant:
    def plant(folder: Path) -> None:
        path = folder / "vectors.txt"
        path.write_bytes(make(path.read_bytes()))

    return plant


VECTOR_FILES: dict[str, tuple[Plant, list[str], str]] = {
    "wrong dimension in the config": (
        vectors(lambda text: text),
        ["data.vectors.dimension=100"],
        r"vectors\.dimension is 100, but vectors\.txt has dimension 8: set data\.vectors\.dimensio",
    ),
    "wrong dimension of a row": (
        vectors(lambda text: text + b"cat 1 2 3\n"),
        [],
        r"vectors\.txt, line 7: 3 values, expected 8: download the file again",
    ),
    "a row too long": (
        vectors(lambda text: text.replace(b"\nlove ", b"\nlove 0.5 ")),
        [],
        r"vectors\.txt, line 3: more than the expected 8 values: download the file again",
    ),
    "torn last line": (
        vectors(lambda text: text[:-3]),
        [],
        r"vectors\.txt, line 6: the last line is incomplete \('.*' is cut off\): download",
    ),
    "no dimension": (
        vectors(lambda text: text),
        ["data.vectors.dimension=0"],
        r"data\.vectors\.dimension is 0: it must be at least 1",
    ),
    "no file": (
        lambda folder: (folder / "vectors.txt").unlink(),
        [],
        r"data\.vectors\.file=vectors\.txt: there is no such file",
    ),
    "other words": (
        lambda folder: write_vectors(folder / "vectors.txt", ["Haus", "Boot"], 8),
        [],
        r"vectors\.txt: the file has none of the \d+ words of the vocabulary: use a file",
    ),
}


@pytest.mark.parametrize("name", VECTOR_FILES)
def test_wrong_vectors(name: str, folder: Path, capfd: Capture) -> None:
    plant, overrides, sentence = VECTOR_FILES[name]
    plant(folder)
    said = refused([*TRAIN, "data=reviews", *REVIEWS, *VECTORS, *overrides], capfd)
    assert re.search(sentence, said), said


# --- the lecture's archives ---------------------------------------------------------------------

GOOD = Archive({"books": [["good"]] * 4}, {"books": [["bad"]] * 4}, ["good", "bad"])
CALL = b"X\x0c\x00\x00\x00touch marker\x85R"


def bomb() -> bytes:
    """A gzip file of about 130 KB that unpacks to more than what is allowed."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    block = b"]" * 2**20
    blocks = [deflate.compress(block) for _ in range(MAX_UNPACKED // len(block) + 1)]
    return b"".join(blocks) + deflate.flush()


ARCHIVES: dict[str, tuple[bytes, str]] = {
    "os.system": (gzip.compress(b"cposix\nsystem\n" + CALL + b"."), "refers to 'posix.system'"),
    "a word that runs": (
        gzip.compress(b"\x80\x02}U\x05books](](cposix\nsystem\n" + CALL + b"ees}]\x87."),
        "refers to 'posix.system'",
    ),
    "protocol 4": (
        gzip.compress(b"\x80\x04\x8c\x02os\x8c\x06system\x93" + CALL + b"."),
        "uses opcode STACK_GLOBAL, which plain data do not need",
    ),
    "declared size": (gzip.compress(b"\x80\x04\x8d" + (2**60).to_bytes(8, "little")), "is cut off"),
    "memo": (gzip.compress(b"]r\xff\xff\xff\xff."), "skips to the memo number 4294967295"),
    "trailing data": (gzip.compress(pickle.dumps(({}, {}, []), 2) + b"more"), "more data follow"),
    "gzip bomb": (bomb(), "it unpacks to more than 134,217,728 bytes"),
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_a_malicious_archive(name: str, folder: Path, capfd: Capture) -> None:
    """It is refused by a run and by `data convert`, and nothing in it runs."""
    packed, why = ARCHIVES[name]
    place = folder / "archives"
    write_archive(place / "sentiment_dataset_train_5.tar.gz", GOOD)
    (place / "sentiment_dataset_test_5.tar.gz").write_bytes(packed)
    before = sorted(os.listdir())
    for arguments in (
        ["data", "convert", "lecture_reviews", "new", "data.root=archives"],
        [*TRAIN, "data=lecture_reviews", "data.root=archives"],
    ):
        said = refused(arguments, capfd)
        assert "/archives/sentiment_dataset_test_5.tar.gz is refused: " in said and why in said
        assert said.endswith("; get the archive again from a source that you trust\n")
    assert sorted(os.listdir()) == sorted([*before, "outputs"])


def test_the_marker_of_those_archives_means_something(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("os.system", "a word that runs", "protocol 4"):
        pickle.loads(gzip.decompress(ARCHIVES[name][0]))
        (tmp_path / "marker").unlink()


def test_an_archive_with_nothing_to_test_on(folder: Path, capfd: Capture) -> None:
    place = folder / "archives"
    write_archive(place / "sentiment_dataset_train_5.tar.gz", GOOD)
    write_archive(place / "sentiment_dataset_test_5.tar.gz", Archive({}, {}, ["good", "bad"]))
    said = refused(["data", "check", "lecture_reviews", "data.root=archives"], capfd)
    assert f"{place}: there are no reviews for the test part" in said


def test_archives_that_do_not_belong_together(folder: Path, capfd: Capture) -> None:
    place = folder / "archives"
    other = Archive({"books": [["fine"]]}, {"books": [["poor"]]}, ["fine", "poor"])
    write_archive(place / "sentiment_dataset_train_5.tar.gz", GOOD)
    write_archive(place / "sentiment_dataset_test_5.tar.gz", other)
    said = refused(["data", "check", "lecture_reviews", "data.root=archives"], capfd)
    assert "the vocabularies of train and test differ" in said


def test_an_archive_with_one_kind_alone(folder: Path, capfd: Capture) -> None:
    place = folder / "archives"
    one_kind = Archive({"books": [["good"]] * 4}, {"books": []}, ["good", "bad"])
    write_archive(place / "sentiment_dataset_train_5.tar.gz", one_kind)
    write_archive(place / "sentiment_dataset_test_5.tar.gz", GOOD)
    said = refused(["data", "check", "lecture_reviews", "data.root=archives"], capfd)
    assert "train has no negative reviews" in said


def test_a_review_without_any_word(folder: Path, capfd: Capture) -> None:
    """Where there is no unknown word it cannot be told from the first word of the vocabulary."""
    edit(b"It broke at once, do n't buy it. Word0 of lamps.", b"!!! ...")(folder)
    everything = ["data/tokenization=lecture", "data.vocabulary=everything"]
    said = refused(["data", "check", "reviews", *REVIEWS, *everything], capfd)
    assert "'!!! ...' has no word of the vocabulary: choose another data/tokenization" in said


# --- handled, not refused -----------------------------------------------------------------------


def test_a_review_of_100_000_words_is_trained_on(folder: Path, capfd: Capture) -> None:
    """torch's LSTM, the fastest of the recurrences on one core."""
    for number in range(2):  # one of them is in the training part
        edit(b" Word%d " % number, b" word" * 100_000 + b" ")(folder)
    arguments = [
        *("data=reviews", "data.root=reviews", "data.categories=[lamps]"),
        *("data.per_class=2", "data.test_fraction=0.5", "data.validation_fraction=0"),
        *("data.max_tokens=null", "data.batch_size=1", "monitor=null", "model=lstm"),
    ]
    assert main([*TRAIN, *arguments, "model.representation.dimension=4"]) == 0
    said = capfd.readouterr()
    assert not said.err
    assert re.search(r"at most 100,0\d\d", said.out)  # of those to train on
    [run] = (folder / "outputs/quickstart_reviews").iterdir()
    assert len(json.loads((run / "digest.json").read_text())["losses"]) == 2
