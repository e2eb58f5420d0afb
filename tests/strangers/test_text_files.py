"""Text files as they come: marks, UTF-16, line ends of three kinds, and separators that end no
line. Every reader of text gives the same for all of them."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest

from rnnexp.cli import main
from rnnexp.data.lines import CHUNK, LONGEST, decoded, lines
from rnnexp.data.text.name_files import languages, read_names
from rnnexp.data.text.review_archives import Archive, read_converted, write_converted
from rnnexp.data.text.review_files import read_reviews
from rnnexp.errors import UserError
from tests.support.name_files import write_name_files

NAMES = ["Novák", "Dvo\x85řák", "Kos\u2028a", "Vr\x0cba", "Malý\x1c"]
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-be with its mark"]
ENDS = ["\n", "\r\n", "\r"]


def encoded(text: str, encoding: str) -> bytes:
    if encoding.endswith("with its mark"):
        return b"\xfe\xff" + text.encode("utf-16-be")
    return text.encode(encoding)


def read(content: bytes, longest: int = LONGEST) -> list[tuple[int, str | None]]:
    found = lines(io.BytesIO(content), "FILE", longest)
    return [(number, decoded(line)) for number, line in found]


@pytest.mark.parametrize("last", ["", "end"], ids=["ended", "no final line end"])
@pytest.mark.parametrize("end", ENDS, ids=["LF", "CRLF", "CR"])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_the_same_lines_in_every_form(encoding: str, end: str, last: str) -> None:
    text = end.join(NAMES) + (end + last if last else end)
    expected = [*NAMES, last] if last else NAMES
    assert read(encoded(text, encoding)) == list(enumerate(expected, start=1))


def test_ends_of_all_kinds_in_one_file_and_across_the_pieces_that_are_read() -> None:
    assert read(b"a\rb\r\nc\n\r\nd") == [(1, "a"), (2, "b"), (3, "c"), (4, ""), (5, "d")]
    for before in range(CHUNK - 3, CHUNK + 2):
        assert [text for _, text in read(b"x" * before + b"\r\ny\r\n")] == ["x" * before, "y"]
        wide = ("é" * (before // 2) + "\r\ny").encode("utf-16")
        assert [text for _, text in read(wide)] == ["é" * (before // 2), "y"]


def test_what_is_not_text() -> None:
    assert read(b"a\nb\xff\nc\0\n") == [(1, "a"), (2, None), (3, None)]
    assert read(b"") == read(b"\xef\xbb\xbf") == []
    with pytest.raises(UserError, match="FILE: the file begins like UTF-16 text, but is not"):
        read("ab".encode("utf-16") + b"\x00")
    with pytest.raises(UserError, match="FILE, line 2: the line is longer than 100 bytes"):
        read(b"a\n" + b"b" * 50_000, longest=100)


@pytest.mark.parametrize("end", ENDS, ids=["LF", "CRLF", "CR"])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_names(encoding: str, end: str, tmp_path: Path) -> None:
    root = write_name_files(tmp_path / "names")
    (root / "Czech.txt").write_bytes(encoded(end.join([*NAMES, "", "Kos"]), encoding))
    (root / "._Czech.txt").write_bytes(b"\0\5\x16\7")  # beside each file in a zip of macOS
    assert "._Czech" not in languages(root)
    found = [(name.text, name.line) for name in read_names(root)["Czech"]]
    assert found == [*zip(NAMES, range(1, 6), strict=True), ("Kos", 7)]


def test_names_with_cr_alone_are_no_long_name(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    root = write_name_files(tmp_path / "names")
    (root / "Czech.txt").write_bytes("Novák\r".encode() * 20)
    assert main(["data", "check", "names", f"data.root={root}"]) == 0
    said = capfd.readouterr().out
    row = next(line for line in said.splitlines() if "Czech" in line)
    assert [cell.strip() for cell in row.strip("│").split("│")][-1] == "20"
    assert "characters left out" not in said and "cut to" not in said


REVIEW = "<review>\n<rating>\n4.0\n</rating>\n<review_text>\n{}\n</review_text>\n</review>\n"


@pytest.mark.parametrize("end", ENDS, ids=["LF", "CRLF", "CR"])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_reviews(encoding: str, end: str, tmp_path: Path) -> None:
    path = tmp_path / "positive.review"
    text = REVIEW.format("naïve\x0cand\u2028fine\nwork") + REVIEW.format("good")
    path.write_bytes(encoded(text.replace("\n", end), encoding))
    found = [review.text for review in read_reviews(path, "lamps", "positive")]
    assert found == ["naïve\x0cand\u2028fine\nwork", "good"]


def test_a_mark_has_priority_over_the_encoding(tmp_path: Path) -> None:
    path = tmp_path / "positive.review"
    path.write_bytes(REVIEW.format("naïve").encode("utf-8-sig"))
    [review] = read_reviews(path, "lamps", "positive", encoding="latin-1")
    assert review.text == "naïve"


def test_a_cr_within_a_line_of_a_review_stays_where_it_is(tmp_path: Path) -> None:
    """Files with LF have always been read so, and fingerprints depend on it."""
    path = tmp_path / "positive.review"
    path.write_bytes(REVIEW.format("one\r  two\r\r\nthree\r").encode())
    [review] = read_reviews(path, "lamps", "positive")
    assert review.text == "one\r  two\r\nthree"


@pytest.mark.parametrize("rewrite", [b"\xef\xbb\xbf", b"\r\n", b"\r", b"utf-16"])
def test_a_converted_folder(rewrite: bytes, tmp_path: Path) -> None:
    archive = Archive({"lamps": [["a\u2028b"]]}, {"lamps": [["bad"], ["c"]]}, ["a\u2028b", "bad"])
    write_converted(tmp_path / "converted", archive, archive)
    changes: dict[bytes, Callable[[bytes], bytes]] = {
        b"\xef\xbb\xbf": lambda content: rewrite + content,
        b"utf-16": lambda content: content.decode().encode("utf-16"),
    }
    for path in (tmp_path / "converted").iterdir():
        change = changes.get(rewrite, lambda content: content.replace(b"\n", rewrite))
        path.write_bytes(change(path.read_bytes()))
    assert read_converted(tmp_path / "converted") == (archive, archive)
