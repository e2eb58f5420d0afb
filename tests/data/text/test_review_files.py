"""Reading .review files: tolerated irregularities, refused files, and lazy reading."""

import io
import tracemalloc
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from rnnexp.data.text import review_files
from rnnexp.data.text.review_files import Review, categories, read_first, read_reviews
from rnnexp.errors import UserError

Read = Callable[..., list[Review]]


def block(text: str = "Good pan.", **tags: str) -> str:
    """A review in the layout of the data set: every tag on separate lines, the text last."""
    tags = {"unique_id": "B0:good:me", "rating": "5.0", "title": "Good", **tags}
    written = {**tags, "review_text": text}
    inside = "".join(f"<{tag}>\n{held}\n</{tag}>\n" for tag, held in written.items())
    return f"<review>\n{inside}</review>\n"


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Reads the reviews that a text, or bytes, hold."""

    def read(content: str | bytes, **options: Any) -> list[Review]:
        path = tmp_path / "positive.review"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return list(read_reviews(path, "kitchen", "positive", **options))

    return read


def write_category(root: Path, category: str, negative: str | None, positive: str | None) -> None:
    (root / category).mkdir(parents=True)
    for label, content in (("negative", negative), ("positive", positive)):
        if content is not None:
            (root / category / f"{label}.review").write_text(content, encoding="utf-8")


# --- what is read -------------------------------------------------------------------------------


def test_a_review_as_the_data_set_has_it(read: Read) -> None:
    written = """<review>
<unique_id>
B00068N1DO:fits:c._mccallister
</unique_id>
<unique_id>
12345
</unique_id>
<product_name>
Poster, 27x41: Kitchen & Housewares
</product_name>
<product_type>
kitchen & housewares
</product_type>
<product_type>
kitchen & housewares
</product_type>
<helpful>

</helpful>
<rating>
4.0
</rating>
<title>
Perfectly fits
</title>
<date>
October 17, 2004
</date>
<review_text>
It fits.

