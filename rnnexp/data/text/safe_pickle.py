"""A safe unpickler, which creates only lists, dicts, sets, tuples and strings.

The standard unpickler calls any function that a stream names, and allocates any size that it
declares. A restricted `find_class` prevents only the former. This one implements the few opcodes
that plain data need and refuses all others, and its memory is bounded by the size of the stream.
"""

import codecs
import pickle
import pickletools
import reprlib
from collections.abc import Callable
from typing import Any, TypeVar

MAX_STEPS = 20_000_000  # opcodes; a word takes two or three
MAX_OBJECTS = 1_000_000  # containers, different strings, and items copied by set(...)
MAX_OPEN = 100  # nested marks

_SET_NAMES = (b"builtins", b"set"), (b"__builtin__", b"set")  # of Python 3 and Python 2

Kind = TypeVar("Kind")


class PickleRefused(ValueError):
    """The stream is damaged or not plain data; the message is a clause that gives the reason."""


def loads(data: bytes) -> object:
    """Read a pickle, of any protocol, of strings in tuples, lists, dicts and sets.

    Python 2 strings are decoded as Latin-1. Keys and set members must be strings. Equal strings
    become one object. The caller must check types and sizes: the result may contain the type `set`
    itself, and shared objects stay shared, so a list may contain itself.

    Raises:
        PickleRefused: the stream is damaged, too large, or not plain data. No function that it
            names is called or imported.
    """
    return _Machine(data).run()


class _Machine:
    """The pickle machine: a stack with marks in it, and a memo of numbered objects."""

    def __init__(self, data: bytes) -> None:
        self.data, self.position = data, 0
        self.stack: list[Any] = []
        self.marks: list[int] = []  # stack heights
        self.memo: list[Any] = []
        self.strings: dict[str, str] = {}
        self.objects = 0

    def run(self) -> object:
        for _ in range(MAX_STEPS):
            code = self.take(1)
            if code == pickle.STOP:
                return self.result()
            if code not in _ACTIONS:
                raise PickleRefused(f"its pickle uses {_name(code)}, which plain data do not need")
            _ACTIONS[code](self)
        raise PickleRefused(f"its pickle has more than {MAX_STEPS:,} steps")

    def result(self) -> object:
        result = self.pop()
        if self.stack or self.marks:
            raise PickleRefused("its pickle ends before it is complete")
        if self.position != len(self.data):
            raise PickleRefused("more data follow the end of its pickle")
        return result

    # What an opcode reads from the stream.

    def take(self, size: int) -> bytes:
        end = self.position + size
        if end > len(self.data):
            raise PickleRefused("its pickle is cut off")
        taken = self.data[self.position : end]
        self.position = end
        return taken

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "little")

    def line(self) -> bytes:
        end = self.data.find(b"\n", self.position)
        if end < 0:
            raise PickleRefused("its pickle is cut off")
        line = self.take(end - self.position)
        self.position += 1
        return line

    def decimal(self) -> int:
        line = self.line()
        if not line.isdigit() or len(line) > 9:
            raise PickleRefused("a number in its pickle is damaged")
        return int(line)

    # What an opcode does to the stack.

    def peek(self) -> Any:
        if len(self.stack) <= (self.marks[-1] if self.marks else 0):
            raise PickleRefused("its pickle reads from an empty stack")
        return self.stack[-1]

    def pop(self) -> Any:
        self.peek()
        return self.stack.pop()

    def top(self, kind: type[Kind]) -> Kind:
        top = self.peek()
        if type(top) is not kind:
            raise PickleRefused(f"its pickle needs a {kind.__name__} where it has something else")
        return top

    def mark(self) -> None:
        if len(self.marks) == MAX_OPEN:
            raise PickleRefused(f"its pickle is nested more than {MAX_OPEN} deep")
        self.marks.append(len(self.stack))

    def since_mark(self) -> list[Any]:
        if not self.marks:
            raise PickleRefused("a mark is missing in its pickle")
        start = self.marks.pop()
        items = self.stack[start:]
        del self.stack[start:]
        return items

    def last(self, count: int) -> list[Any]:
        return [self.pop() for _ in range(count)][::-1]

    def count(self, objects: int = 1) -> None:
        self.objects += objects
        if self.objects > MAX_OBJECTS:
            raise PickleRefused(f"its pickle makes more than {MAX_OBJECTS:,} objects")

    def push(self, container: object) -> None:
        self.count()
        self.stack.append(container)

    def push_string(self, written: bytes, encoding: str) -> None:
        try:
            string = written.decode(encoding)
            string.encode()  # fails for a lone surrogate, which could not be printed
        except UnicodeError:
            raise PickleRefused("a string in its pickle is damaged") from None
        if string not in self.strings:
            self.count()
            self.strings[string] = string
        self.stack.append(self.strings[string])

    def push_quoted(self, line: bytes) -> None:
        if len(line) < 2 or line[:1] not in b"'\"" or line[-1:] != line[:1]:
            raise PickleRefused("a string in its pickle is damaged")
        try:
            unescaped, _ = codecs.escape_decode(line[1:-1])
        except ValueError:
            raise PickleRefused("a string in its pickle is damaged") from None
        self.push_string(unescaped, "latin-1")

    def extend_list(self, items: list[Any]) -> None:
        self.top(list).extend(items)

    def extend_set(self, items: list[Any]) -> None:
        self.top(set).update(_only_strings(items))

    def extend_dict(self, items: list[Any]) -> None:
        if len(items) % 2:
            raise PickleRefused("a dict in its pickle has a key without a value")
        self.top(dict).update(zip(_only_strings(items[::2]), items[1::2], strict=True))

    def push_dict(self) -> None:
        items = self.since_mark()
        self.push({})
        self.extend_dict(items)

    def push_global(self) -> None:
        module, name = self.line(), self.line()
        if (module, name) not in _SET_NAMES:
            asked = reprlib.repr((module + b"." + name).decode("latin-1"))
            raise PickleRefused(f"its pickle refers to {asked}")
        self.stack.append(set)

    def call(self) -> None:
        function, arguments = self.last(2)
        match arguments:
            case tuple([list() as words]) if function is set:
                self.count(len(words))
                self.push(set(_only_strings(words)))
            case _:
                raise PickleRefused("its pickle makes a call other than set(list)")

    def put(self, number: int) -> None:
        if number > len(self.memo) + 1:  # picklers count up from 0 or 1
            raise PickleRefused(f"its pickle skips to the memo number {number}")
        self.memo.extend([None] * (number + 1 - len(self.memo)))
        self.memo[number] = self.peek()

    def get(self, number: int) -> None:
        if number >= len(self.memo) or self.memo[number] is None:
            raise PickleRefused(f"its pickle has no memo number {number}")
        self.stack.append(self.memo[number])

    def check_protocol(self, protocol: int) -> None:
        if protocol > pickle.HIGHEST_PROTOCOL:
            raise PickleRefused(f"its pickle has the unknown protocol {protocol}")

    def check_frame(self, size: int) -> None:
        if size > len(self.data) - self.position:
            raise PickleRefused("its pickle is cut off")


