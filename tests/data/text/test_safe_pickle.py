"""The safe unpickler against the standard one: reads the same plain data, refuses all else."""

import pickle
import pickletools
import random
from typing import Any, cast

import pytest

from rnnexp.data.text import safe_pickle
from rnnexp.data.text.safe_pickle import PickleRefused, loads

WORDS = ["it", "don't", 'say "so"', "café", "naïve\n", "", "日本", "😀", "it"]
PLAIN: dict[str, Any] = {
    "strings": WORDS,
    "long": ["x" * 300, "é" * 300, "y" * 70_000],
    "tuples": ((), ("a",), ("a", "b"), ("a", "b", "c"), ("a", "b", "c", "d"))[1:],
    "set": set(WORDS),
    "empty": [[], {}, set()],
    "nested": {"books": [["good", "good"], []], "music": []},
    "many": [str(number) for number in range(3000)],
}
PLAIN["shared"] = [PLAIN["nested"], PLAIN["nested"]]

# As Python 2 wrote them, by hand: (["caf\xe9", "don't", u"\u65e5"], set(["a", "b"])).
PYTHON_2 = {
    0: b"((lp1\nS'caf\\xe9'\np2\naS\"don't\"\np3\naV\\u65e5\np4\na"
    b"c__builtin__\nset\np5\n((lp6\nS'a'\np7\naS'b'\np8\natp9\nRp10\ntp11\n.",
    1: b"(]q\x01(U\x04caf\xe9q\x02T\x05\x00\x00\x00don'tq\x03X\x03\x00\x00\x00\xe6\x97\xa5q\x04e"
    b"c__builtin__\nset\nq\x05(]q\x06(U\x01aq\x07U\x01bq\x08etq\tRq\ntq\x0b.",
    2: b"\x80\x02]q\x01(U\x04caf\xe9q\x02U\x05don'tq\x03X\x03\x00\x00\x00\xe6\x97\xa5q\x04e"
    b"c__builtin__\nset\nq\x05]q\x06(U\x01aq\x07U\x01bq\x08e\x85q\tRq\n\x86q\x0b.",
}
PERMITTED = {
    *("PROTO", "FRAME", "MARK", "STOP", "GLOBAL", "REDUCE"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING"),
    *("UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"),
    *("EMPTY_LIST", "LIST", "APPEND", "APPENDS", "EMPTY_SET", "ADDITEMS"),
    *("EMPTY_DICT", "DICT", "SETITEM", "SETITEMS", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"),
    *("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE", "GET", "BINGET", "LONG_BINGET"),
}
FORBIDDEN = [opcode for opcode in pickletools.opcodes if opcode.name not in PERMITTED]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("name", PLAIN)
def test_plain_data_of_every_protocol(name: str, protocol: int) -> None:
    written = pickle.dumps(PLAIN[name], protocol)
    assert loads(written) == PLAIN[name]
    assert loads(pickletools.optimize(written)) == PLAIN[name]


@pytest.mark.parametrize("protocol", PYTHON_2)
def test_what_python_2_wrote(protocol: int) -> None:
    expected = (["café", "don't", "日"], {"a", "b"})
    assert loads(PYTHON_2[protocol]) == expected
    assert pickle.loads(PYTHON_2[protocol], encoding="latin1") == expected


def test_equal_strings_are_one_object() -> None:
    first, second = cast(list[str], loads(b"](U\x04goodU\x04goode."))
    assert first is second


@pytest.mark.parametrize("opcode", FORBIDDEN, ids=lambda opcode: opcode.name)
def test_no_other_opcode(opcode: pickletools.OpcodeInfo) -> None:
    payload = b"\x80\x04](" + opcode.code.encode("latin-1") + b"\x00" * 20 + b"\n\n."
    with pytest.raises(
        PickleRefused, match=f"uses opcode {opcode.name}, which plain data do not need$"
    ):
        loads(payload)


def test_there_are_forbidden_opcodes() -> None:
    names = {opcode.name for opcode in FORBIDDEN}
    assert names >= {
        "BUILD",
        "INST",
        "OBJ",
        "NEWOBJ",
        "NEWOBJ_EX",
        "STACK_GLOBAL",
        "EXT1",
        "PERSID",
    }
    assert len(FORBIDDEN) + len(PERMITTED) == len(pickletools.opcodes)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_every_cut(protocol: int) -> None:
    written = pickle.dumps((PLAIN["nested"], PLAIN["set"]), protocol)
    for size in range(len(written)):
        with pytest.raises(PickleRefused):
            loads(written[:size])


@pytest.mark.parametrize(
    ("stream", "why"),
    {
        "unknown byte": (b"\xff", r"uses byte b'\xff', which plain data do not need"),
        "unknown protocol": (b"\x80\x06].", "unknown protocol 6"),
        "append to a dict": (b"}U\x01aa.", "needs a list"),
        "append to nothing": (b"U\x01aa.", "an empty stack"),
        "below a mark": (b"](U\x01aaa.", "an empty stack"),
        "no mark": (b"]e.", "a mark is missing"),
        "open mark": (b"(].", "before it is complete"),
        "two results": (b"]].", "before it is complete"),
        "key without a value": (b"}(U\x01au.", "a key without a value"),
        "a list as key": (b"}(]U\x01au.", "not a string"),
        "a list in a set": (b"\x8f(]\x90.", "not a string"),
        "a list in a called set": (b"cbuiltins\nset\n(](]etR.", "not a string"),
        "set of a string": (b"cbuiltins\nset\nU\x01a\x85R.", "other than set(list)"),
        "set of two": (b"cbuiltins\nset\n]]\x86R.", "other than set(list)"),
        "another call": (b"]]\x85R.", "other than set(list)"),
        "set's attribute": (b"cbuiltins\nset.__init__\n.", r"'builtins.set.__init__'"),
        "set of elsewhere": (b"csets\nset\n.", "'sets.set'"),
        "memo never put": (b"]h\x00a.", "no memo number 0"),
        "memo skipped": (b"]q\x01h\x00a.", "no memo number 0"),
        "memo leap": (b"]q\x02.", "memo number 2"),
        "memo sign": (b"]p-1\n.", "a number"),
        "memo underscore": (b"]p1_0\n.", "a number"),
        "unquoted": (b"Sabc\n.", "a string"),
        "other quote": (b"S'abc\"\n.", "a string"),
        "bad escape": (b"S'\\x9'\n.", "a string"),
        "bad UTF-8": (b"X\x01\x00\x00\x00\xff.", "a string"),
        "half a surrogate pair": (b"V\\ud800\n.", "a string"),
        "beyond Unicode": (b"V\\U00110000\n.", "a string"),
        "negative length": (b"T\xff\xff\xff\xffa.", "cut off"),
        "more after the end": (b"].]", "more data follow"),
    }.values(),
)
def test_damaged_streams(stream: bytes, why: str) -> None:
    with pytest.raises(PickleRefused) as refusal:
        loads(stream)
    assert why in str(refusal.value)


@pytest.mark.parametrize(("limit", "just"), [("MAX_STEPS", 10), ("MAX_OBJECTS", 4)])
def test_limits(limit: str, just: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # ten opcodes, STOP included, that make the list, a, b and c
    stream = b"](" + b"".join(b"U\x01%c" % letter for letter in b"abcabc") + b"e."
    monkeypatch.setattr(safe_pickle, limit, just)
    assert loads(stream) == list("abcabc")
    monkeypatch.setattr(safe_pickle, limit, just - 1)
    with pytest.raises(PickleRefused, match=f"more than {just - 1} "):
        loads(stream)


def same(read: object, expected: object) -> bool:
    """Damage can make a list contain itself; comparing two such lists never ends."""
    try:
        return read == expected
    except RecursionError:
        return repr(read) == repr(expected)


@pytest.mark.filterwarnings("ignore:invalid escape sequence")
def test_what_is_accepted_is_what_pickle_reads() -> None:
    """Streams with random damage: refused, or read as the standard reader does."""
    draw = random.Random(0)
    sources = [*PYTHON_2.values()]
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        sources.append(pickle.dumps((PLAIN["nested"], PLAIN["set"], WORDS), protocol))
    accepted = 0
    for _ in range(5000):
        stream = bytearray(draw.choice(sources))
        for _ in range(draw.randint(1, 3)):
            place = draw.randrange(len(stream))
            match draw.randrange(3):
                case 0:
                    stream[place] = draw.randrange(256)
                case 1:
                    del stream[place : place + draw.randint(1, 3)]
                case 2:
                    stream[place:place] = stream[place - draw.randint(1, 8) : place]
        try:
            read = loads(bytes(stream))
        except PickleRefused:
            continue
        accepted += 1
        assert same(read, pickle.loads(bytes(stream), encoding="latin1")), bytes(stream)
    assert 100 < accepted < 4000