And it lasts
</review_text>
</review>
"""
    assert read(written) == [
        Review(
            category="kitchen",
            label="positive",
            text="It fits.\n\nAnd it lasts",
            title="Perfectly fits",
            rating=4.0,
            product="Poster, 27x41: Kitchen & Housewares",
            date="October 17, 2004",
        )
    ]


def test_reviews_keep_the_order_of_the_file(read: Read) -> None:
    content = "\n".join(block(text) for text in ("first", "second", "third"))
    assert [review.text for review in read(content)] == ["first", "second", "third"]


@pytest.mark.parametrize(
    "text",
    [
        "AT&T & sons, 3 < 4 > 2, <3",
        "<br>\nwrote <b>me</b>\n</b>",
        "<whatever>",
        "see\n<title>\nabove",
        "see\n</title>\nabove",
        "a </review> b <review> c",
        "</review_text> ends it, I thought",
        "R&D; &nosuchthing; &",
    ],
)
def test_whatever_looks_like_markup_in_a_text_is_text(read: Read, text: str) -> None:
    first, second = read(block(text) + block("after"))
    assert (first.text, second.text) == (text, "after")


def test_entities_are_decoded_once_or_kept(read: Read) -> None:
    text = "&quot;I&quot; &lt;3 &#8217;tis caf&eacute; &#146;90 &amp;quot; R&amp;D"
    content = block(text, title="&quot;Hm&quot;", product_name="A &amp; B")
    (decoded,) = read(content)
    assert decoded.text == '"I" <3 ’tis café ’90 &quot; R&D'  # noqa: RUF001
    assert (decoded.title, decoded.product) == ('"Hm"', "A & B")
    (kept,) = read(content, decode_entities=False)
    assert (kept.text, kept.title, kept.product) == (text, "&quot;Hm&quot;", "A &amp; B")


def test_a_tag_that_repeats_counts_once_and_its_first_value_stays(read: Read) -> None:
    doubled = block("one").replace("</review>", "<review_text>\ntwo\n</review_text>\n</review>")
    assert [review.text for review in read(doubled)] == ["one"]


def test_a_tag_may_share_its_line_with_what_it_holds(read: Read) -> None:
    content = (
        "<review>\n<rating>2.0</rating>\n<title>Bad </title>\n"
        "<review_text>one\ntwo</review_text>\n</review>"
    )
    (review,) = read(content)
    assert (review.rating, review.title, review.text) == (2.0, "Bad", "one\ntwo")


@pytest.mark.parametrize("rating", ["", "five", "nan", "inf"])
def test_a_rating_that_is_no_number_is_none(read: Read, rating: str) -> None:
    assert read(block(rating=rating))[0].rating is None


def test_what_is_missing_beside_the_text_is_empty(read: Read) -> None:
    (review,) = read("<review>\n<review_text>\nwell\n</review_text>\n</review>\n")
    assert review == Review("kitchen", "positive", "well", "", None, "", "")


def test_windows_line_ends_byte_order_mark_and_no_line_end_at_the_end(read: Read) -> None:
    content = "\ufeff" + block("one\ntwo").replace("\n", "\r\n").removesuffix("\r\n")
    assert [review.text for review in read(content)] == ["one\ntwo"]


def test_an_empty_file_has_no_reviews(read: Read) -> None:
    assert read("") == read("\n \n") == []


@pytest.mark.parametrize("joint", [" ", "\n", " & ", " < "])
def test_a_review_of_100_000_words(read: Read, joint: str) -> None:
    text = joint.join(f"word{number}" for number in range(100_000))
    assert [review.text for review in read(block(text) + block("after"))] == [text, "after"]


# --- encodings ----------------------------------------------------------------------------------


def test_utf_8_is_found(read: Read) -> None:
    text = "naïve “quotes”, 4 €, 東京"
    assert read(block(text))[0].text == text


def test_what_is_not_utf_8_is_latin_1_as_a_whole(read: Read) -> None:
    first, second = "na\xefve caf\xe9 \xa3 5", "\xc3\xa9"  # the second alone would be UTF-8
    reviews = read((block(first) + block(second)).encode("latin-1"))
    assert [review.text for review in reviews] == [first, second]


def test_the_encoding_is_found_where_a_character_crosses_the_pieces_that_are_read(
    read: Read,
) -> None:
    for shift in range(2):
        text = "a" * shift + "é" * 100_000
        assert read(block(text))[0].text == text


def test_quotes_of_windows_1252_become_what_people_meant(read: Read) -> None:
    text = "It’s “good” – very… 5 €, na\xefve"  # noqa: RUF001
    assert read(block(text).encode("cp1252"))[0].text == text
    assert read(block("It\x92s \x93good\x94"))[0].text == "It’s “good”"  # noqa: RUF001


def test_bytes_that_windows_1252_lacks_vanish(read: Read) -> None:
    assert read(block("a?b na\xefve").encode("latin-1").replace(b"?", b"\x81"))[0].text == (
        "ab na\xefve"
    )


def test_an_encoding_that_is_given_is_used(read: Read) -> None:
    text = "Übergröße"
    assert read(block(text).encode("cp437"), encoding="cp437")[0].text == text


@pytest.mark.parametrize(
    ("content", "encoding", "message"),
    [
        (block("na\xefve").encode("latin-1"), "utf-8", r"line 12: this is not utf-8 text; set"),
        (block("na\xefve").encode(), "ascii", "line 12: this is not ascii text; set data.encoding"),
        (block(), "utf-9", "there is no encoding 'utf-9'"),
        (block(), "hex", "there is no encoding 'hex'"),
        (block().encode("utf-16-le"), None, r"line 1: this is not text \(a byte is 0\)"),
        (block().encode() + b"\0" * 64, None, r"line 15: this is not text \(a byte is 0\)"),
    ],
)
def test_a_wrong_encoding_is_an_error(
    read: Read, content: str | bytes, encoding: str | None, message: str
) -> None:
    with pytest.raises(UserError, match=rf"positive\.review(:|,) {message}") as error:
        read(content, encoding=encoding)
    assert "\n" not in str(error.value)


# --- complaints ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            block() + "<review>\n",
            "line 15: the file ends before this review does; it is incomplete",
        ),
        (block() + block()[:-20], "line 15: the file ends before this review does"),
        (block() + block()[:-60], "line 15: the file ends before this review does"),
        (block()[:-2], "line 14: '</review' is outside any tag; the file is damaged"),
        (block() + "<rev", "line 15: '<rev' is outside any tag"),
        (block() + "hello\n" + block(), "line 15: 'hello' is outside any tag"),
        (block().replace("</title>\n", ""), "line 8: <title> has no </title> before .*line 13"),
        (
            block() + block().replace("</review_text>\n</review>\n", "") + block(),
            r"line 25: <review_text> has no </review_text> before its review ends \(line 27\)",
        ),
        (
            block() + block().replace("</review>\n", "") + block(),
            r"line 15: this review has no </review> before the next <review> \(line 28\)",
        ),
        (block().replace("<title>\n", ""), "line 8: 'Good' is outside any tag"),
        (block().replace("<title>\nGood\n", ""), "line 8: </title> closes a tag that is not open"),
        (block().replace("<review_text>", "Text:"), "line 11: 'Text:' is outside any tag"),
        (block() + "</review>\n", "line 15: </review> closes a tag that is not open"),
        (block() + block(" \n "), "line 15: this review has an empty <review_text>"),
        (block("&nbsp;"), "line 1: this review has an empty <review_text>"),
        (
            block() + block().replace("review_text", "comment"),
            "line 15: this review has no <review_text>",
        ),
        ("<review>\n</review>\n", "line 1: this review has no <review_text>"),
        (
            "\n<!DOCTYPE html>\n<html></html>",
            "line 2: this is not a review file: it begins with '<!DOCTYPE html>'",
        ),
        ("<reviews>\n" + block(), "line 1: this is not a review file"),
        ("</review>\n", "line 1: this is not a review file"),
        ("Datetime,AEP_MW\n", "line 1: this is not a review file"),
        (b"\x1f\x8b\x08\x08\xde\xad\n\xbe", "line 1: this is not a review file"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0", "line 1: this is not a review file"),
        (b"x" * (2**24 + 1), "line 1: the line is longer than 16,777,216 bytes"),
    ],
)
def test_a_damaged_file_is_one_sentence_with_file_and_line(
    read: Read, content: str | bytes, message: str
) -> None:
    with pytest.raises(UserError, match=rf"positive\.review, {message}") as error:
        read(content)
    assert "\n" not in str(error.value)


def test_wherever_a_file_is_cut_off_it_is_noticed_or_whole_reviews_are_left(
    tmp_path: Path,
) -> None:
    first, second = block("one"), block("two & ½")
    content = (first + second).encode()
    # what no reader can notice: nothing is left, or whole reviews, the last line end or not
    unnoticed = {0, len(first) - 1, len(first), len(content) - 1}
    path = tmp_path / "positive.review"
    noticed = set()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        try:
            left = [review.text for review in read_reviews(path, "kitchen", "positive")]
        except UserError:
            noticed.add(length)
        else:
            assert left == ["one", "two & ½"][: len(left)]
    assert noticed == set(range(len(content))) - unnoticed


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere\.review: the file cannot be read \(No such"):
        next(read_reviews(tmp_path / "nowhere.review", "kitchen", "positive"))


# --- streaming ----------------------------------------------------------------------------------


class CountingFile(io.FileIO):
    """A file that counts the bytes read from it."""

    count = 0

    def readinto(self, buffer: Any, /) -> int | None:
        number = super().readinto(buffer)
        self.count += number or 0
        return number


def test_reading_stops_with_the_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "positive.review"
    path.write_text(block("word " * 100) * 5_000, encoding="utf-8")
    file = CountingFile(path)
    monkeypatch.setattr(review_files, "open_regular", lambda *_: io.BufferedReader(file))
    reviews = read_reviews(path, "kitchen", "positive", encoding="utf-8")
    assert len(list(islice(reviews, 3))) == 3
    assert 3 * 500 < file.count < 50_000 < path.stat().st_size / 10
    reviews.close()  # type: ignore[attr-defined]
    assert file.closed


def test_what_stands_behind_the_last_review_wanted_is_not_looked_at(tmp_path: Path) -> None:
    write_category(tmp_path, "kitchen", block("one") * 2 + "<review>\n", block("one") * 2)
    assert len(read_first(tmp_path, "kitchen", 2)["negative"]) == 2
    with pytest.raises(UserError, match=r"negative\.review, line 29: the file ends before"):
        read_first(tmp_path, "kitchen", 3)


def test_a_file_is_never_held_whole(tmp_path: Path) -> None:
    path = tmp_path / "positive.review"
    path.write_text(block("word " * 1000) * 1_000, encoding="utf-8")
    tracemalloc.start()
    try:
        assert sum(1 for _ in read_reviews(path, "kitchen", "positive")) == 1_000
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert path.stat().st_size > 5_000_000 > 5 * peak


# --- folders ------------------------------------------------------------------------------------


def test_categories_are_the_folders_with_both_files_sorted(tmp_path: Path) -> None:
    for category in ("toys_&_games", "books", "dvd"):
        write_category(tmp_path, category, block(), block())
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "unlabeled.review").write_text("")
    (tmp_path / "summary.txt").write_text("3 categories")
    assert categories(tmp_path) == ["books", "dvd", "toys_&_games"]
    assert categories(tmp_path, ["toys_&_games", "books", "books"]) == ["books", "toys_&_games"]


def test_a_category_that_is_not_there(tmp_path: Path) -> None:
    for category in ("books", "electronics"):
        write_category(tmp_path, category, block(), block())
    with pytest.raises(UserError, match=r"no category 'eletronics'; did you mean electronics\?"):
        categories(tmp_path, ["books", "eletronics"])
    with pytest.raises(UserError, match="no category 'yachts'; choose from books, electronics"):
        categories(tmp_path, ["yachts"])
    with pytest.raises(UserError, match=r"data\.categories is empty; choose from books, electro"):
        categories(tmp_path, [])


@pytest.mark.parametrize("missing", ["negative", "positive"])
def test_a_category_with_one_kind_alone(tmp_path: Path, missing: str) -> None:
    files = {"negative": block(), "positive": block(), missing: None}
    write_category(tmp_path, "books", block(), block())
    write_category(tmp_path, "dvd", files["negative"], files["positive"])
    with pytest.raises(UserError, match=rf"dvd/{missing}\.review: this file is missing"):
        categories(tmp_path)
    assert categories(tmp_path, ["books"]) == ["books"]


def test_a_folder_that_is_missing_or_has_no_category(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nowhere: there is no such folder"):
        categories(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"no subfolder has positive\.review and negative"):
        categories(tmp_path)
    write_category(tmp_path / "sorted", "books", block(), block())
    with pytest.raises(UserError, match=r"; did you mean .*/sorted\?"):
        categories(tmp_path)


def test_the_first_reviews_of_each_kind(tmp_path: Path) -> None:
    negative = "".join(block(f"bad {number}") for number in range(2))
    positive = "".join(block(f"good {number}") for number in range(5))
    write_category(tmp_path, "books", negative, positive)
    first = read_first(tmp_path, "books", 3)
    assert {label: [review.text for review in kind] for label, kind in first.items()} == {
        "negative": ["bad 0", "bad 1"],
        "positive": ["good 0", "good 1", "good 2"],
    }
    assert {(r.category, r.label) for r in first["negative"]} == {("books", "negative")}
    assert {(r.category, r.label) for r in first["positive"]} == {("books", "positive")}
    assert [len(kind) for kind in read_first(tmp_path, "books", None).values()] == [2, 5]


def test_the_first_reviews_of_one_kind_only(tmp_path: Path) -> None:
    write_category(tmp_path, "books", block(), "\n")
    with pytest.raises(UserError, match=r"books/positive\.review: the file has no review"):
        read_first(tmp_path, "books", 3)
    with pytest.raises(UserError, match="the number of reviews of each kind is 0"):
        read_first(tmp_path, "books", 0)


def test_encoding_and_entities_are_handed_on(tmp_path: Path) -> None:
    write_category(tmp_path, "books", block("&lt;3"), block("é"))
    first = read_first(tmp_path, "books", 1, encoding="latin-1", decode_entities=False)
    assert [kind[0].text for kind in first.values()] == ["&lt;3", "Ã©"]


# --- the real files -----------------------------------------------------------------------------


def test_the_data_set_has_1000_reviews_of_each_kind_in_three_categories(data_root: Path) -> None:
    root = data_root / "reviews" / "sorted_data_acl"
    found = categories(root)
    assert found == ["books", "electronics", "kitchen_&_housewares"]
    for category in found:
        reviews = read_first(root, category, None)
        assert [len(kind) for kind in reviews.values()] == [1000, 1000]
        assert {review.rating for review in reviews["negative"]} == {1.0, 2.0}
        assert {review.rating for review in reviews["positive"]} == {4.0, 5.0}
        assert all(review.title and review.product for kind in reviews.values() for review in kind)
        some = read_first(root, category, 7)
        assert some == {label: kind[:7] for label, kind in reviews.items()}