_ACTIONS: dict[bytes, Callable[[_Machine], object]] = {
    pickle.PROTO: lambda m: m.check_protocol(m.number(1)),
    pickle.FRAME: lambda m: m.check_frame(m.number(8)),
    pickle.MARK: lambda m: m.mark(),
    # strings
    pickle.STRING: lambda m: m.push_quoted(m.line()),
    pickle.BINSTRING: lambda m: m.push_string(m.take(m.number(4)), "latin-1"),
    pickle.SHORT_BINSTRING: lambda m: m.push_string(m.take(m.number(1)), "latin-1"),
    pickle.UNICODE: lambda m: m.push_string(m.line(), "raw-unicode-escape"),
    pickle.SHORT_BINUNICODE: lambda m: m.push_string(m.take(m.number(1)), "utf-8"),
    pickle.BINUNICODE: lambda m: m.push_string(m.take(m.number(4)), "utf-8"),
    pickle.BINUNICODE8: lambda m: m.push_string(m.take(m.number(8)), "utf-8"),
    # containers
    pickle.EMPTY_LIST: lambda m: m.push([]),
    pickle.LIST: lambda m: m.push(m.since_mark()),
    pickle.APPEND: lambda m: m.extend_list(m.last(1)),
    pickle.APPENDS: lambda m: m.extend_list(m.since_mark()),
    pickle.EMPTY_DICT: lambda m: m.push({}),
    pickle.DICT: lambda m: m.push_dict(),
    pickle.SETITEM: lambda m: m.extend_dict(m.last(2)),
    pickle.SETITEMS: lambda m: m.extend_dict(m.since_mark()),
    pickle.EMPTY_SET: lambda m: m.push(set()),
    pickle.ADDITEMS: lambda m: m.extend_set(m.since_mark()),
    pickle.TUPLE: lambda m: m.push(tuple(m.since_mark())),
    pickle.TUPLE1: lambda m: m.push(tuple(m.last(1))),
    pickle.TUPLE2: lambda m: m.push(tuple(m.last(2))),
    pickle.TUPLE3: lambda m: m.push(tuple(m.last(3))),
    # the memo
    pickle.PUT: lambda m: m.put(m.decimal()),
    pickle.BINPUT: lambda m: m.put(m.number(1)),
    pickle.LONG_BINPUT: lambda m: m.put(m.number(4)),
    pickle.MEMOIZE: lambda m: m.put(len(m.memo)),
    pickle.GET: lambda m: m.get(m.decimal()),
    pickle.BINGET: lambda m: m.get(m.number(1)),
    pickle.LONG_BINGET: lambda m: m.get(m.number(4)),
    # set(words), as written before protocol 4 introduced opcodes for sets
    pickle.GLOBAL: lambda m: m.push_global(),
    pickle.REDUCE: lambda m: m.call(),
}


def _only_strings(items: list[Any]) -> list[str]:
    """The items, if all are strings. Hashing a nested object could exceed the recursion limit."""
    if not all(type(item) is str for item in items):
        raise PickleRefused("its pickle has a key or a set member that is not a string")
    return items


def _name(code: bytes) -> str:
    names = {opcode.code: opcode.name for opcode in pickletools.opcodes}
    name = names.get(code.decode("latin-1"))
    return f"opcode {name}" if name else f"byte {code!r}"
