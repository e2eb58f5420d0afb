"""What docstrings say of the arguments of a constructor."""

import inspect
import re
from collections.abc import Collection


def describe(constructor: type, names: Collection[str]) -> dict[str, str]:
    """The description of each of these arguments that a docstring of the class has.

    An entry is `name: text` or `name (type): text`, and begins a line or follows a full stop. It
    ends before the next one, or at an empty line. The docstring of a class wins over its base's.
    """
    one = "|".join(map(re.escape, names))
    start = re.compile(
        rf"(?:^[ *-]*|(?<=[.?:] ))((?:{one})(?:, (?:{one}))*)(?: \([^)\n]*\))?:\s", re.MULTILINE
    )
    found: dict[str, str] = {}
    for base in reversed(constructor.__mro__[:-1] if names else ()):
        for doc in (vars(base).get("__doc__"), getattr(vars(base).get("__init__"), "__doc__", "")):
            _, *pieces = start.split(inspect.cleandoc(doc or ""))
            for described, text in zip(pieces[::2], pieces[1::2], strict=True):
                sentence = " ".join(text.partition("\n\n")[0].split())
                found |= dict.fromkeys(described.split(", "), sentence)
    return found
